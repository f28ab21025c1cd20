package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// errorClass names the way in which a request went unanswered, so that thousands of errors make a short list.
func errorClass(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return "dns"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	default:
		return "other"
	}
}

func statusLabel(status int) string { return strconv.Itoa(status) }

// excerpt puts the beginning of a text on one line.
func excerpt(text string) string {
	const longest = 400
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > longest {
		return line[:longest] + "…"
	}
	return line
}
