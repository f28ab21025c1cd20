package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/openconsult/openconsult/fhir/search"
)

// A session is where statements run: on the pool, each by itself, or all in one
// transaction.
type session struct {
	querier
	tx *sql.Tx // nil on the pool

	// What the transaction has made of the search parameters. Nobody else sees it
	// before it is committed.
	registry *search.Registry
	begun    int // the generation of the search parameters that it began; 0 for none
}

// statement returns a prepared statement for s.
func (s *session) statement(ctx context.Context, prepared *sql.Stmt) *sql.Stmt {
	if s.tx == nil {
		return prepared
	}
	return s.tx.StmtContext(ctx, prepared)
}

// transactionTime is how long a transaction of writes may take.
const transactionTime = 10 * time.Second

// errDry undoes a transaction that has worked out.
var errDry = errors.New("nothing is to be stored")

// maxTries bounds how often a transaction is run that was undone because of
// others.
const maxTries = 5

// again runs act in a transaction, and once more, a few times, when the database
// has undone that because of others.
func (db *DB) again(ctx context.Context, act func(context.Context, *session) error) error {
	for try := 1; ; try++ {
		err := db.within(ctx, act)
		if try == maxTries || !undone(err) {
			return err
		}
		pauseBefore(try)
	}
}

// within runs act in a transaction, and commits it unless act fails. It takes one
// connection. Search parameters that were changed
// are in force here when it returns.
func (db *DB) within(ctx context.Context, act func(context.Context, *session) error) error {
	ctx, err := db.hold(ctx)
	if err != nil {
		return err
	}
	defer db.free.Release(1)
	ctx, cancel := context.WithTimeout(ctx, transactionTime)
	defer cancel()
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return readFault("begin a transaction", err)
	}
	s := &session{querier: tx, tx: tx}
	if err := act(ctx, s); err != nil {
		// Nothing that the transaction did can last, whatever becomes of this.
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fault("commit", err)
	}
	if s.begun > 0 {
		db.announce(ctx, s.begun)
	}
	return nil
}

// announce puts a new generation of the search parameters in force here, and wakes
// the indexer. What has been committed is not undone by a failure to read it: the
// next write will.
func (db *DB) announce(ctx context.Context, generation int) {
	if _, err := db.refresh(ctx, &session{querier: db.sql}, generation-1); err != nil {
		db.log.Error("new search parameters cannot be read yet", "error", err)
	}
	select {
	case db.awake <- struct{}{}:
	default:
	}
}
