package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	placePage  = 20 // changes of one look behind a place in the feed
	placeLooks = 10 // looks at most
)

// A Place is how far the feed is followed for a purpose, by whichever server does.
type Place struct {
	Followed bool          // some server follows it now
	Lag      time.Duration // age of the oldest change that was not looked at; 0 if there is none, and before the feed was ever followed
}

// Place returns how far the feed is followed. Store, SQL, Table and Name of f are needed. A place
// that is lost has no lag: whoever follows is to begin anew.
func (f Follower) Place(ctx context.Context) (Place, error) {
	var position string
	var p Place
	const query = `SELECT position, lease > coalesce($1::timestamptz, clock_timestamp()) FROM %s`
	err := f.SQL.QueryRowContext(ctx, f.statement(query), f.at()).Scan(&position, &p.Followed)
	if err == nil {
		p.Lag, err = f.behind(ctx, position)
	}
	if err != nil {
		return Place{}, fmt.Errorf("ask how far the feed is followed for %s: %w", f.Name, err)
	}
	return p, nil
}

// behind returns how old the first change behind a position is.
func (f *Follower) behind(ctx context.Context, position string) (time.Duration, error) {
	if position == "" {
		return 0, nil
	}
	for range placeLooks {
		page, next, more, err := f.Store.Follow(ctx, position, nil, placePage)
		if errors.Is(err, ErrFollowing) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		for i := range page {
			if !page[i].Past { // what was loaded as history is older than its arrival
				return max(0, f.today().Sub(page[i].Updated)), nil
			}
		}
		if !more {
			return 0, nil
		}
		position = next
	}
	return 0, nil
}
