package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// renewToken is how often the command that prints tokens is run: SMART servers let them live for as little as ten minutes.
const renewToken = 5 * time.Minute

// headers are those of all requests until there is a new token; never changed.
type headers struct {
	plain    http.Header // of requests without a body
	withBody http.Header // of those with one
	err      error       // why there are none
}

func newHeaders(token, prefer string) *headers {
	plain := http.Header{"Accept": {mediaType}, "User-Agent": {"fhirbench"}}
	if token != "" {
		plain.Set("Authorization", "Bearer "+token)
	}
	withBody := plain.Clone()
	withBody.Set("Content-Type", mediaType)
	if prefer != "" {
		withBody.Set("Prefer", "return="+prefer)
	}
	return &headers{plain: plain, withBody: withBody}
}

// printedToken runs a shell command and returns the token that it prints.
func printedToken(ctx context.Context, command string) (string, error) {
	out, err := exec.CommandContext(ctx, "sh", "-c", command).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("-token-command: %w: %s", err, excerpt(string(exit.Stderr)))
		}
		return "", fmt.Errorf("-token-command: %w", err)
	}
	token := strings.TrimSpace(string(out))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", errors.New("-token-command: it must print a token and nothing else")
	}
	return token, nil
}

// renew gets new tokens until ctx is done. Without one no more requests are sent.
func (t *httpTarget) renew(ctx context.Context, c config) {
	tick := time.NewTicker(renewToken)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		token, err := printedToken(ctx, c.tokenCommand)
		if ctx.Err() != nil {
			return
		}
		h := newHeaders(token, c.prefer)
		h.err = err
		t.headers.Store(h)
	}
}
