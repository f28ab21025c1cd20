package subscription

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// subscriptionType is the type of the resources that this is all about.
const subscriptionType = "Subscription"

// stored is a Subscription as the table subscription has it.
type stored struct {
	id       string
	version  int
	status   string
	handle   string
	criteria string
	filters  []string
	pushes   bool
	host     string
	most     int
	ends     any // a time, or 'infinity'
	holder   string
}

// filters are read from an array of texts.
type filters []string

// Scan reads an array of texts.
func (f *filters) Scan(src any) error { return (*pq.StringArray)(f).Scan(src) }

// watch returns s as what matches knows it.
func (s *stored) watch() *watch {
	w := &watch{id: s.id, holder: s.holder}
	w.topic, w.typ, w.query = parse(s.criteria, s.filters)
	return w
}

// sync makes what matches and what is to be stored go by a version of a
// Subscription, from its place in the feed on: what was written before the next
// version is matched by this one.
func (m *matcher) sync(ctx context.Context, f store.Followed, b *batch) error {
	s, err := m.engine.readStored(ctx, f.Key, f.Number)
	if err != nil || s == nil {
		return err
	}
	b.subscriptions = append(b.subscriptions, *s)
	if s.status == off {
		m.watches.remove(s.id)
		return nil
	}
	if err := m.watches.add(s.watch(), m.watches); isBuilding(err) {
		return err
	} else if err != nil {
		b.look = append(b.look, s.id)
	}
	return nil
}

// readStored returns a version of a Subscription, or the newest one if that is not
// kept any more; nil if there is none at all. One that was deleted is off.
func (e *Engine) readStored(ctx context.Context, k fhir.Key, number int) (*stored, error) {
	v, err := e.Store.VRead(ctx, k, number)
	if v == nil && err == nil {
		v, err = e.Store.ReadContent(ctx, k)
	}
	if err != nil {
		return nil, fmt.Errorf("read a Subscription: %w", err)
	}
	if v == nil {
		return nil, nil
	}
	s, err := e.row(v)
	if err != nil {
		return nil, err
	}
	o, err := e.owner(ctx, s.handle)
	s.holder = o.holder
	return s, err
}

// row returns what a version of a Subscription says.
func (e *Engine) row(v *store.Version) (*stored, error) {
	s := &stored{id: v.Key.ID, version: v.Number, status: off, most: 1, ends: "infinity"}
	if v.Deleted() {
		return s, nil
	}
	r, err := fhir.Decode(subscriptionType, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode version %d of a Subscription: %w", v.Number, err)
	}
	q, _ := e.read(r.Root())
	s.status, s.handle, s.criteria, s.filters = r.Root().Child("status").Text(), q.channel.handle, q.criteria, q.filters
	s.pushes, s.host, s.most = !q.channel.websocket, q.channel.host(), q.channel.most
	if s.handle == "" {
		s.status = off // it is from before there was anything to ask who wrote it
	}
	if !q.ends.IsZero() {
		s.ends = q.ends.Format(time.RFC3339Nano)
	}
	return s, nil
}

// syncQuery brings a row of subscription to what the resource says, unless it says
// so already. A client that switches off or on begins anew: what was not delivered
// while it was off is no longer wanted.
const syncQuery = `
INSERT INTO subscription AS s (id, version, status, handle, criteria, filters, pushes, host, most, ends, changed, due)
SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::timestamptz, now, CASE WHEN $4 IN ('requested', 'active') THEN now ELSE 'infinity' END
FROM (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now) c
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status, handle = excluded.handle, criteria = excluded.criteria,
	filters = excluded.filters, pushes = excluded.pushes, host = excluded.host, most = excluded.most, ends = excluded.ends, due = excluded.due,
	changed = CASE WHEN s.status = excluded.status THEN s.changed ELSE excluded.changed END,
	delivered = CASE WHEN excluded.status = 'off' OR NOT excluded.pushes THEN s.last ELSE s.delivered END,
	pending = CASE WHEN excluded.status = 'off' OR NOT excluded.pushes THEN s.last ELSE s.pending END,
	attempts = CASE WHEN excluded.status = 'requested' THEN 0 ELSE s.attempts END,
	failing = CASE WHEN excluded.status = 'requested' THEN NULL ELSE s.failing END,
	error = CASE WHEN excluded.status = 'requested' THEN '' ELSE s.error END
WHERE s.version < excluded.version`

// args returns the parameters of syncQuery but for the time.
func (s *stored) args() []any {
	return []any{s.id, s.version, s.status, s.handle, s.criteria, pq.Array(append([]string{}, s.filters...)), s.pushes, s.host, s.most, s.ends}
}
