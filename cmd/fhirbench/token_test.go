package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTokenCommand(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]struct {
		status int
		says   string
	}{
		"echo open-sesame":            {exitOK, ""},
		"echo wrong":                  {exitUnexpected, "401"},
		"echo no; exit 3":             {exitUnexpected, "exit status 3"},
		"echo no database >&2; false": {exitUnexpected, "no database"},
		"echo a token":                {exitUnexpected, "must print a token"},
		"true":                        {exitUnexpected, "must print a token"},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s, base := newFHIRServer(t)
			s.token = "open-sesame"
			var stdout, stderr bytes.Buffer
			got := run(t.Context(), []string{"-base", base, "-token-command", command, "-n", "20", "-people", "3"}, &stdout, &stderr)
			if got != want.status || !strings.Contains(stderr.String(), want.says) {
				t.Errorf("exit status %d, want %d; it said %q, want %q in it", got, want.status, stderr.String(), want.says)
			}
		})
	}
}
