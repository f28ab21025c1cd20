package store

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
)

// A Feed asks for what has changed.
type Feed struct {
	Types     []string      // of these types; none for all
	Count     int           // entries at most
	After     string        // the cursor of the page before; empty for the first
	NotOrigin string        // leaves out what this client has written; empty for nothing
	Replay    bool          // the first page begins with every version there is rather than with the current state
	Retention time.Duration // how old a cursor may become; zero for ever
	Now       time.Time     // when it is asked; zero is the time of the machine
}

func (f Feed) now() time.Time {
	if f.Now.IsZero() {
		return time.Now()
	}
	return f.Now
}

// A FeedEntry is a version that somebody sees, or a resource that is gone for them.
type FeedEntry struct {
	Version
	Origin  string // the client that wrote the version; empty for none
	Reason  string // Deleted, Left, Error or Entered; empty for a version as such
	Settled bool   // the changes up to here are those of whole transactions
	Past    bool   // the version was loaded as history
}

// A FeedPage is a part of the feed.
type FeedPage struct {
	Entries  []FeedEntry
	Next     string // the cursor of what comes after; never empty
	More     bool   // there is more at once
	Snapshot bool   // the first state is not at its end yet
	At       time.Time
}

// Changes returns a page of the feed that g shows. The feed begins with the current
// state, of each resource the version that is current then, and goes on with every
// version that is committed after, each exactly once, those of one resource in order.
// A resource that the caller had or could have had comes as one without content,
// with a Reason, when it is deleted or can no longer be seen; one that can be seen
// only since comes with a Reason too. It takes the permission to search. What cannot
// be seen any more when it would be its turn is left out. The zero Grant shows
// nothing.
//
// An open transaction of somebody holds nothing back. A page may end in the middle of
// a transaction; Settled says where none is cut.
//
// A cursor that was not given for f by the same caller is a BadRequest
// [*fhir.Outcome], one that has expired is Gone.
func (db *DB) Changes(ctx context.Context, g access.Grant, f Feed) (FeedPage, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	w := db.feedReader(g, f)
	c, err := db.cursor(g, f)
	if err != nil {
		return FeedPage{}, err
	}
	if w.limited() {
		// Who sees a row that is still to be built is not known.
		if err := searchable(w.registry); err != nil {
			return FeedPage{}, err
		}
	}
	w.at = feedCursor{generation: db.secret.generation, purpose: feedPurpose(g, f), shows: feedShows(g, f.Types)}
	if c != nil {
		w.at = *c
	} else if err := w.start(ctx); err != nil {
		return FeedPage{}, err
	}
	return w.page(ctx)
}

// start begins with the state as of now, or before everything.
func (w *feedReader) start(ctx context.Context) (err error) {
	if w.Replay {
		w.at.phase, w.at.then.at = feedBetween, w.moment()
		return nil
	}
	w.at.phase, w.at.place = feedState, leastRID
	w.at.then, _, err = w.db.begin(ctx, w.now())
	return err
}

// page reads the page at the cursor.
func (w *feedReader) page(ctx context.Context) (FeedPage, error) {
	p := FeedPage{At: w.now()}
	if w.at.phase == feedState {
		more, err := w.state(ctx, &p)
		if err != nil {
			return FeedPage{}, err
		}
		p.Snapshot = true
		if p.More = more; !more {
			w.at.phase, w.at.place = feedBetween, 0
		}
		p.Next = w.db.secret.sealFeed(&w.at)
		return p, nil
	}
	if err := w.changes(ctx, &p); err != nil {
		return FeedPage{}, err
	}
	p.Next = w.db.secret.sealFeed(&w.at)
	return p, nil
}
