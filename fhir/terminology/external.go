package terminology

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// A remote is the terminology server that is asked about what is not known here. The
// zero value is ready.
//
// It is told the URLs of code systems and value sets, and codes: no displays, and
// nothing of who the codes are about. What it says is believed for a while; when it
// cannot be reached, nobody waits for it.
type remote struct {
	once   sync.Once
	known  *recent[string, remoteAnswer] // by the address that was asked
	asking singleflight.Group
	turns  chan struct{} // has room for one more question that is under way
	fuse   fuse
	limit  time.Duration // of one question; remoteLimit if zero
}

const (
	remoteLimit  = 2 * time.Second
	remoteTurns  = 16
	knownBytes   = 16 << 20
	knownFor     = time.Hour   // a code is there
	unknownFor   = time.Minute // it is not
	answerBytes  = 1 << 20
	expandBytes  = 16 << 20
	longestAsked = 1000 // characters of a URL or a code
)

// A remoteAnswer is what the remote has said.
type remoteAnswer struct {
	value any // nil when it does not know what it was asked about
	until time.Time
}

// errAway means that the remote cannot be asked now, or does not speak FHIR.
var errAway = errors.New("the external terminology server does not answer")

// A question is one that a remote is asked.
type question struct {
	operation string // "ValueSet/$expand"
	about     url.Values
	most      int64                             // bytes of an answer
	read      func([]byte) (value any, ok bool) // not ok is garbage
	lasts     func(value any) bool              // whether it is kept for long
}

// ask returns what the remote says, nil when it does not know. The error is errAway,
// or that of ctx.
func (s *Service) ask(ctx context.Context, q question) (any, error) {
	r := &s.remote
	r.once.Do(func() {
		r.known = newRecent[string, remoteAnswer](knownBytes)
		r.turns = make(chan struct{}, remoteTurns)
	})
	for _, values := range q.about {
		for _, v := range values {
			if len(v) > longestAsked {
				return nil, nil
			}
		}
	}
	address := strings.TrimSuffix(s.config.External, "/") + "/" + q.operation + "?" + q.about.Encode()
	if a, ok := r.known.get(address); ok && s.now().Before(a.until) {
		return a.value, nil
	}
	// It is asked once for all who want to know, and goes on without the first of them.
	waiting := r.asking.DoChan(address, func() (any, error) { return s.fetch(context.WithoutCancel(ctx), address, q) })
	select {
	case a := <-waiting:
		return a.Val, a.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the external terminology server: %w", ctx.Err())
	}
}

// fetch asks a question and keeps the answer.
func (s *Service) fetch(ctx context.Context, address string, q question) (any, error) {
	r := &s.remote
	limit := r.limit
	if limit == 0 {
		limit = remoteLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !r.fuse.pass(s.now()) {
		return nil, errAway
	}
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		r.fuse.report(s.now(), false)
		return nil, errAway
	}
	value, size, err := s.get(ctx, address, q)
	r.fuse.report(s.now(), err == nil)
	if err != nil {
		return nil, errAway
	}
	last := unknownFor
	if value != nil && q.lasts(value) {
		last = knownFor
	}
	r.known.put(address, remoteAnswer{value, s.now().Add(last)}, 200+len(address)+size)
	return value, nil
}

// get makes one request. The value is nil when the server does not know what it is
// asked about.
func (s *Service) get(ctx context.Context, address string, q question) (value any, size int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s: %w", q.operation, err)
	}
	request.Header.Set("Accept", "application/fhir+json")
	if s.config.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.config.Token)
	}
	client := s.config.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s: %w", q.operation, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, q.most+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("ask %s: %w", q.operation, err)
	case int64(len(body)) > q.most:
		return nil, 0, fmt.Errorf("ask %s: the answer has more than %d bytes", q.operation, q.most)
	}
	switch response.StatusCode {
	case http.StatusOK:
		if value, ok := q.read(body); ok {
			return value, len(body), nil
		}
		return nil, 0, fmt.Errorf("ask %s: the answer is none", q.operation)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		// A page of some proxy is no word of a terminology server.
		if isOutcome(body) {
			return nil, 0, nil
		}
	}
	return nil, 0, fmt.Errorf("ask %s: status %d", q.operation, response.StatusCode)
}

// A fuse keeps from asking who does not answer. The zero value lets pass.
type fuse struct {
	mu     sync.Mutex
	failed int       // in a row
	until  time.Time // nobody asks before
	trying bool      // one asks whether it answers again
}

const (
	failuresAllowed = 5
	fuseFor         = 10 * time.Second
)

// pass reports whether the remote may be asked now. Who gets a yes reports.
func (f *fuse) pass(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.failed < failuresAllowed:
		return true
	case now.Before(f.until) || f.trying:
		return false
	}
	f.trying = true
	return true
}

// report says how it went.
func (f *fuse) report(now time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trying = false
	if ok {
		f.failed = 0
		return
	}
	f.failed++
	f.until = now.Add(fuseFor)
}
