package timer

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// A batch is what comes of a page of the feed.
type batch struct {
	planned []fhir.Key // that have exactly these alarms now
	alarms  []planned
	failed  []fhir.Key // that are to be planned again, after a pause
	later   []fhir.Key // that are to be planned again, soon
	stale   time.Time  // of those that are planned later: what was due before it is not to sound; zero is nothing
}

// A planned is an alarm that a resource has.
type planned struct {
	Alarm
	past bool // it is not to sound any more
}

func (b *batch) isEmpty() bool { return len(b.planned)+len(b.failed)+len(b.later) == 0 }

// plan adds to b which alarms the resources of a page have, and those that are to be planned
// again. The feed says of each resource once that it has changed, whatever happened to it
// within a page.
func (e *Engine) plan(ctx context.Context, page []store.Followed, again []replan, b *batch) {
	none := map[fhir.Key]bool{} // whether the newest version has no alarms whatever it says
	stale := map[fhir.Key]time.Time{}
	var keys []fhir.Key
	for _, r := range again {
		stale[r.key] = r.stale
		keys = append(keys, r.key)
	}
	for _, f := range page {
		none[f.Key] = f.Past || f.Op == store.Delete
		keys = append(keys, f.Key)
	}
	met, began := map[fhir.Key]bool{}, time.Now()
	for _, k := range keys {
		if met[k] {
			continue
		}
		met[k] = true
		if !none[k] && time.Since(began) > followLease/2 {
			b.later = append(b.later, k) // before the lease runs out
			continue
		}
		var alarms []Alarm
		err := guarded(func() (err error) {
			if !none[k] {
				alarms, err = e.Plan(ctx, k)
			}
			return err
		})
		if err != nil {
			e.Log.ErrorContext(ctx, "the timers of a resource are not planned; it is tried again", "type", k.Type, "error", err)
			b.failed = append(b.failed, k)
			continue
		}
		b.planned = append(b.planned, k)
		for _, a := range alarms {
			a.Key = k
			b.alarms = append(b.alarms, planned{a, a.Due.Before(stale[k])})
		}
	}
}

// kept has what is due looked for, and says what is not to sound.
func (e *Engine) kept(ctx context.Context, b *batch) {
	if len(b.alarms) > 0 {
		e.wake()
	}
	if n := b.silent(); n > 0 {
		e.Log.WarnContext(ctx, "what was due long before timers were planned for the first time does not sound", "alarms", n)
	}
}

// silent returns how many alarms are not to sound.
func (b *batch) silent() (n int) {
	for _, a := range b.alarms {
		if a.past {
			n++
		}
	}
	return n
}

// forgetQuery removes the timers that resources have no more, and that they are to be
// planned again.
const forgetQuery = `
DELETE FROM timer t USING unnest($1::text[], $2::text[]) AS p (type, id)
WHERE t.type = p.type AND t.id = p.id AND NOT EXISTS (
	SELECT FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[]) AS n (type, id, kind, due)
	WHERE n.type = t.type AND n.id = t.id AND n.kind = t.kind AND n.due = t.due)`

// keepQuery adds the timers that resources have, and what is not to sound as if it had. One that has sounded stays so. One that is
// being tried begins anew, as its resource has changed: what becomes of the try says nothing
// of it any more.
const keepQuery = `
INSERT INTO timer (type, id, kind, due, every, at, next)
SELECT type, id, kind, due, every, due, CASE WHEN past THEN 'infinity' ELSE due END
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::boolean[]) AS n (type, id, kind, due, every, past)
ON CONFLICT (type, id, kind, due) DO UPDATE SET every = excluded.every, next = timer.at, claim = timer.claim + 1, attempts = 0
WHERE timer.next < 'infinity' AND (timer.next <> timer.at OR timer.every <> excluded.every)`

// laterQuery has resources planned again after a pause that becomes longer. In such a row at
// is the time before which what was due is not to sound.
const laterQuery = `
INSERT INTO timer (type, id, kind, due, every, at, next)
SELECT type, id, '', '-infinity', 0, coalesce($5::timestamptz, '-infinity'), coalesce($1::timestamptz, clock_timestamp()) + $4 * interval '1 millisecond' FROM unnest($2::text[], $3::text[]) AS n (type, id)
ON CONFLICT (type, id, kind, due) DO UPDATE SET attempts = timer.attempts + 1,
	next = excluded.next + $4 * least(300, 2 ^ least(timer.attempts, 16)) * interval '1 millisecond'`

// store writes b by tx.
func (b *batch) store(ctx context.Context, tx *sql.Tx, now sql.NullTime) error {
	if len(b.planned) > 0 {
		var types, ids, kinds, dues []string
		var every []int64
		var past []bool
		for _, a := range unique(b.alarms) {
			types, ids, kinds = append(types, a.Key.Type), append(ids, a.Key.ID), append(kinds, a.Kind)
			dues, every, past = append(dues, a.Due.UTC().Format(time.RFC3339Nano)), append(every, a.Every.Milliseconds()), append(past, a.past)
		}
		of, named := columns(b.planned)
		if _, err := tx.ExecContext(ctx, forgetQuery, of, named, pq.Array(types), pq.Array(ids), pq.Array(kinds), pq.Array(dues)); err != nil {
			return fmt.Errorf("forget timers: %w", err)
		}
		if len(ids) > 0 {
			if _, err := tx.ExecContext(ctx, keepQuery, pq.Array(types), pq.Array(ids), pq.Array(kinds), pq.Array(dues), pq.Array(every), pq.Array(past)); err != nil {
				return fmt.Errorf("add timers: %w", err)
			}
		}
	}
	for _, l := range []struct {
		keys  []fhir.Key
		pause time.Duration
	}{{b.failed, pause}, {b.later, 0}} {
		if len(l.keys) == 0 {
			continue
		}
		of, named := columns(l.keys)
		if _, err := tx.ExecContext(ctx, laterQuery, now, of, named, l.pause.Milliseconds(), sql.NullTime{Time: b.stale, Valid: !b.stale.IsZero()}); err != nil {
			return fmt.Errorf("have timers planned again: %w", err)
		}
	}
	return nil
}

// unique returns alarms without those that name the same one again.
func unique(all []planned) []planned {
	type name struct {
		key  fhir.Key
		kind string
		due  int64
	}
	met := map[name]bool{}
	var some []planned
	for _, a := range all {
		if n := (name{a.Key, a.Kind, a.Due.UnixMicro()}); !met[n] {
			met[n] = true
			some = append(some, a)
		}
	}
	return some
}

// columns returns types and ids of keys as arrays.
func columns(keys []fhir.Key) (types, ids any) {
	t, i := make([]string, 0, len(keys)), make([]string, 0, len(keys))
	for _, k := range keys {
		t, i = append(t, k.Type), append(i, k.ID)
	}
	return pq.Array(t), pq.Array(i)
}
