package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	tokenLife  = 5 * time.Minute  // after which a command is asked for another, when the token does not say
	tokenSpare = 30 * time.Second // before its end a token is replaced
)

// tokens are the access tokens of a command: one that was given, or those that
// another command prints. The zero value has none.
type tokens struct {
	fixed   string
	command string

	mu      sync.Mutex
	current string
	until   time.Time
}

// get returns the token to send now, which may be empty.
func (t *tokens) get(ctx context.Context) (string, error) {
	if t.command == "" {
		return t.fixed, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != "" && time.Now().Before(t.until) {
		return t.current, nil
	}
	token, err := printedToken(ctx, t.command)
	if err != nil {
		return "", err
	}
	t.current, t.until = token, renewal(token, time.Now())
	return token, nil
}

// refused is told that the server did not take a token. It reports whether there
// will be another.
func (t *tokens) refused(token string) bool {
	if t.command == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == token {
		t.current = ""
	}
	return true
}

// renewal returns when a token is to be replaced: some time before the end that it
// names, if it is a JWT that names one.
func renewal(token string, now time.Time) time.Time {
	usual := now.Add(tokenLife)
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return usual
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return usual
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Exp == 0 {
		return usual
	}
	end := time.Unix(int64(claims.Exp), 0).Add(-tokenSpare)
	if end.Before(now) {
		// Half of a life that short is over soon enough.
		return now.Add(tokenSpare / 2)
	}
	return end
}

// printedToken runs a shell command and returns the token that it prints.
func printedToken(ctx context.Context, command string) (string, error) {
	out, err := exec.CommandContext(ctx, "sh", "-c", command).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return "", fmt.Errorf("--token-command: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("--token-command: %w", err)
	}
	token := strings.TrimSpace(string(out))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", errors.New("--token-command: it must print a token and nothing else")
	}
	return token, nil
}
