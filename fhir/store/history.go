package store

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
)

// History asks for versions, newest first. https://hl7.org/fhir/R4/http.html#history
type History struct {
	Type  string    // of one type; empty for the whole system
	ID    string    // of one resource of Type
	Since time.Time // versions made at or after it; zero for all
	From  time.Time // versions that were current at some moment from here
	To    time.Time // … up to before here; both zero for all
	Count int       // versions at most
	After string    // the cursor of the page before; empty for the first
}

// Page is a part of a history.
type Page struct {
	Versions []Version
	Total    int       // of one resource's history without limits; -1 when it was not counted, as when it takes the bodies
	Safe     time.Time // no version older than this is still to appear; what to ask for as Since next time
	Next     string    // the cursor of the next page; empty at the end
}

// SafeTime returns a time such that every version to be seen later is from that
// millisecond or after it. An open write transaction holds it back.
//
// A write takes its transaction id first and its time second, and the start of
// its transaction is before both. So what is not yet visible to a statement that
// begins after this one either was running with an id, and then is no older than
// the start of its transaction, or got its id later, and then is no older than
// the clock was before the look. All servers must use one role of the database,
// since Postgres shows the transactions of others without their start.
func (db *DB) SafeTime(ctx context.Context) (time.Time, error) {
	const query = `WITH c AS MATERIALIZED (SELECT clock_timestamp() AS now)
		SELECT date_trunc('milliseconds', least(c.now, (SELECT min(xact_start) FROM pg_stat_activity
			WHERE backend_xid IS NOT NULL AND datname = current_database() AND backend_type = 'client backend' AND c.now IS NOT NULL))) FROM c`
	var t time.Time
	if err := db.sql.QueryRowContext(ctx, query).Scan(&t); err != nil {
		return t, readFault("read the safe time", err)
	}
	return t, nil
}

// History returns a page of versions that g shows: of those resources whose
// current version is shown, the last one before a deletion, the versions that are
// shown themselves. It takes the permission to read for one resource, to search
// for others. The zero Grant shows none. All pages that follow from one first page
// show the same versions, whatever is written meanwhile, unless the right to see
// them is lost. A cursor that is not from this installation, this request and this
// grant is refused.
func (db *DB) History(ctx context.Context, g access.Grant, h History) (Page, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	p := db.past(g, h)
	if !p.sight.Unlimited() {
		// Who sees a row that is still to be built is not known.
		if err := searchable(p.registry); err != nil {
			return Page{}, err
		}
	}
	if err := p.begin(ctx); err != nil {
		return Page{}, err
	}
	return p.page(ctx)
}

// begin finds the place where the page begins.
func (p *past) begin(ctx context.Context) (err error) {
	if p.After != "" {
		p.at, err = p.db.secret.open(p.After, p.purpose)
		return err
	}
	p.at.safe, err = p.db.SafeTime(ctx)
	return err
}

// page reads batches until it is known what comes after the page.
func (p *past) page(ctx context.Context) (Page, error) {
	page := Page{Safe: p.at.safe, Total: -1}
	for len(p.sight) > 0 {
		size := p.size()
		batch, err := p.batch(ctx, size, &page.Total)
		if err != nil {
			return Page{}, err
		}
		for _, e := range batch {
			seen, err := p.sees(ctx, e)
			switch {
			case err != nil:
				return Page{}, err
			case !seen:
			case len(page.Versions) == p.Count:
				page.Next = p.db.secret.seal(p.last, p.purpose)
				return page, nil
			default:
				p.last = e.cursor
				page.Versions = append(page.Versions, e.Version)
			}
		}
		if len(batch) < size {
			return page, nil
		}
	}
	return page, nil
}

// leastBatch is how many versions are read at least that are held against more
// than SQL can say.
const leastBatch = 100

// size returns how many versions a batch has: one more than wanted, which proves a
// next page.
func (p *past) size() int {
	if p.granular {
		return max(p.Count+1, leastBatch)
	}
	return p.Count + 1
}
