package interaction

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// A foresight is the ground of a write that takes one statement. What it has been told will be
// asked it finds out in one round trip, and everything else when it is asked.
type foresight struct {
	*store.DB
	foreseen store.Gathering
	found    *store.Gathered // nil before anything is foreseen
	hope     *hope           // nil where nothing has to be held
}

// foresee finds out what g asks.
func (f *foresight) foresee(ctx context.Context, g store.Gathering) (err error) {
	f.foreseen = g
	f.found, err = f.Gather(ctx, g)
	return err
}

// Current does what [store.DB.Current] does.
func (f *foresight) Current(ctx context.Context, of []fhir.Key) (map[fhir.Key]*store.Version, error) {
	if f.found == nil {
		return f.DB.Current(ctx, of)
	}
	if rest := lacking(of, f.foreseen.Current); len(rest) > 0 {
		more, err := f.DB.Current(ctx, rest)
		if err != nil {
			return nil, err
		}
		maps.Copy(f.found.Current, more)
		f.foreseen.Current = append(f.foreseen.Current, rest...)
	}
	return f.found.Current, nil
}

// Known does what [store.DB.Known] does.
func (f *foresight) Known(ctx context.Context, of []access.Key) (map[access.Key][]int64, error) {
	if f.found == nil {
		return f.DB.Known(ctx, of)
	}
	if rest := lacking(of, f.foreseen.Known); len(rest) > 0 {
		more, err := f.DB.Known(ctx, rest)
		if err != nil {
			return nil, err
		}
		maps.Copy(f.found.Known, more)
		f.foreseen.Known = append(f.foreseen.Known, rest...)
	}
	return f.found.Known, nil
}

// lacking returns those of some values that are not among others.
func lacking[T comparable](some, others []T) (rest []T) {
	for _, v := range some {
		if !slices.Contains(others, v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// questionsAbout returns what will have to be known to decide whether the caller may store r as
// p proposes. Nothing is lost by a wrong guess but time.
func (s *Session) questionsAbout(p *proposal, r *fhir.Resource) ([]access.Key, error) {
	if s.grant.IsTrusted() {
		return nil, nil
	}
	ix, err := s.store.Registry().Index(r.Root(), p.key.ID)
	if err != nil {
		return nil, fmt.Errorf("index a %s: %w", r.Type(), err)
	}
	w := access.Write{Interaction: p.interaction, Type: p.key.Type, New: access.NewContent(ix, r.Root())}
	return unique(questions(&w)), nil
}

// SeesReceipt reports whether a create of e finds out by itself whether it was carried out before
// under its Idempotency-Key, so that nobody need ask first.
func (s *Session) SeesReceipt(ctx context.Context, e Entry) bool {
	switch e.Key.Type {
	case "Communication", "QuestionnaireResponse", "Task":
		return e.Method == "POST" && !e.Conditional && s.minds(ctx, &e)
	}
	return false
}

// received returns store.ErrReceived in place of err, an Outcome, if the transaction was carried
// out before: what is refused now was not then.
func (t *transaction) received(ctx context.Context, err error) error {
	if t.Receipt == nil || t.Dry || t.Past || fhir.AsOutcome(err) == nil || !t.Single || len(t.Entries) != 1 || !t.SeesReceipt(ctx, t.Entries[0]) {
		return err
	}
	kept, failed := t.store.Received(ctx, t.holder(), t.Receipt.Key)
	switch {
	case failed != nil:
		return errors.Join(err, failed)
	case kept != nil:
		return store.ErrReceived
	}
	return err
}
