package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// mergedPatient is the error of what refers to a patient who was merged.
const mergedPatient = "OC001"

// misnamed is the Detail of what such a write is refused with.
const misnamed = "patient-merged"

// isMisnamed reports whether err is [NamesMerged].
func isMisnamed(err error) bool {
	o := fhir.AsOutcome(err)
	return o != nil && len(o.Issues) == 1 && o.Issues[0].Detail == misnamed
}

// NamesMerged is the Outcome of a write that refers to a patient who was merged, or is being merged.
func NamesMerged() error {
	o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "", "This refers to a Patient who was merged with another one, or is being merged: read that Patient, and refer to the one whom its link replaced-by names.")
	o.Issues[0].Detail = misnamed
	return o
}

// How long a merge has, how long it waits for the writers of before at once, and how
// often it tries that.
const (
	mergeTime   = time.Minute
	mergeWait   = 100 * time.Millisecond
	mergeTries  = 60
	lockTimeout = "55P03"
)

// BeginMerge has nothing more be written that refers to a patient, and returns when all
// that does is committed, so that a transaction which begins then finds all of it. It
// ends by itself after a minute unless [Tx.Merged] has made it last. While another merge of the same
// patient goes on it is an Outcome.
func (db *DB) BeginMerge(ctx context.Context, patient fhir.Key) error {
	for try := range mergeTries {
		err := db.within(ctx, func(ctx context.Context, s *session) error { return db.markMerge(ctx, s, patient) })
		if e, ok := errors.AsType[*pq.Error](err); !ok || e.Code != lockTimeout {
			return err
		}
		pauseBefore(try)
	}
	return fhir.Errorf(fhir.Unavailable, fhir.LockError, "", "Other writes take long at the moment; try again later.")
}

func (db *DB) markMerge(ctx context.Context, s *session, patient fhir.Key) error {
	// Who waits for a table keeps all who come later waiting as well.
	if _, err := s.tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, mergeWait.Milliseconds())); err != nil {
		return fault("begin a merge", err)
	}
	if _, err := s.tx.ExecContext(ctx, `LOCK TABLE patient_merged IN ACCESS EXCLUSIVE MODE`); err != nil {
		if e, ok := errors.AsType[*pq.Error](err); ok && e.Code == lockTimeout {
			return err
		}
		return fault("begin a merge", err)
	}
	const mark = `INSERT INTO patient_merged AS m (rid, until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
		ON CONFLICT (rid) DO UPDATE SET until = excluded.until WHERE m.until < clock_timestamp()`
	done, err := s.tx.ExecContext(ctx, mark, db.secret.RID(patient), mergeTime.Milliseconds())
	if err != nil {
		return fault("begin a merge", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return fhir.Errorf(fhir.Clash, fhir.Conflict, "", "This Patient is being merged, or was merged; read it, and try again if it still stands by itself.")
	}
	return nil
}

// GiveUpMerge lets again be written what refers to a patient, unless the patient was
// merged.
func (db *DB) GiveUpMerge(ctx context.Context, patient fhir.Key) error {
	ctx, err := db.hold(ctx)
	if err != nil {
		return err
	}
	defer db.free.Release(1)
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM patient_merged WHERE rid = $1 AND until < 'infinity'`, db.secret.RID(patient)); err != nil {
		return fault("give up a merge", err)
	}
	return nil
}

// Merged makes the merge of a patient that BeginMerge has begun last. Provenance is the id of
// what tells of it.
func (tx *Tx) Merged(ctx context.Context, patient fhir.Key, provenance string) error {
	const keep = `UPDATE patient_merged SET until = 'infinity', provenance = $2 WHERE rid = $1 AND until > clock_timestamp()`
	done, err := tx.session.tx.ExecContext(ctx, keep, tx.db.secret.RID(patient), provenance)
	if err != nil {
		return fault("merge a patient", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return fhir.Errorf(fhir.Unavailable, fhir.Timeout, "", "The merge has taken too long; try again later.")
	}
	return nil
}

// MergedBy returns the id of the Provenance that tells of the merge of a patient; empty
// when there was none by this server.
func (tx *Tx) MergedBy(ctx context.Context, patient fhir.Key) (provenance string, err error) {
	const query = `SELECT provenance FROM patient_merged WHERE rid = $1 AND until = 'infinity'`
	err = tx.session.tx.QueryRowContext(ctx, query, tx.db.secret.RID(patient)).Scan(&provenance)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", readFault("look up a merge", err)
	}
	return provenance, nil
}

// MergedAt returns when a patient was merged; the zero Time when there was no merge.
func (tx *Tx) MergedAt(ctx context.Context, patient fhir.Key) (at time.Time, err error) {
	provenance, err := tx.MergedBy(ctx, patient)
	if err != nil || provenance == "" {
		return time.Time{}, err
	}
	const query = `SELECT updated FROM ver WHERE rid = $1 AND ver = 1`
	err = tx.session.tx.QueryRowContext(ctx, query, tx.db.secret.RID(fhir.Key{Type: "Provenance", ID: provenance})).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, readFault("look up a merge", err)
	}
	return at, nil
}

// Unmerged has a patient be one again whom others may refer to.
func (tx *Tx) Unmerged(ctx context.Context, patient fhir.Key) error {
	if _, err := tx.session.tx.ExecContext(ctx, `DELETE FROM patient_merged WHERE rid = $1`, tx.db.secret.RID(patient)); err != nil {
		return fault("undo a merge", err)
	}
	return nil
}

// Lock keeps others from writing some resources until the transaction has ended, and
// waits for who is at it. It is to be called once, before anything is written.
func (tx *Tx) Lock(ctx context.Context, of []fhir.Key) error {
	rids, _, _ := tx.db.numbers(of)
	const lock = `SELECT count(pg_advisory_xact_lock(~q.rid) IS NULL) FROM (SELECT DISTINCT rid FROM unnest($1::bigint[]) rid ORDER BY rid OFFSET 0) q`
	if _, err := tx.session.tx.ExecContext(ctx, lock, int8s(rids)); err != nil {
		return readFault("wait for others who write the same resources", err)
	}
	return nil
}

// Naming returns the current resources that refer to a patient in any way, n at most, the
// patient not among them. What is in a stored Bundle does not count.
func (tx *Tx) Naming(ctx context.Context, patient fhir.Key, n int) ([]fhir.Key, error) {
	if err := searchable(tx.db.Registry()); err != nil {
		return nil, err
	}
	const query = `SELECT type, id FROM res WHERE keys && $1::bigint[] AND NOT deleted AND rid <> $2 ORDER BY rid LIMIT $3`
	rows, err := tx.session.tx.QueryContext(ctx, query, int8s(tx.db.naming(patient)), tx.db.secret.RID(patient), n)
	if err != nil {
		return nil, readFault("find what refers to a patient", err)
	}
	defer rows.Close()
	var types []int64
	var ids []string
	for rows.Next() {
		var typ int64
		var id string
		if err := rows.Scan(&typ, &id); err != nil {
			return nil, readFault("find what refers to a patient", err)
		}
		types, ids = append(types, typ), append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("find what refers to a patient", err)
	}
	return tx.db.keysOf(types, ids)
}

// naming returns the keys of which every resource that refers to a patient has one.
func (db *DB) naming(patient fhir.Key) []int64 {
	known, rid := db.Registry(), db.secret.RID(patient)
	keys := []int64{db.secret.Mention(patient)}
	met := map[*search.Param]bool{}
	for typ := range db.types {
		for _, p := range known.Params(typ) {
			if p.Type == search.ReferenceType && !p.Custom && !p.Canonical && !met[p] {
				met[p] = true
				keys = append(keys, rid^db.secret.Salt(p))
			}
		}
	}
	return keys
}

// Stands returns what says whether a resource gives something already. It is asked about
// the resources whose new versions are in changes.
func (tx *Tx) Stands(ctx context.Context, changes []Change) (func(fhir.Key, access.Gift) bool, error) {
	type gift struct{ basis, target, key int64 }
	var bases []int64
	for i := range changes {
		if len(changes[i].Gifts) > 0 {
			bases = append(bases, changes[i].rid)
		}
	}
	all := map[gift]bool{}
	stands := func(k fhir.Key, g access.Gift) bool {
		return all[gift{tx.db.secret.RID(k), tx.db.secret.Access(g.Target), tx.db.secret.Access(g.Key)}]
	}
	if len(bases) == 0 {
		return stands, nil
	}
	rows, err := tx.session.tx.QueryContext(ctx, `SELECT basis, target, key FROM access_grant WHERE basis = ANY ($1::bigint[])`, int8s(bases))
	if err != nil {
		return nil, readFault("look up gifts", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g gift
		if err := rows.Scan(&g.basis, &g.target, &g.key); err != nil {
			return nil, readFault("look up gifts", err)
		}
		all[g] = true
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("look up gifts", err)
	}
	return stands, nil
}

// Former returns the content of some versions, none of which is a deletion; what is not there
// has no entry.
func (tx *Tx) Former(ctx context.Context, of map[fhir.Key]int) (map[fhir.Key][]byte, error) {
	keys, numbers := make([]fhir.Key, 0, len(of)), make([]int64, 0, len(of))
	for k, n := range of {
		keys, numbers = append(keys, k), append(numbers, int64(n))
	}
	rids, types, ids := tx.db.numbers(keys)
	const query = `SELECT k.n, v.codec, v.body FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) WITH ORDINALITY AS k (rid, type, id, ver, n)
		JOIN ver v ON v.rid = k.rid AND v.ver = k.ver AND v.type = k.type AND v.id = k.id WHERE v.op <> 'D'`
	rows, err := tx.session.tx.QueryContext(ctx, query, int8s(rids), int8s(types), pq.StringArray(ids), int8s(numbers))
	if err != nil {
		return nil, readFault("read former versions", err)
	}
	defer rows.Close()
	all := make(map[fhir.Key][]byte, len(of))
	for rows.Next() {
		var n int
		var codec int16
		body := unpacking{bodies: tx.db.bodies, codec: &codec}
		if err := rows.Scan(&n, &codec, &body); err != nil {
			return nil, readFault("read former versions", err)
		}
		all[keys[n-1]] = body.stored
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read former versions", err)
	}
	return all, nil
}
