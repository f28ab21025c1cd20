package store

import (
	"context"
	"database/sql"
)

// Snapshot runs act in a transaction that reads one state of the database and writes nothing.
// What act returns is returned. Like in [DB.Atomically] it uses tx and the context that it is
// given, and never the DB.
func (db *DB) Snapshot(ctx context.Context, act func(context.Context, *Tx) error) error {
	if err := db.turns.wait(ctx, db.turns.any, ""); err != nil {
		return err
	}
	defer db.turns.any.Release(1)
	ctx, err := db.hold(ctx)
	if err != nil {
		return err
	}
	defer db.free.Release(1)
	ctx, cancel := context.WithTimeout(ctx, transactionTime)
	defer cancel()
	tx, err := db.sql.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return readFault("begin to read", err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback() }()
	return act(ctx, &Tx{db: db, session: &session{querier: tx, tx: tx}})
}
