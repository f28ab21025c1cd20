package interaction

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// The bounds of scanning.
const (
	scanTime  = 5 * time.Second  // for one content, within a write
	awayTime  = 2 * time.Second  // for which a scanner that failed is not asked by writes
	knownTime = 10 * time.Minute // for which a verdict is taken for one on the same content
	knownMost = 1024             // verdicts
)

// scans is what an Engine knows of its scanner. Nil is that there is none.
type scans struct {
	scanner attachment.Scanner
	now     func() time.Time
	pending chan struct{} // something was stored that waits

	mu    sync.Mutex
	known map[[sha256.Size]byte]scanned
	away  time.Time // until when the scanner is not asked
}

type scanned struct {
	verdict attachment.Verdict
	until   time.Time
}

func newScans(c Config) *scans {
	if c.Scanner == nil {
		return nil
	}
	return &scans{scanner: c.Scanner, now: c.Now, pending: make(chan struct{}, 1), known: map[[sha256.Size]byte]scanned{}}
}

// scan returns the state of content that is to be stored. It is PENDING when the scanner
// does not answer in time.
func (s *Session) scan(ctx context.Context, content []byte) consultation.ScanState {
	if s.scans == nil {
		return consultation.ScanNone
	}
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	verdict, err := s.scans.judge(ctx, content, false)
	if err != nil {
		s.scans.wake()
		return consultation.ScanPending
	}
	return stateOf(verdict)
}

func stateOf(v attachment.Verdict) consultation.ScanState {
	switch v {
	case attachment.Harmless:
		return consultation.ScanAvailable
	case attachment.Harmful:
		return consultation.ScanThreats
	}
	return consultation.ScanInvalid
}

var errAway = errors.New("the scanner did not answer just before")

// judge asks the scanner, unless it is known what it would say. One that has just failed is
// asked by the patient only.
func (s *scans) judge(ctx context.Context, content []byte, patient bool) (attachment.Verdict, error) {
	key := sha256.Sum256(content)
	s.mu.Lock()
	k, is := s.known[key]
	now := s.now()
	away := now.Before(s.away) && !patient
	s.mu.Unlock()
	if is && now.Before(k.until) {
		return k.verdict, nil
	}
	if away {
		return attachment.Unjudged, errAway
	}
	verdict, err := s.scanner.Scan(ctx, content)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.away = s.now().Add(awayTime)
		return verdict, err
	}
	s.away = time.Time{}
	if len(s.known) >= knownMost {
		clear(s.known)
	}
	s.known[key] = scanned{verdict, now.Add(knownTime)}
	return verdict, nil
}

// wake has the contents that wait looked for.
func (s *scans) wake() {
	select {
	case s.pending <- struct{}{}:
	default:
	}
}

// scanAhead has all content that t writes scanned, so that the scanner is not waited for
// within a transaction of the database. What is wrong with it is said later.
func (t *transaction) scanAhead(ctx context.Context) {
	if t.scans == nil {
		return
	}
	for i := range t.Entries {
		if r := t.Entries[i].Resource; r != nil {
			_, _ = t.cleaned(ctx, r)
		}
	}
}

// How often it is tried again to scan what waits, and looked for what other servers have
// left.
const (
	rescanEvery = 5 * time.Second
	lookEvery   = 5 * time.Minute
	rescanPage  = "20"

	rescanFaults = 3 // after which the scanner is taken to be away
)

// RunScans scans what could not be scanned when it was stored, by this server or by
// another, until ctx ends. Faults are told to report. Without a scanner it returns at once.
func (e *Engine) RunScans(ctx context.Context, report func(error)) {
	if e.scans == nil {
		return
	}
	for ctx.Err() == nil {
		wait := lookEvery
		left, err := e.Rescan(ctx)
		if err != nil && ctx.Err() == nil {
			report(err)
		}
		if left || err != nil {
			wait = rescanEvery
		}
		pause(ctx, wait, e.scans.pending)
		if wait == lookEvery {
			pause(ctx, rescanEvery/10, nil) // until it is committed
		}
	}
}

func pause(ctx context.Context, wait time.Duration, until <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-until:
	case <-timer.C:
	}
}

// Rescan scans a page of what waits. It reports whether there may be more, and an error
// when the scanner does not answer.
func (e *Engine) Rescan(ctx context.Context) (left bool, err error) {
	s := e.For(access.Trusted("attachment-scan"), Origin{})
	params := []search.Parameter{{Name: "_tag", Value: ScanSystem + "|" + string(consultation.ScanPending)}, {Name: "_count", Value: rescanPage}}
	found, err := s.find(ctx, Page{Request: search.Request{Params: params, Now: e.clock()}})
	if err != nil {
		return true, fmt.Errorf("look for content that waits to be scanned: %w", err)
	}
	var failed []error
	for _, i := range rand.Perm(len(found.Versions)) { // so that none which cannot be scanned is in the way of others for ever
		if err := s.rescan(ctx, &found.Versions[i]); err != nil {
			failed = append(failed, err)
		}
		if len(failed) == rescanFaults {
			break
		}
	}
	if len(failed) > 0 {
		return true, fmt.Errorf("scan what waits for it: %w", errors.Join(failed...))
	}
	return found.Next != "", nil
}

// rescan scans the content of v, and tags its next version with what was found.
func (s *Session) rescan(ctx context.Context, v *store.Version) error {
	r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
	if err != nil {
		return err
	}
	state := consultation.ScanAvailable
	for _, f := range filesIn(r.Root()) {
		content, err := f.content()
		if err != nil {
			return err
		}
		verdict, err := s.scans.judge(ctx, content, true)
		if err != nil {
			return err
		}
		state = worse(state, stateOf(verdict))
	}
	_, err = s.change(ctx, change{interaction: access.Patch, key: v.Key, op: store.Patch, expect: store.Expect(v.Number), meta: true, unlabels: true, next: func(old *store.Version) (*fhir.Resource, error) {
		return inState(old, state)
	}})
	if o := fhir.AsOutcome(err); o != nil && (o.Class == fhir.Stale || o.Class == fhir.Gone) {
		return nil // whoever came between has said what is to be scanned
	}
	return err
}

// inState returns v tagged with a state.
func inState(v *store.Version, state consultation.ScanState) (*fhir.Resource, error) {
	r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
	if err != nil {
		return nil, err
	}
	c := cleaning{resource: r}
	meta := r.Root().Child("meta")
	with, changed, err := retagged(meta, state)
	if err != nil || !changed {
		return r, err
	}
	c.edit(meta.Raw(), with)
	return fhir.DecodeDerived(v.Key.Type, spliced(r.Source(), c.edits))
}
