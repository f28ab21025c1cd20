package store

import (
	"context"
	"errors"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Change is one write of several: Row is one that [DB.Row] made, or for a
// deletion one with Key, Op, Origin and Trail only. Op is [Create] only where the id
// was made up for this write, so that nobody else can know it.
type Change struct {
	Row
	Expect Expect
}

// definesParameter reports whether c changes the search parameters.
func (c *Change) definesParameter() bool { return c.Key.Type == parameterType }

// WriteAll writes all changes or none, in one statement and one commit, or with
// SearchParameters among them in one transaction. No two are about one resource.
// The outcomes come in the order of the changes. If any is [Mismatch] or
// [Collision] nothing was written at all, and the others say what they would have
// been. With a receipt, which may be nil, it is kept what was written: who comes
// second with the same one gets [ErrInFlight] or [ErrReceived].
func (db *DB) WriteAll(ctx context.Context, changes []Change, r *Receipt) (all []Written, err error) {
	defer db.pulses.beat()
	if slices.ContainsFunc(changes, func(c Change) bool { return c.definesParameter() }) {
		err = db.again(ctx, func(ctx context.Context, s *session) error {
			all, err = db.writeMixed(ctx, s, changes, r)
			return err
		})
		return all, err
	}
	ctx, err = db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.write(ctx, &session{querier: db.sql}, batch{changes: changes, whole: true, receipt: r})
}

// mostAtOnce is how many rows of WriteEach one statement writes at most, so that
// it ends soon.
const mostAtOnce = 500

// WriteEach writes those changes that can be written, each by itself but together:
// the outcome of one is no matter to the others, but a fault is. Of several about
// one resource a later one comes after an earlier one. The outcomes come in the
// order of the changes.
func (db *DB) WriteEach(ctx context.Context, changes []Change) ([]Written, error) {
	defer db.pulses.beat()
	all := make([]Written, 0, len(changes))
	for len(changes) > 0 {
		n := apart(changes)
		some, err := db.writeSome(ctx, changes[:n])
		if err != nil {
			return nil, err
		}
		all, changes = append(all, some...), changes[n:]
	}
	return all, nil
}

// apart returns how many of the first changes can be written by one statement. A
// SearchParameter comes alone.
func apart(changes []Change) int {
	met := make(map[fhir.Key]bool, min(len(changes), mostAtOnce))
	for i := range changes {
		c := &changes[i]
		if i > 0 && c.definesParameter() || i == mostAtOnce || met[c.Key] {
			return i
		}
		if c.definesParameter() {
			return 1
		}
		met[c.Key] = true
	}
	return len(changes)
}

// writeSome writes those of some changes that can be written, or a
// SearchParameter.
func (db *DB) writeSome(ctx context.Context, changes []Change) ([]Written, error) {
	if c := &changes[0]; c.definesParameter() {
		w, err := db.writeOne(ctx, c)
		return []Written{w}, err
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	all, err := db.write(ctx, &session{querier: db.sql}, batch{changes: changes})
	if err == nil || !isMisnamed(err) {
		return all, err
	}
	if len(changes) == 1 {
		return []Written{{Outcome: Misnamed}}, nil
	}
	all = make([]Written, 0, len(changes))
	for i := range changes {
		one, err := db.write(ctx, &session{querier: db.sql}, batch{changes: changes[i : i+1]})
		switch {
		case err == nil:
			all = append(all, one...)
		case isMisnamed(err):
			all = append(all, Written{Outcome: Misnamed})
		default:
			return nil, err
		}
	}
	return all, nil
}

func (db *DB) writeOne(ctx context.Context, c *Change) (Written, error) {
	if c.Op == Delete {
		return db.deleteParameter(ctx, c.Row, c.Expect)
	}
	return db.putParameter(ctx, c.Row, c.Expect)
}

// writeMixed writes changes with SearchParameters among them, all or none, in a
// transaction.
func (db *DB) writeMixed(ctx context.Context, s *session, changes []Change, r *Receipt) ([]Written, error) {
	before := *s
	if err := s.execute(ctx, `SAVEPOINT mixed`); err != nil {
		return nil, err
	}
	all := make([]Written, len(changes))
	var rest []Change
	var places []int
	for i := range changes {
		c := &changes[i]
		if !c.definesParameter() {
			rest, places = append(rest, *c), append(places, i)
			continue
		}
		var err error
		if c.Op == Delete {
			all[i], err = db.deleteAny(ctx, s, c.Row, c.Expect)
		} else {
			all[i], err = db.putAny(ctx, s, c.Row, c.Expect)
		}
		if err != nil {
			return nil, err
		}
	}
	written, err := db.write(ctx, s, batch{changes: rest, whole: true})
	if err != nil {
		return nil, err
	}
	for i, w := range written {
		all[places[i]] = w
	}
	if slices.ContainsFunc(all, Written.refused) {
		err := s.execute(ctx, `ROLLBACK TO SAVEPOINT mixed`)
		s.registry, s.begun = before.registry, before.begun
		return all, err
	}
	if r == nil {
		return all, nil
	}
	return all, db.keep(ctx, s, r, changes, all)
}

// refused reports whether w says that something stands in the way.
func (w Written) refused() bool { return w.Outcome == Mismatch || w.Outcome == Collision }

// execute runs a statement in the transaction of s.
func (s *session) execute(ctx context.Context, statement string) error {
	if _, err := s.tx.ExecContext(ctx, statement); err != nil {
		return fault("write in a transaction", err)
	}
	return nil
}

// Atomically runs act in one transaction on one connection, and commits it unless
// act fails or dry is set. What act returns is returned. When the database has
// undone the transaction because of others that went on at the same time, act is
// run again, five times at most: it must be fit for that. It uses tx and the
// context that it is given, and never the DB, which might wait for a further
// connection. The transaction has ten seconds. Criteria that were made by other search
// parameters than those in force are [ErrParametersMoved].
func (db *DB) Atomically(ctx context.Context, dry bool, act func(context.Context, *Tx) error) error {
	defer db.pulses.beat()
	if err := db.turns.wait(ctx, db.turns.any, ""); err != nil {
		return err
	}
	defer db.turns.any.Release(1)
	moved := 0
	err := db.again(ctx, func(ctx context.Context, s *session) error {
		tx := &Tx{db: db, session: s}
		err := act(ctx, tx)
		moved = tx.moved
		if err == nil && dry {
			return errDry
		}
		return err
	})
	switch {
	case err == errDry:
		return nil
	case moved > 0 && errors.Is(err, ErrParametersMoved):
		if _, err := db.refresh(ctx, &session{querier: db.sql}, moved); err != nil {
			return err
		}
	}
	return err
}

// Current does what [DB.Current] does.
func (tx *Tx) Current(ctx context.Context, of []fhir.Key) (map[fhir.Key]*Version, error) {
	return tx.db.currents(ctx, tx.session, of)
}

// Known does what [DB.Known] does.
func (tx *Tx) Known(ctx context.Context, of []access.Key) (map[access.Key][]int64, error) {
	return tx.db.lookUp(ctx, tx.session, of)
}

// Find finds what each of some criteria is about, two versions at most for each.
// Until the transaction has ended, no other one with any of the criteria takes
// place. It is to be called once, before anything is written: who calls it twice
// could wait in a circle with another. All are of one Grant.
func (tx *Tx) Find(ctx context.Context, all []Criteria) ([][]Version, error) {
	locks := make([]int64, len(all))
	for i, c := range all {
		locks[i] = tx.db.lockKey("criteria " + c.Type + " " + canonical(search.And(c.Where)))
	}
	const lock = `SELECT count(pg_advisory_xact_lock(k) IS NULL) FROM unnest($1::bigint[]) k`
	if _, err := tx.session.tx.ExecContext(ctx, lock, int8s(slices.Compact(slices.Sorted(slices.Values(locks))))); err != nil {
		return nil, readFault("wait for others with the same criteria", err)
	}
	// The statements that search begin after the locks are held, and so see what
	// their last holders have written.
	found := make([][]Version, len(all))
	for i, c := range all {
		if same := slices.Index(locks[:i], locks[i]); same >= 0 {
			found[i] = found[same]
			continue
		}
		var err error
		if found[i], err = tx.db.find(ctx, tx.session, c); err != nil {
			tx.moved = c.Generation
			return nil, err
		}
	}
	return found, nil
}

// Search returns the first page of q, as [DB.Search] does. It sees what the
// transaction has written.
func (tx *Tx) Search(ctx context.Context, g access.Grant, q *search.Query) (*Matches, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	registry := tx.db.Registry()
	if tx.session.begun > 0 {
		var err error
		if registry, err = tx.db.refresh(ctx, tx.session, 0); err != nil {
			return nil, err
		}
	}
	s := tx.db.searching(tx.session, registry, g)
	defer s.turn.end()
	if err := searchable(s.registry); err != nil {
		return nil, err
	}
	m, err := s.search(ctx, q, "")
	if s.generation != s.registry.Generation {
		tx.moved = s.registry.Generation
		return nil, ErrParametersMoved
	}
	return m, err
}

// Write does what [DB.WriteAll] does. It is to be called once in a transaction: it
// takes locks in an order.
func (tx *Tx) Write(ctx context.Context, changes []Change, r *Receipt) ([]Written, error) {
	if slices.ContainsFunc(changes, func(c Change) bool { return c.definesParameter() }) {
		return tx.db.writeMixed(ctx, tx.session, changes, r)
	}
	return tx.db.write(ctx, tx.session, batch{changes: changes, whole: true, receipt: r})
}

// Receive stores a receipt without writes.
func (tx *Tx) Receive(ctx context.Context, r Receipt) error {
	return tx.db.keep(ctx, tx.session, &r, nil, nil)
}
