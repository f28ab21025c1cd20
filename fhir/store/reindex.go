package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/lib/pq"
)

// Reindexing says how far the last rebuilding of search rows has come.
type Reindexing struct {
	Running bool
	Percent int // of the resources, 100 when it has ended
	Built   int64
	Failed  int64 // resources whose rows could not be built and were left as they are; the log has their RIDs
	Started time.Time
	Ended   time.Time // zero while it runs
}

// StartReindex has the search rows of all resources built anew, in the
// background, by whichever server comes to it. Searches go on meanwhile.
func (db *DB) StartReindex(ctx context.Context) error {
	return db.within(ctx, func(ctx context.Context, s *session) error {
		generation, err := lockGeneration(ctx, s)
		if err != nil {
			return err
		}
		return begin(ctx, s, generation+1, nil)
	})
}

// ReindexStatus returns how far the last rebuilding has come, of those that wait
// the first; nil when there has been none.
func (db *DB) ReindexStatus(ctx context.Context) (*Reindexing, error) {
	const query = `SELECT state = 'running', last_rid, done, failed, started, ended FROM reindex_job
		ORDER BY state = 'running' DESC, CASE WHEN state = 'running' THEN -job ELSE job END DESC LIMIT 1`
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	var r Reindexing
	var last *int64
	var ended sql.NullTime
	err := db.sql.QueryRowContext(ctx, query).Scan(&r.Running, &last, &r.Built, &r.Failed, &r.Started, &ended)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, readFault("read how far the reindexing is", err)
	}
	r.Ended, r.Percent = ended.Time, 100
	if r.Running {
		r.Percent = percent(last)
	}
	return &r, nil
}

// pollTime is how often the indexer looks for work that another server has left,
// and for search parameters that another server has changed.
const pollTime = time.Second

// restTime is how long it waits after a failure.
const restTime = 5 * time.Second

// RunIndexer builds search rows in the background until ctx is done, and then
// returns nil: those that a new search parameter or [DB.StartReindex] asks for,
// and those that were never built. Of several servers one at a time works. What
// was begun before a stop is taken up again. It also notices what other servers
// change of the search parameters. It uses a connection of its own; failures are
// logged, and it goes on.
func (db *DB) RunIndexer(ctx context.Context) error {
	for {
		err := db.indexOn(ctx, db.alone())
		if ctx.Err() != nil {
			return nil
		}
		db.log.Error("the indexer was interrupted and goes on soon", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restTime):
		}
	}
}

// indexOn works with the one connection of pool until something fails. To close
// it gives the advisory lock back, whatever has happened.
func (db *DB) indexOn(ctx context.Context, pool *sql.DB) error {
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return readFault("connect", err)
	}
	defer conn.Close()
	x := &indexer{db: db, conn: conn}
	// What it asks is there by an index, which plans may not see while the
	// statistics are of other times.
	if _, err := conn.ExecContext(ctx, `SET enable_seqscan = off`); err != nil {
		return readFault("set up a connection", err)
	}
	for {
		if err := x.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-db.awake:
		case <-time.After(pollTime):
		}
	}
}

// An indexer builds search rows.
type indexer struct {
	db   *DB
	conn *sql.Conn
	told time.Time // when the percentage was read last
}

// A job is a row of reindex_job that is running.
type job struct {
	id         int64
	generation int
	types      []int64 // nil for all
	walk       window
	lacking    map[string]int // resources for which the expression of a parameter, by code, is in error; nil for none
}

// look does the work that there is.
func (x *indexer) look(ctx context.Context) error {
	const query = `SELECT gen, EXISTS (SELECT FROM search_param WHERE state = 'building'),
		EXISTS (SELECT FROM reindex_job WHERE state = 'running' AND awaited), EXISTS (SELECT FROM reindex_job WHERE state = 'running'), EXISTS (SELECT FROM res WHERE idx_gen = 0 AND NOT deleted)
		FROM search_generation`
	var generation int
	var building, awaited, waiting, unbuilt bool
	if err := x.conn.QueryRowContext(ctx, query).Scan(&generation, &building, &awaited, &waiting, &unbuilt); err != nil {
		return readFault("look for work", err)
	}
	if building || awaited || generation != x.db.Registry().Generation {
		if err := x.publish(ctx); err != nil {
			return err
		}
	}
	if !waiting && !unbuilt {
		return nil
	}
	return x.alone(ctx, func() error {
		for {
			j, err := x.next(ctx)
			if err != nil || j == nil {
				return err
			}
			if err := x.run(ctx, j); err != nil {
				return err
			}
		}
	})
}

// publish reads the search parameters again, whether their generation is new or
// only how far they are.
func (x *indexer) publish(ctx context.Context) error {
	x.db.refreshing.Lock()
	defer x.db.refreshing.Unlock()
	registry, err := x.db.readRegistry(ctx, x.conn)
	if err == nil && registry.Generation >= x.db.Registry().Generation {
		x.db.registry.Store(registry)
	}
	x.told = time.Now()
	return err
}

// alone runs work if no other server is at it.
func (x *indexer) alone(ctx context.Context, work func() error) error {
	lock := x.db.lockKey("indexer")
	var mine bool
	if err := x.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, lock).Scan(&mine); err != nil {
		return readFault("lock the indexer", err)
	}
	if !mine {
		return nil
	}
	if err := work(); err != nil {
		return err
	}
	if _, err := x.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, lock); err != nil {
		return readFault("unlock the indexer", err)
	}
	return nil
}

// next returns the oldest job, one for the rows that were never built if there
// are only those, or nil.
func (x *indexer) next(ctx context.Context) (*job, error) {
	const oldest = `SELECT job, gen, types, last_rid FROM reindex_job WHERE state = 'running' ORDER BY job LIMIT 1`
	const unbuilt = `INSERT INTO reindex_job (gen) SELECT 1 WHERE EXISTS (SELECT FROM res WHERE idx_gen = 0 AND NOT deleted)
		RETURNING job, gen, types, last_rid`
	j, err := x.job(ctx, oldest)
	if err != nil || j != nil {
		return j, err
	}
	return x.job(ctx, unbuilt)
}

// job returns the job that query finds, or nil.
func (x *indexer) job(ctx context.Context, query string) (*job, error) {
	j := &job{walk: window{next: math.MinInt64, width: firstWidth}}
	var last *int64
	err := x.conn.QueryRowContext(ctx, query).Scan(&j.id, &j.generation, (*pq.Int64Array)(&j.types), &last)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fault("read what is to be reindexed", err)
	}
	if last != nil {
		j.walk.advance(*last)
	}
	return j, nil
}
