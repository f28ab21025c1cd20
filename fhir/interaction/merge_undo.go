package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Unmerge takes back what [Session.Merge] has moved from source to target, in one transaction. What was
// changed since keeps its other changes; what no longer refers to the target, and what was written
// about the target since, stays and is among Left.
func (s *Session) Unmerge(ctx context.Context, source, target PatientName) (MergeResult, error) {
	t, err := s.mergeTask(ctx, Unmerge, source, target)
	if err == nil {
		err = t.atomically(ctx, t.unmerge)
	}
	return t.concluded(ctx, err, false)
}

// unmerge does all of it within a transaction.
func (t *mergeTask) unmerge(ctx context.Context, tx *store.Tx) error {
	t.ctx, t.tx, t.changes, t.entries, t.done = ctx, tx, nil, nil, MergeResult{Moved: map[string]int{}}
	moved, err := t.wasMoved()
	if err != nil {
		return err
	}
	keys := make([]fhir.Key, len(moved))
	numbers := make(map[fhir.Key]int, len(moved))
	for i, e := range moved {
		keys[i], numbers[e.key] = e.key, e.number
	}
	if err := tx.Lock(ctx, append([]fhir.Key{t.source, t.target}, keys...)); err != nil {
		return err
	}
	again, err := tx.MergedBy(ctx, t.source)
	if err != nil {
		return err
	}
	current, err := tx.Current(ctx, append([]fhir.Key{t.source, t.target}, keys...))
	if err != nil {
		return err
	}
	p, err := t.both(current)
	if err != nil {
		return err
	}
	if again == "" || len(moved) < 2 || moved[0].key != t.source || moved[1].key != t.target || !linksTo(p.source.resource.Root(), "replaced-by", t.target) {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter("source-patient"), "This server has not merged the source into this target, or the merge was undone.")
	}
	if linksTo(p.target.resource.Root(), "replaced-by", fhir.Key{}) {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter("target-patient"), "The target was itself merged since; undo that first.")
	}
	then, err := tx.Former(ctx, numbers)
	if err != nil {
		return err
	}
	if err := t.part(p, then, numbers); err != nil {
		return err
	}
	for _, e := range moved[2:] {
		if err := t.moveBack(current[e.key], then[e.key], e); err != nil {
			return err
		}
	}
	if err := t.leave(moved); err != nil {
		return err
	}
	return t.conclude(current)
}

// wasMoved returns what the first version of the Provenance says: the source, the target, and what was moved. It is
// empty when the source was not merged.
func (t *mergeTask) wasMoved() ([]entity, error) {
	id, err := t.tx.MergedBy(t.ctx, t.source)
	if err != nil || id == "" {
		return nil, err
	}
	told := fhir.Key{Type: "Provenance", ID: id}
	docs, err := t.tx.Former(t.ctx, map[fhir.Key]int{told: 1})
	if err != nil {
		return nil, err
	}
	if docs[told] == nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotFound, inParameter("source-patient"), "What tells of this merge was removed for good, so it cannot be undone.")
	}
	return entitiesOf(docs[told])
}

// part writes the two Patients as they are by themselves.
func (t *mergeTask) part(p pair, then map[fhir.Key][]byte, numbers map[fhir.Key]int) error {
	former := func(k fhir.Key) (*former, error) {
		doc := then[k]
		if doc == nil {
			return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotFound, "", "The version of %s before the merge was removed for good, so the merge cannot be undone.", k)
		}
		return formerly(&store.Version{Key: k, Number: numbers[k], Stored: doc, Op: store.Update})
	}
	oldSource, err := former(t.source)
	if err != nil {
		return err
	}
	oldTarget, err := former(t.target)
	if err != nil {
		return err
	}
	source, err := p.partedSource(oldSource)
	if err != nil {
		return err
	}
	target, err := p.partedTarget(oldTarget)
	if err != nil {
		return err
	}
	return t.changePatients(p, source, target)
}

// moveBack has v, which was then what old says before it was moved, refer to the source again.
func (t *mergeTask) moveBack(v *store.Version, old []byte, e entity) error {
	if v == nil || v.Deleted() {
		return nil
	}
	if old == nil {
		return t.stays(v)
	}
	if v.Number == e.number+1 {
		r, err := fhir.DecodeDerived(v.Key.Type, old)
		if err != nil {
			return fmt.Errorf("read version %d of a %s: %w", e.number, v.Key.Type, err)
		}
		return t.rewrite(v, r)
	}
	r, err := t.takenBack(v, old, t.source, t.target)
	if err != nil {
		return err
	}
	if r == nil {
		return t.stays(v)
	}
	return t.rewrite(v, r)
}

// stays tells the caller, if they see it, that v stays with the target.
func (t *mergeTask) stays(v *store.Version) error {
	seen, err := t.seen(access.MayRead, v)
	if err == nil && seen != nil {
		t.done.Left = append(t.done.Left, v.Key)
	}
	return err
}

// leave tells what was written about the target since the merge.
func (t *mergeTask) leave(moved []entity) error {
	told := map[fhir.Key]bool{}
	for _, e := range moved {
		told[e.key] = true
	}
	naming, err := t.tx.Naming(t.ctx, t.target, maxMoved)
	if err != nil {
		return err
	}
	current, err := t.tx.Current(t.ctx, naming)
	if err != nil {
		return err
	}
	since, err := t.tx.MergedAt(t.ctx, t.source)
	if err != nil {
		return err
	}
	for _, k := range naming {
		v := current[k]
		if told[k] || v == nil || v.Deleted() || v.Updated.Before(since) || k.Type == "Provenance" {
			continue
		}
		if err := t.stays(v); err != nil {
			return err
		}
	}
	return nil
}
