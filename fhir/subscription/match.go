package subscription

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// A loading reads of one entry of the feed what is needed, when it is.
type loading struct {
	engine   *Engine
	matcher  *matcher
	followed store.Followed
	version  *store.Version
	old      *document
	hasOld   bool
}

// match adds an event for each subscription that a rule fires for, if its
// subscriber sees the version.
func (l *loading) match(ctx context.Context, candidates []*rule, b *batch) error {
	now, err := l.load(ctx, l.followed.Number)
	if now == nil || err != nil {
		return err
	}
	before := func() (*document, error) { return l.before(ctx) }
	fired := map[*watch]bool{}
	for _, r := range candidates {
		if fired[r.of] {
			continue
		}
		fires, err := r.fires(now, before)
		if err != nil {
			return err
		}
		if !fires {
			continue
		}
		about, err := l.about(ctx, r, now)
		if err != nil {
			return err
		}
		if about == nil {
			continue
		}
		fired[r.of] = true
		if l.sees(ctx, r.of, about, b) {
			b.events = append(b.events, event{subscription: r.of.id, key: about.Key, version: about.Number, at: l.followed.Updated})
		}
	}
	return nil
}

// about returns what an event of r is about: the version itself, or the current one of
// what it names, nil if that is not there or does not meet the filters.
func (l *loading) about(ctx context.Context, r *rule, now *document) (*store.Version, error) {
	if r.focus == nil {
		return l.version, nil
	}
	k := r.about(now, r.of.typ)
	if k.ID == "" {
		return nil, nil
	}
	v, err := l.engine.Store.Read(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("read what an event is about: %w", err)
	}
	if v == nil || v.Stored == nil {
		return nil, nil
	}
	d, err := l.decode(v)
	if err != nil {
		l.unreadable(ctx, v, err)
		return nil, nil
	}
	if !search.Match(r.filters, d.index, nil) {
		return nil, nil
	}
	return v, nil
}

// unreadable tells of a version that fires nothing: a poisoned one must not stop all
// others.
func (l *loading) unreadable(ctx context.Context, v *store.Version, err error) {
	l.engine.Log.ErrorContext(ctx, "a version fires no subscription because it cannot be read", "type", v.Key.Type, "rid", l.followed.RID, "version", v.Number, "error", err)
}

// before returns the version before, nil for none or a deletion.
func (l *loading) before(ctx context.Context) (*document, error) {
	if l.hasOld || l.followed.Fresh {
		return l.old, nil
	}
	version := l.version
	old, err := l.load(ctx, l.followed.Number-1)
	l.version = version
	if err != nil {
		return nil, err
	}
	l.old, l.hasOld = old, true
	return old, nil
}

// load reads and decodes a version. One that is not there any more, or cannot be
// read, fires nothing.
func (l *loading) load(ctx context.Context, number int) (*document, error) {
	k := l.followed.Key
	v, err := l.engine.Store.VRead(ctx, k, number)
	if err != nil {
		return nil, fmt.Errorf("read a version that may be an event: %w", err)
	}
	l.version = v
	if v == nil || v.Stored == nil {
		return nil, nil
	}
	d, err := l.decode(v)
	if err != nil {
		l.unreadable(ctx, v, err)
		return nil, nil
	}
	return d, nil
}

func (l *loading) decode(v *store.Version) (*document, error) {
	r, err := fhir.Decode(v.Key.Type, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode it: %w", err)
	}
	ix, err := l.matcher.watches.registry.Index(r.Root(), v.Key.ID)
	if err != nil {
		return nil, fmt.Errorf("index it: %w", err)
	}
	ix.Updated = v.Updated
	return &document{r.Root(), ix}, nil
}

// sees reports whether the subscriber of w sees a version now. If that cannot be
// found out there is an event, and it is asked again when it is delivered.
func (l *loading) sees(ctx context.Context, w *watch, v *store.Version, b *batch) bool {
	g, err := l.engine.recent(ctx, w.holder)
	if hasEnded(err) {
		b.look = append(b.look, w.id)
		return false
	}
	if err != nil {
		return true
	}
	sees, err := l.engine.sees(g, v)
	return sees || err != nil
}

// sees reports whether g may search and read a version.
func (e *Engine) sees(g access.Grant, v *store.Version) (bool, error) {
	for _, needs := range []access.Permission{access.MayRead, access.MaySearch} {
		if sees, err := e.Store.Sees(g, needs, v); !sees || err != nil {
			return false, err
		}
	}
	return true, nil
}
