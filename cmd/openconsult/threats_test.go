package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serving serves handler as the program does, until the test ends, and returns the
// address.
func serving(t *testing.T, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, l, handler, func() {}, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestD10SlowAndLarge opens connections on which a request never comes to the end
// of its headers, and sends more headers than anybody needs. The server gives both
// up by itself.
func TestD10SlowAndLarge(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	address := serving(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	connect := func(text string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		// Much later than the server should have given it up: then the test fails.
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	slow := map[string]net.Conn{
		"nothing":      connect(""),
		"a letter":     connect("G"),
		"some headers": connect("GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-Slow: "),
	}
	for name, c := range slow {
		answer, err := io.ReadAll(c)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || strings.Contains(string(answer), " 200 ") {
			t.Errorf("%s: the connection is still open: %q, %v", name, answer, err)
		}
		c.Close()
	}
	large := connect("GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Large: "+strings.Repeat("x", 1000)+"\r\n", 40) + "\r\n")
	defer large.Close()
	if answer, _ := io.ReadAll(large); !strings.Contains(string(answer), " 431 ") {
		t.Errorf("40 KB of headers: %q", answer)
	}
	if reached.Load() {
		t.Error("such a request was served")
	}
}
