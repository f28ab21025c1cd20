package attachment_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/attachment"
)

// limit is how many bytes the clamd of the tests takes.
const limit = 1 << 20

// clamd serves what answers of ClamAV's daemon are told of, on a network.
func clamd(t *testing.T, network string) *attachment.Clamd {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	c, err := attachment.NewClamd(network + ":" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	command, err := in.ReadString(0)
	switch {
	case err != nil:
	case command == "zPING\x00":
		io.WriteString(conn, "PONG\x00")
	case command == "zINSTREAM\x00":
		io.WriteString(conn, verdict(in))
	}
}

// verdict reads a stream. It finds what is said to be harmful, is silent at what is said to
// be slow, and says nonsense at nonsense.
func verdict(in io.Reader) string {
	var all []byte
	for {
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return ""
		}
		if size == 0 {
			break
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return ""
		}
		if all = append(all, chunk...); len(all) > limit {
			return "INSTREAM size limit exceeded. ERROR\x00"
		}
	}
	switch {
	case bytes.Contains(all, []byte("EICAR")):
		return "stream: Win.Test.EICAR_HDB-1 FOUND\x00"
	case bytes.Contains(all, []byte("slow")):
		_, _ = io.Copy(io.Discard, in) // until the client goes
		return ""
	case bytes.Contains(all, []byte("nonsense")):
		return strings.Repeat("x", 9000)
	case bytes.Contains(all, []byte("error")):
		return "stream: Can't allocate memory ERROR\x00"
	}
	return "stream: OK\x00"
}

func TestClamd(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		c := clamd(t, network)
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			content string
			want    attachment.Verdict
			fails   bool
		}{
			{content: "", want: attachment.Harmless},
			{content: "Hello", want: attachment.Harmless},
			{content: strings.Repeat("Hello", 50_000), want: attachment.Harmless},
			{content: strings.Repeat(" ", 100_000) + "EICAR", want: attachment.Harmful},
			{content: strings.Repeat("x", 4*limit)},
			{content: "nonsense", fails: true},
			{content: "error", fails: true},
		} {
			got, err := c.Scan(t.Context(), []byte(tt.content))
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%s %.20q: %d, %v", network, tt.content, got, err)
			}
		}
	}
}

func TestClamdThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	c := clamd(t, "tcp")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Scan(ctx, []byte("slow"))
		done <- err
	}()
	cancel()
	if err := <-done; err == nil {
		t.Error("there is a verdict that nobody gave")
	}
	away, err := attachment.NewClamd("unix:" + filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := away.Scan(t.Context(), []byte("Hello")); err == nil || got != attachment.Unjudged {
		t.Errorf("nobody says %d, %v", got, err)
	}
	if away.Ping(t.Context()) == nil {
		t.Error("nobody is there")
	}
}

func TestAddressesOfClamd(t *testing.T) {
	t.Parallel()
	for at, good := range map[string]bool{
		"tcp:localhost:3310": true, "tcp:[::1]:3310": true, "unix:/run/clamav/clamd.ctl": true,
		"": false, "tcp:": false, "tcp:localhost": false, "tcp::3310": false, "unix:run/clamd": false, "/run/clamd": false, "http://x:1": false,
	} {
		if _, err := attachment.NewClamd(at); (err == nil) != good {
			t.Errorf("%q: %v", at, err)
		}
	}
}
