package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// maxKeySet is how long a JWK Set may be, in bytes.
	maxKeySet = 64 << 10
	// keySetTime is how long reading one may take.
	keySetTime = 5 * time.Second
	// freshUnsaid is how long one is good that does not say how long.
	freshUnsaid = 5 * time.Minute
	// freshAtMost is how long one is kept whatever it says.
	freshAtMost = 24 * time.Hour
	// forcedEvery is how often one is read again for a key that it has not.
	forcedEvery = time.Minute
	// failedFor is how long an error is given again without asking again.
	failedFor = 5 * time.Second
)

// ErrNoKey means that a JWK Set was read and has no key of the name and
// algorithm asked for, or more than one.
var ErrNoKey = errors.New("the JWK Set has no such key, or more than one")

// RemoteKeys are the keys of a JWK Set at a URL. They are kept as long as
// Cache-Control says, but for a day at most: not at all with no-store or
// no-cache, five minutes when it says nothing. They are read again at most once
// a minute for names that are not among them, and five seconds after a failure.
// Callers at the same time share one request. RemoteKeys are safe for
// concurrent use.
type RemoteKeys struct {
	url    string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu     sync.Mutex
	set    jose.JSONWebKeySet // of the last good answer
	until  time.Time          // before it set is fresh
	asked  time.Time          // when the last request ended
	missed time.Time          // when the last one ended that was for a name not among them
	failed error              // why the last one failed
	turn   int                // how many requests there were
}

// NewRemoteKeys returns the keys at a URL, which client reads: one of
// [NewClient]. Nothing is read yet.
func NewRemoteKeys(url string, client *http.Client, now func() time.Time) *RemoteKeys {
	return &RemoteKeys{url: url, client: client, now: now}
}

// Key returns the one key called kid that is for verifying signatures of alg;
// without kid, the only one for alg. The error is [ErrNoKey] when there is
// none, and another one when the keys cannot be read.
func (r *RemoteKeys) Key(ctx context.Context, kid, alg string) (jose.JSONWebKey, error) {
	set, a, err := r.kept(kid)
	if err == nil && set == nil {
		set, err = r.refresh(ctx, a)
	}
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key, err := choose(set.Keys, kid, alg)
	if err != nil {
		return jose.JSONWebKey{}, ErrNoKey
	}
	return key, nil
}

// An again is a reason to read the keys again.
type again struct {
	turn   int  // after so many requests
	missed bool // for a name that is not among them
}

// kept returns the keys to look in, nil when they must be read again, or an error
// when it is too early for that.
func (r *RemoteKeys) kept(kid string) (*jose.JSONWebKeySet, again, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	since := now.Sub(r.asked)
	known := kid == "" || slices.ContainsFunc(r.set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == kid })
	a := again{r.turn, r.turn > 0 && !known}
	switch {
	case r.turn == 0:
		return nil, a, nil
	case known && now.Before(r.until):
		return &r.set, a, nil
	case r.failed != nil && since < failedFor:
		return nil, a, r.failed
	case r.failed == nil && !known && now.Sub(r.missed) < forcedEvery:
		return nil, a, ErrNoKey
	}
	return nil, a, nil
}

// refresh reads the keys, once for all that wait for it.
func (r *RemoteKeys) refresh(ctx context.Context, a again) (*jose.JSONWebKeySet, error) {
	done := r.flight.DoChan("", func() (any, error) {
		if set, err, made := r.since(a.turn); made {
			return set, err
		}
		// It is for the others too if this caller leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keySetTime)
		defer cancel()
		set, fresh, err := r.fetch(ctx)
		return r.store(set, fresh, a.missed, err)
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the JWK Set: %w", ctx.Err())
	case got := <-done:
		if got.Err != nil {
			return nil, got.Err
		}
		set := got.Val.(jose.JSONWebKeySet)
		return &set, nil
	}
}

// since returns how the last request ended, if it was made after turn others.
// It was then under way when the caller asked, or began later.
func (r *RemoteKeys) since(turn int) (set jose.JSONWebKeySet, err error, made bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.failed, r.turn != turn
}

// store keeps what was read.
func (r *RemoteKeys) store(set jose.JSONWebKeySet, fresh time.Duration, missed bool, err error) (jose.JSONWebKeySet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.failed, r.turn = r.now(), err, r.turn+1
	if missed {
		r.missed = r.asked
	}
	if err == nil {
		r.set, r.until = set, r.asked.Add(fresh)
	}
	return set, err
}

// fetch reads the keys, and how long they are good.
func (r *RemoteKeys) fetch(ctx context.Context) (jose.JSONWebKeySet, time.Duration, error) {
	none := jose.JSONWebKeySet{}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return none, 0, ErrDestination
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return none, 0, fmt.Errorf("read the JWK Set: %w", err)
	}
	body, err := ReadBody(resp, maxKeySet)
	if err != nil {
		return none, 0, fmt.Errorf("read the JWK Set: %w", err)
	}
	set, err := ParseKeys(body)
	return set, freshFor(resp.Header), err
}

// freshFor returns how long an answer may be kept.
// https://www.rfc-editor.org/rfc/rfc9111.html#section-4.2
func freshFor(h http.Header) time.Duration {
	fresh, said := freshUnsaid, false
	for _, d := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil || said {
				return 0 // what cannot be understood is stale
			}
			fresh, said = time.Duration(seconds)*time.Second, true
		}
	}
	age, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err == nil && said {
		fresh -= time.Duration(age) * time.Second
	}
	return min(fresh, freshAtMost)
}
