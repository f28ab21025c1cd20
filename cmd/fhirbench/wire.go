package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// wires are connections to one server that are kept open, each for one request at a time. The transport of net/http hands
// every request to two goroutines; on a machine that also runs the server, that is taken from the server.
type wires struct {
	dialer  net.Dialer
	tls     *tls.Config // nil for http
	address string
	timeout time.Duration
	idle    chan *wire
}

// wire is one connection.
type wire struct {
	net.Conn
	reader *bufio.Reader
	writer *bufio.Writer
	used   bool // it has carried a request before
}

func newWires(base *url.URL, c config) *wires {
	p := &wires{dialer: net.Dialer{Timeout: c.timeout}, timeout: c.timeout, idle: make(chan *wire, max(c.clients, 1))}
	port := base.Port()
	if base.Scheme == "https" {
		p.tls = &tls.Config{ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	switch {
	case port != "":
	case p.tls != nil:
		port = "443"
	default:
		port = "80"
	}
	p.address = net.JoinHostPort(base.Hostname(), port)
	return p
}

// take returns an idle connection, or a new one.
func (p *wires) take(ctx context.Context) (*wire, error) {
	select {
	case w := <-p.idle:
		return w, nil
	default:
		return p.dial(ctx)
	}
}

func (p *wires) dial(ctx context.Context) (*wire, error) {
	c, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.tls != nil {
		c = tls.Client(c, p.tls)
	}
	return &wire{Conn: c, reader: bufio.NewReader(c), writer: bufio.NewWriter(c)}, nil
}

// give keeps a connection for the next request.
func (p *wires) give(w *wire) {
	w.used = true
	select {
	case p.idle <- w:
	default:
		w.Close()
	}
}

func (p *wires) close() {
	for len(p.idle) > 0 {
		(<-p.idle).Close()
	}
}

// exchange sends a request and hands the answer to read, which must read all of it. A connection that the server has closed
// between two requests is replaced once; a create is not sent again, since it may have been carried out.
func (p *wires) exchange(r *http.Request, read func(*http.Response) error) error {
	w, err := p.take(r.Context())
	if err != nil {
		return err
	}
	response, err := w.send(r, p.timeout)
	if err != nil && w.used && wasClosed(err) && r.Method != http.MethodPost {
		w.Close()
		if w, err = p.again(r); err != nil {
			return err
		}
		response, err = w.send(r, p.timeout)
	}
	if err != nil {
		w.Close()
		return err
	}
	err = read(response)
	if err != nil || response.Close {
		w.Close()
		return err
	}
	p.give(w)
	return nil
}

// again makes a new connection and the body of r new.
func (p *wires) again(r *http.Request) (*wire, error) {
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, fmt.Errorf("repeat a request: %w", err)
		}
		r.Body = body
	}
	return p.dial(r.Context())
}

// send writes r and reads the head of the answer. The end of r's context interrupts it.
func (w *wire) send(r *http.Request, timeout time.Duration) (*http.Response, error) {
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(r.Context(), func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := r.Write(w.writer); err != nil {
		return nil, err
	}
	if err := w.writer.Flush(); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.reader, r)
}

// wasClosed reports whether the other side had closed the connection.
func wasClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
