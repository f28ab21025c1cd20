package attachment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A Clamd is a Scanner: ClamAV's daemon, asked over a socket.
// https://docs.clamav.net/manual/Usage/Scanning.html#clamd
type Clamd struct {
	network, address string
}

// NewClamd returns the Clamd at "tcp:host:port" or "unix:/path".
func NewClamd(at string) (*Clamd, error) {
	network, address, _ := strings.Cut(at, ":")
	switch network {
	case "tcp":
		if host, port, err := net.SplitHostPort(address); err == nil && host != "" && port != "" {
			return &Clamd{network, address}, nil
		}
	case "unix":
		if strings.HasPrefix(address, "/") {
			return &Clamd{network, address}, nil
		}
	}
	return nil, fmt.Errorf("%q is no address of clamd: write tcp:host:port or unix:/path", at)
}

// The bounds of a question to clamd.
const (
	clamdTimeout = 30 * time.Second // when the context allows longer
	clamdChunk   = 64 << 10
	clamdAnswer  = 4 << 10 // bytes of an answer that are read
)

// Ping asks whether clamd is there.
func (c *Clamd) Ping(ctx context.Context) error {
	answer, err := c.ask(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, "zPING\x00")
		return err
	})
	if err == nil && answer != "PONG" {
		err = errors.New("it answers something else than PONG")
	}
	if err != nil {
		return fmt.Errorf("ping clamd: %w", err)
	}
	return nil
}

// Scan implements Scanner. What is longer than clamd takes is Unjudged.
func (c *Clamd) Scan(ctx context.Context, content []byte) (Verdict, error) {
	answer, err := c.ask(ctx, func(w io.Writer) error { return stream(w, content) })
	if err != nil {
		return Unjudged, fmt.Errorf("scan by clamd: %w", err)
	}
	what, found := strings.CutPrefix(answer, "stream: ")
	switch {
	case found && what == "OK":
		return Harmless, nil
	case found && strings.HasSuffix(what, " FOUND"):
		return Harmful, nil
	case strings.HasSuffix(answer, "size limit exceeded. ERROR"):
		return Unjudged, nil
	}
	return Unjudged, errors.New("scan by clamd: the answer is none that is known")
}

// stream writes content as INSTREAM wants it.
func stream(w io.Writer, content []byte) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	chunk := make([]byte, 0, 4+clamdChunk)
	for len(content) > 0 {
		n := min(len(content), clamdChunk)
		chunk = append(binary.BigEndian.AppendUint32(chunk[:0], uint32(n)), content[:n]...)
		if _, err := w.Write(chunk); err != nil {
			return err
		}
		content = content[n:]
	}
	_, err := w.Write(make([]byte, 4))
	return err
}

// An answered is what clamd has said, or why that cannot be known.
type answered struct {
	text string
	err  error
}

// ask sends a command and returns the answer, which may come while the command is still
// being sent: then the rest of it does not matter.
func (c *Clamd) ask(ctx context.Context, send func(io.Writer) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clamdTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, c.network, c.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer := make(chan answered, 1)
	go func() { answer <- read(conn) }()
	failed := send(conn)
	a := <-answer
	if a.err != nil {
		return "", errors.Join(failed, a.err)
	}
	return a.text, nil
}

// read returns what comes up to a zero byte.
func read(from io.Reader) answered {
	var all []byte
	b := make([]byte, 512)
	for len(all) < clamdAnswer {
		n, err := from.Read(b)
		all = append(all, b[:n]...)
		if text, _, ended := bytes.Cut(all, []byte{0}); ended {
			return answered{text: strings.TrimSpace(string(text))}
		}
		if err != nil {
			return answered{err: fmt.Errorf("read the answer: %w", err)}
		}
	}
	return answered{err: errors.New("the answer does not end")}
}
