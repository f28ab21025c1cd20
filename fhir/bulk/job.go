package bulk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// The kinds of jobs.
const (
	exportKind  = "export"
	importKind  = "import"
	requestKind = "request"
)

// errLost means that another server goes on with a job, or that it was cancelled.
var errLost = errors.New("the job is not this server's any more")

// A job is one that this server works on.
type job struct {
	id, kind, holder string
	asked, place     []byte
	created          time.Time
	turn             int
	until            time.Time // of the lease, by the own clock, and not longer than by that of the database
}

// name returns what logs call j. Its id opens a door.
func (j *job) name() string { return j.kind + "-" + j.id[:8] }

// ownerOf returns whose a job is that g begins, empty if it can be nobody's.
func ownerOf(g access.Grant) string {
	if g.Client() == "" {
		return ""
	}
	// Strings can always be written.
	text, _ := json.Marshal([]string{g.Client(), g.Terms().User.String()})
	return string(text)
}

// holderOf returns by what g is made anew, or an Outcome when it cannot be.
func holderOf(g access.Grant) (holder, owner string, err error) {
	holder, owner = g.Terms().Holder, ownerOf(g)
	if holder == "" || owner == "" {
		return "", "", fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "This token is good for requests that are answered at once only: the server is not told when it ends. Use one that this server has issued.")
	}
	return holder, owner, nil
}

// begin stores a job, in the given state, with what it was sent.
func (e *Engine) begin(ctx context.Context, g access.Grant, kind, state string, asked any) (id string, err error) {
	holder, owner, err := holderOf(g)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return "", fmt.Errorf("write what a job is asked: %w", err)
	}
	id = newName()
	now := e.now()
	const insert = `INSERT INTO bulk_job (id, kind, state, owner, holder, asked, created, expires, lease)
		SELECT $1, $2, $3::text, $4::text, $5, $6::jsonb, $7, $8, CASE WHEN $3 = 'receiving' THEN clock_timestamp() + $9 * interval '1 second' ELSE '-infinity' END
		WHERE (SELECT count(*) FROM bulk_job WHERE owner = $4 AND state IN ('receiving', 'waiting')) < $10`
	n, err := e.change(ctx, insert, id, kind, state, owner, holder, string(text), now, now.Add(unfinished), arrival.Seconds(), mostJobs)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", fhir.Errorf(fhir.Busy, fhir.Throttled, "", "You have %d jobs that are not done; wait for some of them, or delete them.", mostJobs)
	}
	e.wake()
	return id, nil
}

// mostJobs is how many jobs somebody may have that are not done.
const mostJobs = 100

// unfinished is how long a job is kept that does not come to an end.
const unfinished = 7 * 24 * time.Hour

func (e *Engine) now() time.Time { return e.Now().UTC().Truncate(time.Microsecond) }

// claim takes up the job that waits longest, nil if there is none.
func (e *Engine) claim(ctx context.Context) (*job, error) {
	const query = `UPDATE bulk_job SET node = $1, lease = clock_timestamp() + $2 * interval '1 second', turn = turn + 1
		WHERE id = (SELECT id FROM bulk_job WHERE state = 'waiting' AND lease < clock_timestamp()
			AND CASE $3::int WHEN 1 THEN holder = $4 WHEN 2 THEN holder <> $4 ELSE true END ORDER BY lease, created LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, kind, holder, asked, place, created, turn`
	j := &job{until: time.Now().Add(e.Lease)}
	err := e.db.QueryRowContext(ctx, query, e.Node, e.Lease.Seconds(), int(e.Takes), access.LocalHolder).Scan(&j.id, &j.kind, &j.holder, &j.asked, &j.place, &j.created, &j.turn)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("take up a job", err)
	}
	return j, nil
}

// beat renews the lease of j until ctx is done, and cancels the work when it is
// lost, or may be.
func (e *Engine) beat(ctx context.Context, j *job, cancel context.CancelCauseFunc) {
	pause := e.Lease / 4
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		until := time.Now().Add(e.Lease)
		beating, done := context.WithTimeout(ctx, pause)
		n, err := e.change(beating, `UPDATE bulk_job SET lease = clock_timestamp() + $3 * interval '1 second' WHERE id = $1 AND turn = $2 AND state = 'waiting'`, j.id, j.turn, e.Lease.Seconds())
		done()
		switch {
		case err == nil && n == 0:
			cancel(errLost)
			return
		case err == nil:
			j.until = until
		case time.Until(j.until) < pause:
			cancel(errLost)
			return
		}
	}
}

// change runs a statement and returns how many rows it has changed.
func (e *Engine) change(ctx context.Context, statement string, args ...any) (int64, error) {
	done, err := e.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, fault("store the state of a job", err)
	}
	return done.RowsAffected()
}

// own is change for a statement about a job that this server must still have.
func (e *Engine) own(ctx context.Context, statement string, args ...any) error {
	n, err := e.change(ctx, statement, args...)
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// release puts j back, to be taken up again after a pause.
func (e *Engine) release(ctx context.Context, j *job, pause time.Duration) error {
	return e.own(ctx, `UPDATE bulk_job SET node = '', lease = clock_timestamp() + $3 * interval '1 second' WHERE id = $1 AND turn = $2 AND state = 'waiting'`, j.id, j.turn, pause.Seconds())
}

// fail ends j with an Outcome.
func (e *Engine) fail(ctx context.Context, j *job, o *fhir.Outcome) error {
	return e.own(ctx, `UPDATE bulk_job SET state = 'failed', node = '', error = $3, ended = $4, expires = $5 WHERE id = $1 AND turn = $2 AND state = 'waiting'`,
		j.id, j.turn, o.JSON(), e.now(), e.now().Add(e.Expiry))
}

// cleaning is how often jobs are removed that are over.
const cleaning = time.Minute

// clean removes jobs that nobody may fetch any more, and those that were never
// sent whole.
func (e *Engine) clean(ctx context.Context) {
	for {
		const remove = `DELETE FROM bulk_job WHERE expires < $1 OR state = 'receiving' AND lease < clock_timestamp()`
		if _, err := e.change(ctx, remove, e.now()); err != nil && ctx.Err() == nil {
			e.Log.Warn("jobs that are over cannot be removed at the moment", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(cleaning):
		}
	}
}

// fault wraps err with what was being done, and tells the database being away from
// everything else.
func fault(doing string, err error) error {
	wrapped := fmt.Errorf("%s: %w", doing, err)
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch {
		case e.Code == "53100":
			return fhir.Errorf(fhir.Full, fhir.NoStore, "", "There is no room left to store anything; reading goes on.")
		case e.Code == "23503":
			return errLost // it was cancelled
		}
		switch e.Code.Class() {
		case "08", "53", "57", "55", "40", "25":
			return &store.Unavailable{Err: wrapped}
		}
		return wrapped
	}
	return &store.Unavailable{Err: wrapped}
}
