package interaction

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// lookBack reads the versions that are asked for by number, which do not change, before
// the transaction takes its connection.
func (t *transaction) lookBack(ctx context.Context) error {
	for i := range t.parts {
		p := &t.parts[i]
		if p.Reading == nil || p.Reading.Page != nil || p.Reading.Version == 0 {
			continue
		}
		v, err := t.store.VRead(ctx, p.Key, p.Reading.Version)
		if err != nil {
			return err
		}
		p.earlier = v
	}
	return nil
}

// What the entries of a transaction read is held until all of it is answered.
const (
	mostRead  = 50 << 20 // bytes of it
	besideOne = 1 << 10  // of them that a version takes beside its content
)

// read performs the entries that read, which see what the others have written.
func (t *transaction) read(ctx context.Context, tx *store.Tx) error {
	size := 0
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.Reading == nil:
		case size > mostRead:
			p.err = fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "", "The entries before this one read too much for one transaction; ask for less, or by itself.")
		case p.Reading.Page != nil:
			p.err = t.searchPage(ctx, tx, p)
		default:
			p.err = t.readOne(ctx, tx, p)
		}
		if p.err != nil {
			p.recorded = true
			return t.problems()
		}
		size += p.reply.size()
	}
	return nil
}

// size returns how many bytes r holds, about.
func (r *Reply) size() int {
	n := len(r.Stored)
	if r.Found != nil {
		for _, v := range slices.Concat(r.Found.Versions, r.Found.Included) {
			n += len(v.Stored) + besideOne
		}
	}
	return n
}

// readOne reads one version for p.
func (t *transaction) readOne(ctx context.Context, tx *store.Tx, p *part) error {
	if t.keepsAudit(p.Key.Type) {
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "AuditEvents are not read in a transaction; ask for them by themselves.")
	}
	v, err := tx.Read(ctx, p.Key)
	if err == nil {
		v, err = t.seen(access.MayRead, v)
	}
	if n := p.Reading.Version; err == nil && v != nil && n > 0 && v.Number != n {
		v, err = t.seen(access.MayRead, p.earlier)
	}
	v, err = present(v, err)(p.Key.Type)
	if v, err = t.shown(t.saw(ctx, p.interaction, p.Key, v, err)); err != nil {
		return err
	}
	p.reply.Version, p.reply.NotModified = *v, v.Number == p.Reading.IfNoneMatch
	return nil
}

// searchPage searches for p.
func (t *transaction) searchPage(ctx context.Context, tx *store.Tx, p *part) error {
	page := *p.Reading.Page
	q, err := t.understand(ctx, t.store.Registry(), page)
	found := Found{Query: q}
	switch {
	case err != nil:
	case page.After != "" || len(q.Types) == 1 && t.keepsAudit(q.Types[0]):
		err = fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "A transaction answers the first page of a search, and none for AuditEvents; ask for this one by itself.")
	default:
		found.Matches, err = tx.Search(ctx, t.grant, q)
	}
	if found, err = t.searched(ctx, tx, page, found, err); err != nil {
		return err
	}
	t.shownAll(found.Versions)
	t.shownAll(found.Included)
	p.reply.Found = &found
	return nil
}
