package main

import (
	"io"
	"strings"
	"testing"
)

// TestUnitOfLines has paths of several lines refused, which would be lines of the unit.
func TestUnitOfLines(t *testing.T) {
	t.Parallel()
	const two = "/etc/a\nExecStartPre=/bin/sh"
	for _, args := range [][]string{
		{"--tls-key=/etc/key.pem", "--tls-cert=" + two}, {"--config=" + two}, {"--issuers=" + two}, {"--data-dir=" + two},
	} {
		s := &settings{}
		f := s.flags()
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := s.writeUnit(io.Discard, f); err == nil || !strings.Contains(err.Error(), "control character") && !strings.Contains(err.Error(), "no configuration file") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestQuoteArgument(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"--addr=[::1]:80": "--addr=[::1]:80",
		"":                `""`,
		"a b":             `"a b"`,
		`a"b\c'd`:         `"a\"b\\c'd"`,
		"100%":            "100%%",
		"$HOME":           "$$HOME",
		"a;b":             `"a;b"`,
		"a\nb":            `"a\nb"`,
		"é":               "é",
	} {
		if got := quoteArgument(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestIsLowPort(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{":443": true, "0.0.0.0:https": true, "[::]:1023": true, ":1024": false, "localhost:0": false, "": false, "nothing": false} {
		if got := isLowPort(addr); got != want {
			t.Errorf("%q: %v", addr, got)
		}
	}
}
