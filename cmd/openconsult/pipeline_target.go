package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/openconsult/openconsult/auth"
)

// mediaType is what resources and Bundles are sent and asked for as.
const mediaType = "application/fhir+json"

// A reach says which server a command speaks to: one elsewhere by its address, or
// one that is made inside of the command on a database.
type reach struct {
	base, token, tokenCommand string
	giveUp                    time.Duration
	jobs                      bool // a server inside of the command works on jobs
}

func (r *reach) declare(f *pflag.FlagSet) {
	f.StringVar(&r.base, "base", "", "address of the server to speak to, such as https://fhir.example.org/fhir; without it the command works on --dsn or --data-dir itself")
	f.StringVar(&r.token, "token", "", "access token for --base; better given as OPENCONSULT_TOKEN, which other people on this machine do not see")
	f.StringVar(&r.tokenCommand, "token-command", "", "shell command that prints an access token for --base; it is run again when the token ends")
	f.DurationVar(&r.giveUp, "give-up", 10*time.Minute, "how long a server is tried that is away or busy")
}

// A target is the server that a command speaks to.
type target struct {
	name   string   // which one it is
	base   *url.URL // without a last slash
	client *http.Client
	tokens *tokens
	giveUp time.Duration
	stop   func() error

	log        io.Writer    // for what is waited for; nil says nothing
	complained atomic.Int64 // when that was said last
}

// open returns the server that the flags name. Whoever opens a target stops it.
func (r *reach) open(ctx context.Context, s *settings, f *pflag.FlagSet) (*target, error) {
	if err := r.check(s, f); err != nil {
		return nil, err
	}
	t := &target{name: cmp.Or(r.base, databaseName(s)), tokens: &tokens{fixed: r.token, command: r.tokenCommand}, giveUp: r.giveUp, log: os.Stderr}
	var err error
	if t.base, err = parseBase(cmp.Or(r.base, inProcessBase(s))); err != nil {
		return nil, err
	}
	if r.base != "" {
		t.client, t.stop = &http.Client{Transport: newTransport(t.base), CheckRedirect: neverElsewhere}, func() error { return nil }
		// A command that prints no token is not worth waiting for.
		_, err := t.tokens.get(ctx)
		return t, err
	}
	local, err := newInProcess(ctx, s, r.jobs)
	if err != nil {
		return nil, err
	}
	t.client, t.stop = &http.Client{Transport: local}, local.close
	return t, nil
}

// check refuses flags that name no server, or two.
func (r *reach) check(s *settings, f *pflag.FlagSet) error {
	named := s.DSN != "" || f.Changed("data-dir") || s.DataDir != f.Lookup("data-dir").DefValue
	switch {
	case f.Changed("base") && (f.Changed("dsn") || f.Changed("data-dir")):
		return errors.New("--base speaks to a server, --dsn and --data-dir work on a database without one: give one of them")
	case r.token != "" && r.tokenCommand != "":
		return errors.New("give --token or --token-command, not both")
	case r.base == "" && !named:
		return errors.New("say where to: --base for a server, --dsn or --data-dir for a database")
	}
	return nil
}

// databaseName tells databases apart.
func databaseName(s *settings) string {
	if s.DSN != "" {
		return s.DSN
	}
	dir, err := filepath.Abs(s.DataDir)
	if err != nil {
		return s.DataDir
	}
	return dir
}

func parseBase(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, fmt.Errorf("read --base: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--base is the address of a FHIR server, such as https://fhir.example.org/fhir, not %s", address)
	}
	return u, nil
}

// newTransport keeps a connection for each of the requests that are under way
// together. On the way to this machine packing answers costs more than it saves.
func newTransport(base *url.URL) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.DisableCompression = auth.IsLoopback(base.Hostname())
	transport.ResponseHeaderTimeout = 5 * time.Minute
	return transport
}

// neverElsewhere refuses redirects: a token is for one server.
func neverElsewhere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// A request is what is sent, as often as it takes.
type request struct {
	method  string
	address string // absolute
	header  http.Header
	body    []byte
}

// at returns the address of something below the base: "/$export".
func (t *target) at(path string) string { return t.base.String() + path }

// ours turns an address that the server gave into one that it is reached by here: its
// public name may be another. It reports false for an address that is not below the
// base of the server at all, which gets no token.
func (t *target) ours(address string) (string, bool) {
	u, err := t.base.Parse(address)
	if err != nil {
		return address, false
	}
	if !strings.HasPrefix(u.Path, t.base.Path+"/") && u.Path != t.base.Path {
		return u.String(), u.Host == t.base.Host
	}
	u.Scheme, u.Host = t.base.Scheme, t.base.Host
	return u.String(), true
}

// send sends r once; another time if the token that it bore was refused and there
// is a newer one.
func (t *target) send(ctx context.Context, r request) (*http.Response, error) {
	token, err := t.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := t.sendWith(ctx, r, token)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || !t.tokens.refused(token) {
		return answer, err
	}
	discard(answer)
	if token, err = t.tokens.get(ctx); err != nil {
		return nil, err
	}
	return t.sendWith(ctx, r, token)
}

func (t *target) sendWith(ctx context.Context, r request, token string) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, r.address, body)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	for name, values := range r.header {
		q.Header[name] = values
	}
	if r.body != nil {
		q.Header.Set("Content-Type", mediaType)
	}
	if q.Header.Get("Accept") == "" {
		q.Header.Set("Accept", mediaType)
	}
	q.Header.Set("User-Agent", "openconsult/"+version())
	if _, own := t.ours(r.address); own && token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	return t.client.Do(q)
}

// discard reads what is left of an answer, so that its connection can be used again.
func discard(answer *http.Response) {
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
	_ = answer.Body.Close()
}
