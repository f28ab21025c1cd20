package interaction

import (
	"encoding/json"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// A pair is two Patients of whom one is merged into the other.
type pair struct{ source, target *former }

// mayJoin returns an Outcome unless the source can be merged into the target as they are. Chains
// are refused: who looks a patient up goes one step.
func (p pair) mayJoin() error {
	source, target := p.source.resource.Root(), p.target.resource.Root()
	refused := func(parameter, text string) error {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter(parameter), "%s", text)
	}
	switch {
	case linksTo(source, "replaced-by", fhir.Key{}):
		return refused("source-patient", "The source was merged already: its link replaced-by says into whom.")
	case linksTo(target, "replaced-by", fhir.Key{}):
		return refused("target-patient", "The target was itself merged into another patient: merge into the one whom its link replaced-by names.")
	case target.Child("active").Text() == "false":
		return refused("target-patient", "The target is not active; make it active first, or merge the other way round.")
	case linksTo(source, "replaces", fhir.Key{}):
		return refused("source-patient", "Others were merged into the source, which would make a chain: merge the other way round, or undo those merges first and merge each into the target.")
	}
	return nil
}

// mergedSource returns the source as the merge leaves it.
func (p pair) mergedSource() (*fhir.Resource, error) {
	ops := []operation{{"add", "/active", false}}
	ops = append(ops, addLink(p.source.resource.Root(), "replaced-by", p.target.Key))
	return edited("Patient", p.source.Stored, ops)
}

// mergedTarget returns the target as the merge leaves it: as the caller wants it, if result is
// not nil, with the identifiers of the source as old ones, and the link.
func (p pair) mergedTarget(result *fhir.Resource) (*fhir.Resource, error) {
	r := p.target.resource
	if result != nil {
		r = result
	}
	root := r.Root()
	var ops []operation
	added := p.addedIdentifiers(root)
	switch {
	case len(added) == 0:
	case root.Child("identifier").IsZero():
		ops = append(ops, operation{"add", "/identifier", added})
	default:
		for _, id := range added {
			ops = append(ops, operation{"add", "/identifier/-", id})
		}
	}
	if !linksTo(root, "replaces", p.source.Key) {
		ops = append(ops, addLink(root, "replaces", p.source.Key))
	}
	return editedBy("Patient", r.Stored(p.target.Key.ID), ops)
}

func addLink(patient fhir.Node, typ string, to fhir.Key) operation {
	type other struct {
		Reference string `json:"reference"`
	}
	link := struct {
		Other other  `json:"other"`
		Type  string `json:"type"`
	}{other{to.String()}, typ}
	if patient.Child("link").IsZero() {
		return operation{"add", "/link", []any{link}}
	}
	return operation{"add", "/link/-", link}
}

// addedIdentifiers returns those of the source that a Patient does not have, as old ones.
func (p pair) addedIdentifiers(patient fhir.Node) []json.RawMessage {
	var all []json.RawMessage
	for n := range p.source.resource.Root().Each("identifier") {
		if hasIdentifier(patient, n) {
			continue
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(n.Raw(), &members) != nil {
			continue // a gap in the list
		}
		members["use"] = json.RawMessage(`"old"`)
		b, err := json.Marshal(members)
		if err == nil {
			all = append(all, b)
		}
	}
	return all
}

func hasIdentifier(patient, id fhir.Node) bool {
	for other := range patient.Each("identifier") {
		if other.Child("system").Text() == id.Child("system").Text() && other.Child("value").Text() == id.Child("value").Text() {
			return true
		}
	}
	return false
}

// partedSource returns the source as it is by itself again; old is the version before the merge.
func (p pair) partedSource(old *former) (*fhir.Resource, error) {
	if p.source.Number == old.Number+1 {
		return old.resource, nil
	}
	root := p.source.resource.Root()
	ops := removeLinks(root, "replaced-by", p.target.Key)
	switch was := old.resource.Root().Child("active"); {
	case was.HasValue():
		ops = append(ops, operation{"add", "/active", json.RawMessage(was.Raw())})
	case !root.Child("active").IsZero():
		ops = append(ops, operation{"remove", "/active", nil})
	}
	return editedBy("Patient", p.source.Stored, ops)
}

// partedTarget does so for the target, which keeps what was changed since the merge.
func (p pair) partedTarget(old *former) (*fhir.Resource, error) {
	if p.target.Number == old.Number+1 {
		return old.resource, nil
	}
	root := p.target.resource.Root()
	ops := removeLinks(root, "replaces", p.source.Key)
	var gone []operation
	all, i := 0, 0
	for n := range root.Each("identifier") {
		if n.Child("use").Text() == "old" && hasIdentifier(p.source.resource.Root(), n) && !hasIdentifier(old.resource.Root(), n) {
			gone = append([]operation{{"remove", "/identifier/" + strconv.Itoa(i), nil}}, gone...)
		}
		i++
		all++
	}
	if len(gone) == all && all > 0 {
		gone = []operation{{"remove", "/identifier", nil}}
	}
	return editedBy("Patient", p.target.Stored, append(ops, gone...))
}

// removeLinks takes the links of a type to somebody away, the last one first.
func removeLinks(patient fhir.Node, typ string, to fhir.Key) []operation {
	var ops []operation
	i := 0
	for n := range patient.Each("link") {
		if n.Child("type").Text() == typ && n.Child("other").Child("reference").Text() == to.String() {
			ops = append([]operation{{"remove", "/link/" + strconv.Itoa(i), nil}}, ops...)
		}
		i++
	}
	if len(ops) == i && i > 0 {
		return []operation{{"remove", "/link", nil}}
	}
	return ops
}

// mayMove returns an Outcome unless the caller's organisation is one where both patients are
// registered, and no organisation where the source is loses sight of the record, as k, the
// sketches of both, say.
func (s *Session) mayMove(source, target *sketch) error {
	if s.grant.IsTrusted() {
		return nil
	}
	before := registeredWith(source.Gifts)
	after := registeredWith(target.Gifts)
	var own map[access.Key]bool
	for _, b := range s.grant.View(access.MayUpdate, "Patient") {
		if b.All && b.Within == nil {
			return nil
		}
		if own == nil {
			own = map[access.Key]bool{}
		}
		for _, k := range b.Parties {
			own[k] = true
		}
	}
	if !anyOf(before, own) || !anyOf(after, own) {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Patients are merged by an organisation that both are registered with, as managing organisation or general practitioner.")
	}
	for k := range before {
		if !after[k] && !own[k] {
			return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, inParameter("source-patient"), "The source is registered with an organisation that the target is not registered with, and that would lose the record: have it registered with the target first.")
		}
	}
	return nil
}

// registeredWith returns the organisations among whom a Patient gives the record to.
func registeredWith(gifts []access.Gift) map[access.Key]bool {
	all := map[access.Key]bool{}
	for _, g := range gifts {
		if k := g.Key; g.Target.Kind == access.Record && k.Kind == access.Party && len(k.Of) > 13 && k.Of[:13] == "Organization/" {
			all[k] = true
		}
	}
	return all
}

func anyOf(all, of map[access.Key]bool) bool {
	for k := range all {
		if of[k] {
			return true
		}
	}
	return false
}

// patientChange returns the change of a Patient, if the caller may make it.
func (s *Session) patientChange(t *mergeTask, old *former, r *fhir.Resource) (*sketch, error) {
	if !s.grant.IsTrusted() {
		kept, err := keepLabels(old, r)
		if err != nil {
			return nil, err
		}
		r = kept
	}
	plain := *s
	plain.published = true // what is merged is held to nothing new
	k, err := plain.sketch(t.ctx, proposal{interaction: access.Update, key: old.Key, op: store.Update, resource: r, old: old})
	if err != nil {
		return nil, err
	}
	if err := s.permit(t.ctx, t.tx, k); err != nil {
		return nil, err
	}
	if k.Trail = s.trail(t.as, old.Key); k.Trail != nil {
		k.Trail.Patients = []string{t.source.ID, t.target.ID}
	}
	return k, nil
}
