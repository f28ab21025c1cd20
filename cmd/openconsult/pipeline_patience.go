package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	maxPause   = 20 * time.Second
	maxAnswer  = 64 << 20 // bytes of an answer that is read whole
)

// An answer is what a server said, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ok reports whether the server did what it was asked.
func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// complaint returns what the server said in place of doing what it was asked.
func (a *answer) complaint() error {
	text := string(a.body[:min(len(a.body), 2000)])
	if said := diagnostics(a.body); said != "" {
		text = said
	}
	return fmt.Errorf("the server answers %d %s: %s", a.status, http.StatusText(a.status), text)
}

// insist sends r until the server has decided: while it is away or busy it is asked
// again, as late as it says, until it has been so for as long as t gives up after.
func (t *target) insist(ctx context.Context, r request) (*answer, error) {
	var p pauses
	for {
		a, err := t.ask(ctx, r)
		if err == nil && !passing(a.status, a.body) {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var after time.Duration
		if err == nil {
			after, err = retryAfter(a.header, time.Now()), a.complaint()
		}
		if !p.more(t.giveUp) {
			return nil, fmt.Errorf("gave up after %s: %w", t.giveUp, err)
		}
		t.complain(err)
		if err := p.wait(ctx, after); err != nil {
			return nil, err
		}
	}
}

// complainEvery is how often at most it is said what is waited for.
const complainEvery = 10 * time.Second

// complain says what is waited for.
func (t *target) complain(err error) {
	last, now := t.complained.Load(), time.Now().UnixNano()
	if t.log != nil && now-last >= int64(complainEvery) && t.complained.CompareAndSwap(last, now) {
		fmt.Fprintf(t.log, "trying again: %v\n", err)
	}
}

// ask sends r and reads the whole answer.
func (t *target) ask(ctx context.Context, r request) (*answer, error) {
	response, err := t.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer to %s %s is larger than %d bytes", r.method, r.address, maxAnswer)
	}
	return &answer{response.StatusCode, response.Header, body}, nil
}

// passing reports whether the same request may succeed later.
func passing(status int, outcome []byte) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusConflict:
		return hasDetail(outcome, "request-in-flight")
	}
	return false
}

// retryAfter returns how long a server asks to be left alone, zero if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// pauses are the times between tries, each about twice as long as the one before.
// The zero value is ready.
type pauses struct {
	tries int
	since time.Time
}

// more reports whether another try is due, giveUp after the first.
func (p *pauses) more(giveUp time.Duration) bool {
	if p.tries == 0 {
		p.since = time.Now()
	}
	p.tries++
	return time.Since(p.since) < giveUp
}

// wait waits for the next try, for at least as long as asked.
func (p *pauses) wait(ctx context.Context, asked time.Duration) error {
	pause := min(firstPause<<min(p.tries-1, 10), maxPause)
	// Many that wait are not to come back at the same moment.
	pause = max(pause/2+rand.N(pause/2+1), asked+rand.N(firstPause))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

// A told is what is read of an OperationOutcome.
type told struct {
	Issue []struct {
		Diagnostics string `json:"diagnostics"`
		Details     struct {
			Text   string `json:"text"`
			Coding []struct {
				Code string `json:"code"`
			} `json:"coding"`
		} `json:"details"`
	} `json:"issue"`
}

// diagnostics returns the first text of an OperationOutcome, or "".
func diagnostics(outcome []byte) string {
	var o told
	if err := json.Unmarshal(outcome, &o); err != nil {
		return ""
	}
	for _, issue := range o.Issue {
		if text := cmp.Or(issue.Details.Text, issue.Diagnostics); text != "" {
			return text
		}
	}
	return ""
}

// hasDetail reports whether an OperationOutcome has a code among its details.
func hasDetail(outcome []byte, code string) bool {
	var o told
	if err := json.Unmarshal(outcome, &o); err != nil {
		return false
	}
	for _, issue := range o.Issue {
		for _, c := range issue.Details.Coding {
			if c.Code == code {
				return true
			}
		}
	}
	return false
}
