package interaction

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// The operations that make two Patients one, and two again.
// https://build.fhir.org/patient-operation-merge.html
const (
	Merge   access.Interaction = "merge"
	Unmerge access.Interaction = "unmerge"
)

// A MergeRequest asks for two Patients to become one.
type MergeRequest struct {
	Source, Target PatientName
	Result         *fhir.Resource // what the target is to say; nil: what it says
	Preview        bool           // nothing is done
}

// A MergeResult says what came of it, or would.
type MergeResult struct {
	Target     Result
	Source     Result
	Provenance fhir.Key       // what tells of it; zero for a preview
	Moved      map[string]int // resources that the caller sees, by type
	Left       []fhir.Key     // of an unmerge: what stays with the target, as far as the caller sees it
}

// A mergeTask is a merge, or an unmerge, while it is performed.
type mergeTask struct {
	*Session
	ctx            context.Context
	tx             *store.Tx
	as             access.Interaction
	source, target fhir.Key
	result         *fhir.Resource
	preview        bool

	changes []store.Change
	entries []entity // what the Provenance says was changed
	done    MergeResult
}

// Merge has every resource that refers to the source refer to the target: all current ones, whoever
// may see them, in one transaction. The source is no longer active and says by whom it is replaced; the target
// gets its identifiers as old ones. It is for who administers an organisation that both are registered
// with. Links of other Patients, Provenances and the audit stay as they are, and so does what is in stored Bundles.
//
// Who was given the record of the source, as a care team or a relative who acts for the patient, has that of
// the target from then on, and the target's organisations have what was moved: two records of one person are
// one. The source's own account is not given the target: it signs in no more, as that of nobody who is
// active. Nothing is given that was not given before: what the writer of a resource could not give, the
// merge does not give for them. What names the source from then on is refused.
func (s *Session) Merge(ctx context.Context, q MergeRequest) (MergeResult, error) {
	t, err := s.mergeTask(ctx, Merge, q.Source, q.Target)
	if err == nil && q.Result != nil {
		err = t.wants(ctx, q.Result)
	}
	if err == nil {
		t.preview = true
		err = s.store.Atomically(ctx, true, t.merge)
	}
	if err != nil || q.Preview {
		return t.concluded(ctx, err, q.Preview)
	}
	if err = s.store.BeginMerge(ctx, t.source); err == nil {
		t.preview = false
		if err = t.atomically(ctx, t.merge); err != nil {
			err = errors.Join(err, s.store.GiveUpMerge(context.WithoutCancel(ctx), t.source))
		}
	}
	return t.concluded(ctx, err, false)
}

// mergeTask finds out which Patients are meant.
func (s *Session) mergeTask(ctx context.Context, as access.Interaction, source, target PatientName) (*mergeTask, error) {
	t := &mergeTask{Session: s, as: as}
	err := s.Allow(as, fhir.Key{Type: "Patient"})
	if err != nil {
		return t, err
	}
	if t.source, err = s.patientNamed(ctx, source); err != nil {
		return t, err
	}
	if t.target, err = s.patientNamed(ctx, target); err != nil {
		return t, err
	}
	if t.source == t.target {
		return t, fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter(source.Parameter), "Source and target are the same Patient; name two.")
	}
	return t, nil
}

// wants sees to it that the target may say what result says.
func (t *mergeTask) wants(ctx context.Context, result *fhir.Resource) error {
	if result.ID() != t.target.ID {
		return fhir.Errorf(fhir.Unprocessable, fhir.Invalid, inParameter("result-patient"), "The result has the id of the target, which is %s.", t.target.ID)
	}
	if result.Root().Child("active").Text() == "false" {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter("result-patient"), "The result of a merge is active.")
	}
	p := proposal{interaction: access.Update, key: t.target, resource: result}
	if _, err := t.check(ctx, &p); err != nil {
		return err
	}
	t.result = p.resource
	return nil
}

// atomically runs act in one transaction, anew when somebody came between.
func (t *mergeTask) atomically(ctx context.Context, act func(context.Context, *store.Tx) error) error {
	for range maxRaces {
		if err := t.store.Atomically(ctx, false, act); !errors.Is(err, errRaced) {
			return err
		}
	}
	return tooManyRaces()
}

// concluded records what made no version, and returns what the caller is told.
func (t *mergeTask) concluded(ctx context.Context, err error, preview bool) (MergeResult, error) {
	if err == nil && !preview {
		return t.done, nil
	}
	if line := t.trail(t.as, t.target); line != nil {
		for _, k := range []fhir.Key{t.source, t.target} {
			if k.ID != "" {
				line.Patients = append(line.Patients, k.ID)
			}
		}
		if preview {
			line.Detail = with(nil, "preview", "true")
		}
		if failed := t.record(ctx, line, err); failed != nil {
			return MergeResult{}, failed
		}
	}
	return t.done, err
}

// merge does all of it within a transaction.
func (t *mergeTask) merge(ctx context.Context, tx *store.Tx) error {
	t.ctx, t.tx, t.changes, t.entries, t.done = ctx, tx, nil, nil, MergeResult{Moved: map[string]int{}}
	naming, err := t.naming(t.source)
	if err != nil {
		return err
	}
	if !t.preview {
		if err := tx.Lock(ctx, append([]fhir.Key{t.source, t.target}, naming...)); err != nil {
			return err
		}
	}
	current, err := tx.Current(ctx, append([]fhir.Key{t.source, t.target}, naming...))
	if err != nil {
		return err
	}
	p, err := t.both(current)
	if err != nil {
		return err
	}
	if err := p.mayJoin(); err != nil {
		return err
	}
	source, err := p.mergedSource()
	if err != nil {
		return err
	}
	target, err := p.mergedTarget(t.result)
	if err != nil {
		return err
	}
	if err := t.changePatients(p, source, target); err != nil {
		return err
	}
	for _, k := range naming {
		if err := t.move(current[k]); err != nil {
			return err
		}
	}
	return t.conclude(current)
}

// both returns the two Patients, if the caller may change them.
func (t *mergeTask) both(current map[fhir.Key]*store.Version) (p pair, err error) {
	for _, of := range []struct {
		key  fhir.Key
		name string
		to   **former
	}{{t.source, t.sourceParameter(), &p.source}, {t.target, "target-patient", &p.target}} {
		v, err := t.touched(access.MayUpdate, current[of.key])
		if err != nil {
			return p, err
		}
		if v == nil || v.Deleted() {
			return p, noPatient(of.name)
		}
		if *of.to, err = formerly(v); err != nil {
			return p, err
		}
	}
	return p, nil
}

// changePatients writes the two Patients, if the caller may.
func (t *mergeTask) changePatients(p pair, source, target *fhir.Resource) error {
	from, err := t.patientChange(t, p.source, source)
	if err != nil {
		return err
	}
	to, err := t.patientChange(t, p.target, target)
	if err != nil {
		return err
	}
	if err := t.mayMove(from, to); err != nil {
		return err
	}
	for _, c := range []struct {
		k   *sketch
		old *former
	}{{from, p.source}, {to, p.target}} {
		t.changes = append(t.changes, store.Change{Row: c.k.Row, Expect: after(c.old.Version)})
		t.entries = append(t.entries, entity{c.old.Key, c.old.Number})
	}
	return nil
}

// conclude writes all changes, with the Provenance that tells of them.
func (t *mergeTask) conclude(current map[fhir.Key]*store.Version) error {
	if err := t.giving(current); err != nil || t.preview {
		return err
	}
	told, err := t.provenance()
	if err != nil {
		return err
	}
	t.changes = append(t.changes, store.Change{Row: told, Expect: store.Absent})
	if t.as == Merge {
		err = t.tx.Merged(t.ctx, t.source, told.Key.ID)
	} else {
		err = t.tx.Unmerged(t.ctx, t.source)
	}
	if err != nil {
		return err
	}
	written, err := t.tx.Write(t.ctx, t.changes, nil)
	if err != nil {
		return err
	}
	for i, w := range written {
		if w.Outcome == store.Mismatch || w.Outcome == store.Collision {
			return errRaced
		}
		if i < 2 {
			done := Result{Version: store.Version{Key: t.changes[i].Key, Number: w.Version, Updated: w.Updated, Op: store.Update, Stored: t.changes[i].Stored}, Outcome: w.Outcome}
			*[]*Result{&t.done.Source, &t.done.Target}[i] = done
		}
	}
	t.done.Provenance = told.Key
	return nil
}

// Types returns the types of what was moved, in order.
func (r MergeResult) Types() []string { return slices.Sorted(maps.Keys(r.Moved)) }

// mayMerge returns an Outcome unless the caller administers.
func (s *Session) mayMerge() error {
	if err := s.mayMatch("merge"); err != nil {
		return err
	}
	if !s.grant.Has(access.Administer) {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Patients are merged, and parted again, by who administers the records of an organisation.")
	}
	return nil
}
