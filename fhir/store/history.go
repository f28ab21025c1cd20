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

// safeQuery finds the oldest transaction of those that have an id and a lock on ver, of whatever
// kind. With more than $1 that have an id it takes the oldest of these: some of so many write
// versions, and a look at the locks takes as long as there are many.
const safeQuery = `WITH c AS MATERIALIZED (SELECT clock_timestamp() AS now)
	SELECT date_trunc('milliseconds', least(c.now, CASE WHEN w.count > $1 THEN w.least ELSE (
		SELECT min(s.start) FROM unnest(w.pids, w.starts) AS s (pid, start) WHERE s.pid IN (SELECT l.pid FROM pg_locks l WHERE l.relation = 'ver'::regclass)) END))
	FROM c, LATERAL (
		SELECT count(*) AS count, min(a.xact_start) AS least, array_agg(a.pid) AS pids, array_agg(a.xact_start) AS starts FROM pg_stat_activity a
		WHERE a.backend_xid IS NOT NULL AND a.datname = current_database() AND a.backend_type = 'client backend' AND c.now IS NOT NULL) w`

// fewWrite is up to how many transactions it is asked of each whether it writes versions.
const fewWrite = 8

// SafeTime returns a time such that every version to be seen later is from that
// millisecond or after it. An open transaction that writes versions holds it back.
//
// A write locks ver, and takes its transaction id, before it takes its time, and the start of its
// transaction is before all of that. So what is not yet visible to a statement that
// begins after this one either was running with an id and a lock, and then is no older than
// the start of its transaction, or got one of them later, and then is no older than
// the clock was before the look. In which order the two were looked at is no matter: a transaction
// keeps both until what it has written is visible. All servers must use one role of the database,
// since Postgres shows the transactions of others without their start.
//
// What has no lock on ver holds nothing back: the followers of the feed with what they store of it,
// the audit, the sessions. What they write as resources they write as everybody does.
func (db *DB) SafeTime(ctx context.Context) (time.Time, error) {
	var t time.Time
	if err := db.sql.QueryRowContext(ctx, safeQuery, fewWrite).Scan(&t); err != nil {
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
