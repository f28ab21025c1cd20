package interaction

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// maxMoved is how many resources one merge moves at most, since all of it is one transaction.
const maxMoved = 5000

// naming returns what refers to a patient and is to be moved.
func (t *mergeTask) naming(patient fhir.Key) ([]fhir.Key, error) {
	all, err := t.tx.Naming(t.ctx, patient, maxMoved+1)
	if err != nil {
		return nil, err
	}
	if len(all) > maxMoved {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, inParameter(t.sourceParameter()), "More than %d resources refer to this Patient, too many to move at once; merge the other way round, or ask who runs the server to take them apart.", maxMoved)
	}
	return slices.DeleteFunc(all, func(k fhir.Key) bool { return k == t.target || k.Type == "Provenance" || k.Type == auditType }), nil
}

func (t *mergeTask) sourceParameter() string { return "source-patient" }

// move has v refer to the target.
func (t *mergeTask) move(v *store.Version) error {
	if v == nil || v.Deleted() {
		return errRaced
	}
	r, err := t.relinkedTo(v.Key.Type, v.Stored, t.source, t.target)
	if err != nil || r == nil {
		return err
	}
	return t.rewrite(v, r)
}

// rewrite adds the change of v into r, which differs in whom it refers to only. It is the server's own
// act: nobody else's rules of what may change hold for it, and what v was not allowed to give, r is not
// either: see [mergeTask.giving].
func (t *mergeTask) rewrite(v *store.Version, r *fhir.Resource) error {
	row, err := t.store.Row(v.Key, store.Update, r)
	if err != nil {
		return err
	}
	row.Origin = t.grant.Client()
	if row.Trail = t.trail(t.as, v.Key); row.Trail != nil {
		row.Trail.Patients = []string{t.source.ID, t.target.ID}
	}
	t.changes = append(t.changes, store.Change{Row: row, Expect: after(v)})
	t.entries = append(t.entries, entity{v.Key, v.Number})
	if seen, err := t.seen(access.MayRead, v); err != nil || seen == nil {
		return err
	}
	t.done.Moved[v.Key.Type]++
	return nil
}

// giving lets what was moved go on giving what it gave, and nothing else: a gift stands newly if the same
// one with the other patient in its place stood before.
func (t *mergeTask) giving(current map[fhir.Key]*store.Version) error {
	stands, err := t.tx.Stands(t.ctx, t.changes)
	if err != nil {
		return err
	}
	rename := strings.NewReplacer("Patient/"+t.source.ID, "Patient/"+t.target.ID, "Patient/"+t.target.ID, "Patient/"+t.source.ID)
	other := func(k access.Key) access.Key {
		if k.Of == t.source.String() || k.Of == t.target.String() {
			k.Of = rename.Replace(k.Of)
		}
		return k
	}
	for i := range t.changes {
		c := &t.changes[i]
		if current[c.Key] == nil || c.Key == t.source || c.Key == t.target {
			continue
		}
		for _, g := range c.Gifts {
			if stands(c.Key, access.Gift{Target: other(g.Target), Key: other(g.Key)}) {
				c.Allowed = append(c.Allowed, g)
			}
		}
	}
	return nil
}
