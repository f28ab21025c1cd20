package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Followed is a version or a deletion, for who follows the whole feed.
type Followed struct {
	Key     fhir.Key
	RID     int64
	Number  int
	Op      Op
	Fresh   bool // the first version, or one after a deletion
	Seq     int64
	Updated time.Time
	Past    bool    // it was loaded as history
	Keys    []int64 // what its row has, and its RID, as long as it is the current version; nil otherwise
}

// ErrFollowing says that a position is none of this feed: a restore has begun
// another one, or the text was changed. What has happened since cannot be told.
var ErrFollowing = errors.New("the position is none in this feed")

// Follow returns the next n versions and deletions of some types, of all types
// without any, behind a position, where to go on, and whether there may be more at once.
// The empty position is that of now, and gives none. It is for the server itself: it
// asks nobody what may be seen. Every version that is committed comes exactly once,
// those of one resource in order, and no open transaction holds others back.
func (db *DB) Follow(ctx context.Context, position string, types []string, n int) ([]Followed, string, bool, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	w := &feedReader{Feed: Feed{Types: types, Count: n}, db: db, whole: true}
	if position == "" {
		return w.fromNow(ctx)
	}
	var err error
	if w.at, err = followed(position); err != nil || w.at.generation != db.secret.generation {
		return nil, "", false, ErrFollowing
	}
	all, more, err := w.follow(ctx)
	return all, w.at.position(), more, err
}

func (w *feedReader) fromNow(ctx context.Context) ([]Followed, string, bool, error) {
	then, _, err := w.db.begin(ctx, time.Now())
	w.at = feedCursor{phase: feedBetween, generation: w.db.secret.generation, feedSpan: feedSpan{then: then}}
	return nil, w.at.position(), false, err
}

func (c *feedCursor) position() string { return base64.RawURLEncoding.EncodeToString(c.pack()) }

func followed(position string) (feedCursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(position)
	if err != nil {
		return feedCursor{}, errPacked
	}
	return unpackFeed(b)
}

// follow reads the next part of the window that the position is in, or else of the
// one up to now.
func (w *feedReader) follow(ctx context.Context) ([]Followed, bool, error) {
	begun := w.at.phase == feedWithin // by an earlier call: behind its window there may be more by now
	if !begun {
		now, high, err := w.db.begin(ctx, time.Now())
		if err != nil {
			return nil, false, err
		}
		if w.at.then.quiet(now) {
			w.at.then = now
			return nil, false, nil
		}
		if err := w.enter(ctx, now, high); err != nil {
			return nil, false, err
		}
	}
	for {
		all, err := w.followOn(ctx)
		switch {
		case err != nil:
			return nil, false, err
		case len(all) == w.Count:
			w.at.place = all[len(all)-1].Seq
			return all, true, nil
		case w.small() || w.end() >= w.at.high:
			w.at.phase, w.at.feedSpan, w.at.place = feedBetween, feedSpan{then: w.at.now}, 0
			return all, begun, nil
		}
		w.at.place = w.end()
		if w.examined += feedBatch; len(all) > 0 || w.examined >= feedExamined {
			return all, true, nil
		}
	}
}

// followedColumns is what is told of a version.
const followedColumns = `SELECT v.type, v.id, v.updated, v.op, ` + freshQuery + `, coalesce(v.past, false),
	(SELECT r.keys FROM res r WHERE r.rid = v.rid AND r.type = v.type AND r.ver = v.ver AND NOT r.deleted)
	FROM ver v WHERE v.rid = c.rid AND v.ver = c.ver`

func (w *feedReader) followOn(ctx context.Context) ([]Followed, error) {
	q := &query{}
	w.what = followedColumns
	w.read(q, w.arms(q, w.Count), fmt.Sprintf("seq LIMIT %d", w.Count))
	var all []Followed
	err := w.connected(ctx, q, func(rows *sql.Rows) error {
		var f Followed
		var given bool
		var xid string
		var typ sql.NullInt16
		var id, op sql.NullString
		var updated sql.NullTime
		var fresh, past sql.NullBool
		if err := rows.Scan(&given, &f.Seq, &xid, &f.RID, &f.Number, &typ, &id, &updated, &op, &fresh, &past, (*keyList)(&f.Keys)); err != nil {
			return err
		}
		f.Key, f.Updated, f.Fresh, f.Past = fhir.Key{Type: w.db.names[typ.Int16], ID: id.String}, updated.Time, fresh.Bool, past.Bool
		if len(op.String) == 1 {
			f.Op = Op(op.String[0])
		}
		if f.Keys != nil {
			f.Keys = append(f.Keys, f.RID)
		}
		all = append(all, f)
		return nil
	})
	return all, err
}

// DrivingKeys returns keys of which a resource of a type that meets where has at
// least one, as [Followed] gives them; none if no resource can. It picks what the
// fewest resources have. It is not ok if nothing of the kind can be said.
func (db *DB) DrivingKeys(typ string, where []search.Condition) (keys []int64, ok bool) {
	f := db.secret.Filter(db.scope(typ), where)
	if f.Never {
		return nil, true
	}
	v := db.statistics(time.Now()).view(db.types[typ], typ == "")
	least := 2.0
	offer := func(list []int64, share float64) {
		if share < least {
			keys, least, ok = slices.Clone(list), share, true
		}
	}
	for _, list := range f.RIDs {
		offer(list, 0)
	}
	for _, key := range f.All {
		offer([]int64{key}, v.share(key))
	}
	for _, list := range f.Any {
		offer(list, v.shareOfAny(list))
	}
	for _, p := range f.Where {
		if p.Keys != nil {
			offer(p.Keys, v.shareOfAny(p.Keys))
		}
	}
	return keys, ok
}
