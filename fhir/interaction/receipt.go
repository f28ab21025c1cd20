package interaction

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// holder returns whose the Idempotency-Keys of the caller are: those of the client and
// the person, with the same patient in context and for the same organisations, of
// which there may be more than fit into a key.
func (s *Session) holder() string {
	t := s.grant.Terms()
	of := t.Client
	if t.User.ID != "" {
		of += " " + t.User.String()
	}
	if t.Patient.ID == "" && len(t.Organizations) == 0 {
		return of
	}
	organizations := slices.Compact(slices.Sorted(slices.Values(t.Organizations)))
	sum := sha256.Sum256([]byte(t.Patient.String() + " " + strings.Join(organizations, " ")))
	return of + " " + hex.EncodeToString(sum[:])
}

// An envelope is what a receipt holds beside the results of its writes.
type envelope struct {
	Asked  []byte `json:"asked,omitempty"`
	Others []kept `json:"others,omitempty"` // results of entries that are not among those of the receipt, by entry
	Read   []kept `json:"read,omitempty"`   // what was read beside
	Count  int    `json:"count"`            // of entries

	Notes map[int][]fhir.Issue `json:"notes,omitempty"` // what was not good, by entry
	Links map[int][]Link       `json:"links,omitempty"` // what else came of it, by entry
}

// A kept is the result of one entry.
type kept struct {
	Entry   int           `json:"n"`
	Type    string        `json:"type"`
	ID      string        `json:"id,omitempty"`
	Version int           `json:"version,omitempty"`
	Updated int64         `json:"updated,omitempty"` // microseconds since 1970
	Deleted bool          `json:"deleted,omitempty"`
	Hidden  bool          `json:"hidden,omitempty"`
	Outcome store.Outcome `json:"outcome"` // 0 of what was read
}

func keptOf(n int, r *Result) kept {
	return kept{n, r.Key.Type, r.Key.ID, r.Number, r.Updated.UnixMicro(), r.Deleted(), r.Hidden, r.Outcome}
}

func (k *kept) result() Result {
	v := store.Version{Key: fhir.Key{Type: k.Type, ID: k.ID}, Number: k.Version, Updated: time.UnixMicro(k.Updated)}
	if k.Deleted {
		v.Op = store.Delete
	}
	return Result{Version: v, Outcome: k.Outcome, Hidden: k.Hidden}
}

// kept returns the receipt to be stored, with the results of those parts that have
// one by now; nil without a receipt.
func (t *transaction) kept(body []byte) (*store.Receipt, error) {
	if t.Receipt == nil || t.Dry {
		return nil, nil
	}
	e := envelope{Asked: t.Receipt.Asked, Count: len(t.parts), Notes: map[int][]fhir.Issue{}, Links: map[int][]Link{}}
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.sketch != nil && len(p.sketch.notes) > 0 && t.advised:
			e.Notes[i] = p.sketch.notes
		case len(p.advice) > 0:
			e.Notes[i] = p.advice
		}
		if len(p.links) > 0 {
			e.Links[i] = p.links
		}
		switch r := &p.reply.Result; {
		case p.reply.Found != nil:
			for _, v := range slices.Concat(p.reply.Found.Versions, p.reply.Found.Included) {
				e.Read = append(e.Read, keptOf(i, &Result{Version: v}))
			}
		case p.Reading != nil:
			e.Read = append(e.Read, keptOf(i, r))
		case r.Outcome != 0:
			e.Others = append(e.Others, keptOf(i, r))
		}
	}
	asked, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write a receipt: %w", err)
	}
	return &store.Receipt{Holder: t.holder(), Key: t.Receipt.Key, Digest: t.Receipt.Digest, Asked: asked, Body: body}, nil
}

// receive stores the receipt of what was done in tx.
func (t *transaction) receive(ctx context.Context, tx *store.Tx) error {
	if t.Receipt == nil || t.Dry {
		return nil
	}
	var body []byte
	if t.Compose != nil {
		var err error
		if body, err = t.Compose(t.replies()); err != nil {
			return err
		}
	}
	r, err := t.kept(body)
	if err != nil {
		return err
	}
	return tx.Receive(ctx, *r)
}

// failed records that the transaction has failed, and returns the error that the
// caller gets. Where nobody knows if it was committed, its receipt tells.
func (t *transaction) failed(ctx context.Context, err error) error {
	err = t.received(ctx, err)
	switch u, is := errors.AsType[*store.Unavailable](err); {
	case errors.Is(err, store.ErrReceived):
		return err
	case errors.Is(err, store.ErrInFlight):
		o := fhir.Errorf(fhir.Clash, fhir.LockError, "", "A request with this Idempotency-Key is being carried out; send it again in a moment to get its answer.")
		o.Issues[0].Detail = "request-in-flight"
		err = o
	case is && u.Unknown && t.Receipt != nil && !t.Dry:
		received, failed := t.store.Resolve(context.WithoutCancel(ctx), t.holder(), t.Receipt.Key)
		if failed == nil && received != nil {
			return store.ErrReceived
		}
		if failed == nil {
			err = &store.Unavailable{Err: u.Err}
		}
	}
	return t.refused(ctx, err)
}

// Received returns what is kept of the request with an Idempotency-Key of the
// caller's, nil if it was not carried out yet. One with another digest is an Unprocessable
// Outcome. What is returned is recorded as a repetition.
func (s *Session) Received(ctx context.Context, key string, digest []byte) (*Repeat, error) {
	kept, err := s.store.Received(ctx, s.holder(), key)
	if kept == nil || err != nil {
		return nil, err
	}
	if !bytes.Equal(kept.Digest, digest) {
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "", "This Idempotency-Key was used for another request; choose a new one for each request.")
		o.Issues[0].Detail = "idempotency-key-reused"
		return nil, o
	}
	var e envelope
	if err := json.Unmarshal(kept.Asked, &e); err != nil {
		return nil, fmt.Errorf("read a receipt: %w", err)
	}
	r := &Repeat{Asked: e.Asked, Body: kept.Body, Replies: e.replies(kept)}
	if err := s.reread(ctx, r, e.Read); err != nil {
		return nil, err
	}
	return r, s.repeated(ctx, r)
}

// replies returns the results in the order of the entries.
func (e *envelope) replies(r *store.Received) []Reply {
	all := make([]Reply, e.Count)
	for _, k := range e.Others {
		if k.Entry < len(all) {
			all[k.Entry].Result = k.result()
		}
	}
	next := 0
	for i := range all {
		if all[i].Outcome != 0 || next >= len(r.Results) {
			continue
		}
		w := r.Results[next]
		v := store.Version{Key: r.Keys[next], Number: w.Version, Updated: w.Updated}
		if w.Outcome == store.Removed || w.Outcome == store.Nothing {
			v.Op = store.Delete
		}
		all[i].Result, next = Result{Version: v, Outcome: w.Outcome}, next+1
	}
	for i, notes := range e.Notes {
		if i < len(all) {
			all[i].Notes = notes
		}
	}
	for i, links := range e.Links {
		if i < len(all) {
			all[i].Links = links
		}
	}
	return all
}

// reread reads the versions that r names, and others that its body shows, as far as
// the caller may read them now. A body that shows more is an Outcome.
func (s *Session) reread(ctx context.Context, r *Repeat, others []kept) error {
	all := slices.Clone(r.Replies)
	for i := range others {
		all = append(all, Reply{Result: others[i].result()})
	}
	var of []fhir.Key
	for i := range all {
		if all[i].isShown() {
			of = append(of, all[i].Key)
		}
	}
	if len(of) == 0 {
		return nil
	}
	current, err := s.store.Current(ctx, uniqueNames(of))
	if err != nil {
		return err
	}
	for i := range all {
		v := &all[i]
		if !v.isShown() {
			continue
		}
		needs := access.MayRead
		if i >= len(r.Replies) {
			needs |= access.MaySearch // which may be how it was found
		}
		if err := s.rereadOne(ctx, needs, v, current[v.Key]); err != nil {
			return err
		}
		if v.Hidden && r.Body != nil {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "This was carried out before. Its answer shows what you may not read any more, so it is not given again.")
		}
	}
	copy(r.Replies, all)
	return nil
}

// StillReads returns an Outcome of class Denied unless the caller may read now all of
// some versions, of which the keys and the numbers count: those that an answer shows
// which was made for them before.
func (s *Session) StillReads(ctx context.Context, shown []store.Version) error {
	others := make([]kept, len(shown))
	for i := range shown {
		others[i] = keptOf(i, &Result{Version: shown[i]})
	}
	return s.reread(ctx, &Repeat{Body: []byte{}}, others)
}

// isShown reports whether r has content that the caller has seen.
func (r *Reply) isShown() bool { return r.Number > 0 && !r.Deleted() && !r.Hidden }

func uniqueNames(keys []fhir.Key) []fhir.Key {
	slices.SortFunc(keys, func(a, b fhir.Key) int { return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID)) })
	return slices.Compact(keys)
}

// rereadOne does so for one, whose current version is now.
func (s *Session) rereadOne(ctx context.Context, needs access.Permission, r *Reply, now *store.Version) error {
	r.Hidden = true
	v, err := s.seen(needs, now)
	if v == nil || err != nil {
		return err
	}
	if v.Number != r.Number {
		if v, err = s.store.VRead(ctx, r.Key, r.Number); v == nil || err != nil {
			return err
		}
		if v, err = s.seen(needs, v); v == nil || err != nil {
			return err
		}
	}
	if v, err = s.shown(v, nil); err != nil {
		return err
	}
	r.Hidden, r.Op, r.Stored = false, v.Op, v.Stored
	return nil
}

// repeated records that the caller gets an answer again.
func (s *Session) repeated(ctx context.Context, r *Repeat) error {
	line := s.trail(transactionInteraction, fhir.Key{})
	if line == nil {
		return nil
	}
	line.Detail = with(nil, "replayed", "true")
	if len(r.Replies) == 1 {
		line.Key, line.Version = r.Replies[0].Key, r.Replies[0].Number
	}
	for i := range r.Replies {
		if v := &r.Replies[i].Version; !r.Replies[i].Hidden && v.Stored != nil {
			line.Patients = union(line.Patients, s.store.PatientsOf(v))
		}
	}
	return s.record(ctx, line, nil)
}
