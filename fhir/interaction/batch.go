package interaction

import (
	"cmp"
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// batchWrites is how many entries of a batch are written by one statement at most.
const batchWrites = 500

// Batch performs each entry of b by itself: none has to do with what becomes of
// another. The replies come in the order of the entries, each with an error of
// its own. In which order they are performed is not said, but that what one
// resource is asked for several times is done in their order. The links between
// entries stay as they are. https://hl7.org/fhir/R4/http.html#transaction
func (s *Session) Batch(ctx context.Context, b Bundle) ([]Reply, error) {
	if b.Receipt != nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "A batch has no Idempotency-Key, since its entries succeed and fail by themselves; send a transaction, or each request with a key of its own.")
	}
	t := &transaction{Session: s, Bundle: b}
	t.Single = true
	t.parts = make([]part, len(b.Entries))
	for i := range b.Entries {
		t.parts[i] = t.part(ctx, i)
		t.parts[i].linked = t.parts[i].Resource
	}
	together, alone, reads := t.sort(ctx)
	for len(together) > 0 {
		n := min(len(together), batchWrites)
		alone = append(alone, t.together(ctx, together[:n])...)
		together = together[n:]
	}
	slices.SortStableFunc(alone, func(a, b *part) int { return cmp.Compare(a.n, b.n) })
	for _, p := range alone {
		t.alone(ctx, p)
	}
	for _, p := range reads {
		p.reply, p.err = t.readAlone(ctx, p.Entry)
	}
	replies := t.replies()
	for i := range t.parts {
		replies[i].Err = t.parts[i].err
	}
	return replies, nil
}

// sort tells the entries that are written by one statement from those that are
// written one after the other, and those that read.
func (t *transaction) sort(ctx context.Context) (together, alone, reads []*part) {
	seen := make(map[fhir.Key]bool, len(t.parts))
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.err != nil:
			t.recordWrite(ctx, p)
		case p.Reading != nil:
			reads = append(reads, p)
		case t.Dry, p.Conditional, seen[p.key], p.minded && !t.mayBeApart(p):
			alone = append(alone, p)
		default:
			together, seen[p.key] = append(together, p), true
		}
	}
	return together, alone, reads
}

// together performs writes of different resources by one statement, and returns
// those that have to be performed once more, or by themselves.
func (t *transaction) together(ctx context.Context, parts []*part) (again []*part) {
	if err := t.look(ctx, t.store, parts); err != nil {
		t.all(ctx, parts, err)
		return nil
	}
	for _, p := range parts {
		p.err = t.propose(p)
	}
	rest, again, err := t.apart(ctx, parts)
	if err != nil {
		t.all(ctx, parts, err)
		return nil
	}
	parts = rest
	for _, p := range parts {
		if p.err == nil {
			p.err = t.outline(ctx, p)
		}
	}
	err = t.authorize(ctx, t.store, parts, func(all []*sketch, f *facts) []error {
		refused := make([]error, len(all))
		for i, k := range all {
			refused[i] = t.decide(k, f)
		}
		return refused
	})
	if err != nil {
		t.all(ctx, parts, err)
		return nil
	}
	var changes []store.Change
	var of []*part
	for _, p := range parts {
		if p.err == nil && !p.answered {
			changes, of = append(changes, store.Change{Row: p.sketch.Row, Expect: p.expect}), append(of, p)
		}
	}
	if len(changes) > 0 {
		written, err := t.store.WriteEach(ctx, changes)
		t.redefined()
		if err != nil {
			t.all(ctx, of, err)
			written, of = nil, nil
		}
		for i, p := range of {
			if p.settle(written[i]) {
				again = append(again, p)
			}
		}
	}
	for _, p := range parts {
		if p.err != nil || p.reply.Outcome != 0 {
			t.recordWrite(ctx, p)
		}
	}
	return again
}

// all lets all of parts fail by a fault.
func (t *transaction) all(ctx context.Context, parts []*part, err error) {
	for _, p := range parts {
		if p.err == nil {
			p.err = err
			t.recordWrite(ctx, p)
		}
	}
}

// alone performs a write as a request by itself.
func (t *transaction) alone(ctx context.Context, p *part) {
	replies, err := t.Transaction(ctx, Bundle{Entries: []Entry{*p.Entry}, Single: true, Dry: t.Dry, Past: t.Past})
	if p.err = err; err == nil {
		p.reply = replies[0]
	}
}

// readAlone performs an entry that reads.
func (s *Session) readAlone(ctx context.Context, e *Entry) (r Reply, err error) {
	if e.Reading.Page != nil {
		found, err := s.Search(ctx, *e.Reading.Page)
		r.Found = &found
		return r, err
	}
	var v *store.Version
	if e.Reading.Version > 0 {
		v, err = s.VRead(ctx, e.Key, e.Reading.Version)
	} else {
		v, err = s.Read(ctx, e.Key)
	}
	if v != nil {
		r.Version, r.NotModified = *v, err == nil && v.Number == e.Reading.IfNoneMatch
	}
	return r, err
}
