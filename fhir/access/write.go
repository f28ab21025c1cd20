package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// A Write is what somebody is about to write, with all that the rules have to
// know. What is left out counts as a no. It is for the caller to see to it that
// the writer sees Old by the scopes that the interaction needs.
type Write struct {
	Interaction Interaction // Create, Update, Patch or Delete
	Type        string
	Old         *Content            // the version that it follows; nil for none
	Things      map[Key]bool        // of what Names returns: what the writer sees, by the scopes that they write by or any others
	Meta        bool                // only profiles, tags and labels differ from Old
	Amends      bool                // the rules of conversations let the writer change what was sent
	New         *Content            // nil for Delete
	Patients    map[string]bool     // of the patients that Asks returns, as "Patient/1": those that the writer sees
	Records     map[string]bool     // of the same: those whose record the writer was given, so that their Record key shows it
	Sides       map[string][]string // of the same: the ids of those of the writer's organisations that it is shown to
	Authors     map[fhir.Key]bool   // of the authors that Asks returns: those of the writer's organisations, and patients that the writer sees
}

// Asks returns whom Patients, Records, Sides and Authors have to tell of: the patients
// that a Write names, as "Patient/1", and its authors. Each comes once and in
// order.
func (w Write) Asks() (patients []string, authors []fhir.Key) {
	for _, c := range [...]*Content{w.Old, w.New} {
		if c != nil {
			patients = append(append(patients, Subjects(c.named())...), c.Members...)
			authors = append(authors, c.Authors...)
		}
	}
	slices.Sort(patients)
	return slices.Compact(patients), sortedNames(authors)
}

// Names returns the resources that the new version takes along and the old one did
// not, of which Things has to tell.
func (w Write) Names() []Key {
	if w.New == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.New.Things), func(k Key) bool { return w.Old != nil && slices.Contains(w.Old.Things, k) })
}

// MayWrite returns nil if g may perform w, and otherwise an Outcome of class
// Denied, or Unprocessable for what nobody like this caller may do whatever it is
// about. The rules are in the package documentation.
func (g Grant) MayWrite(w Write) error {
	if w.New != nil && w.New.Excess {
		return fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, w.Type, "The %s names too many: at most %d patients and others who take part in it, and %d pairs of a resource and of somebody who is to see it.", w.Type, MaxKeys, MaxGifts)
	}
	if g.trusted {
		return nil
	}
	r := g.writer(w)
	if err := r.mayAtAll(); err != nil {
		return err
	}
	rules := r.mayAsStaff
	if r.isPatient() {
		rules = r.mayAsPatient
	}
	if err := rules(); err != nil || w.New == nil {
		return err
	}
	if err := r.seesThings(); err != nil {
		return err
	}
	if err := r.keepsLabels(); err != nil {
		return err
	}
	return r.seesResult()
}

// A writer is somebody who writes.
type writer struct {
	Write
	grant Grant
	terms *Terms
	view  View
	own   []Key // the parties of view, those of Within among them
	all   bool  // a branch of view shows all of the type
}

func (g Grant) writer(w Write) *writer {
	r := &writer{Write: w, grant: g, terms: &g.terms}
	if n := needed(w.Interaction); n&(MayCreate|MayUpdate|MayDelete) != 0 {
		r.view = g.terms.view(n, w.Type)
	}
	for _, b := range r.view {
		r.own = append(append(r.own, b.Parties...), b.Within...)
		r.all = r.all || b.All && b.Within == nil && len(b.Where) == 0
	}
	return r
}

// isPatient reports whether the rules for patients and who acts for them hold.
func (r *writer) isPatient() bool { return r.terms.isPatient() }

func (r *writer) denied(expression, format string, args ...any) error {
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, expression, format, args...)
}

// mayAtAll holds for everybody.
func (r *writer) mayAtAll() error {
	switch {
	case len(r.view) == 0, r.Interaction == Delete && r.Old == nil, r.Interaction != Delete && r.New == nil:
		return r.denied("", "You may not perform %s on %s.", r.Interaction, r.Type)
	case r.Type == "AuditEvent":
		return r.denied(r.Type, "Only the server writes an AuditEvent.")
	case r.Old != nil && r.New != nil && !r.Old.Draft && !r.grant.Has(Administer) && !slices.Equal(r.about(r.Old), r.about(r.New)):
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, r.Type, "Whom a %s is about does not change: leave the patients in it as they are, or write a new one and mark this one as entered in error.", r.Type)
	}
	return nil
}

// about returns the Patient and Record keys.
func (r *writer) about(c *Content) []Key {
	return slices.DeleteFunc(slices.Clone(c.Keys), func(k Key) bool { return k.Kind != Patient && k.Kind != Record })
}

// keepsLabels sees to it that labels are taken away with the role for it only.
func (r *writer) keepsLabels() error {
	if r.Old == nil || r.grant.Has(Labels) {
		return nil
	}
	for _, k := range r.Old.Keys {
		if k.Kind == Label && k.Of != AnyLabel && !slices.Contains(r.New.Keys, k) {
			return r.denied(r.Type+".meta.security", "You may not take the label %s away.", k.Of)
		}
	}
	return nil
}

// seesThings sees to it that nobody names what they do not see where naming gives
// it to others: somebody who does see it might go on with it and give it for them.
func (r *writer) seesThings() error {
	if r.all {
		return nil
	}
	for _, k := range r.Names() {
		if !r.Things[k] {
			return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, r.Type, "The %s takes something along that you do not see, or that is not there: check its references and attachments.", r.Type)
		}
	}
	return nil
}

// seesResult sees to it that the writer sees the new version.
func (r *writer) seesResult() error {
	keys := slices.Concat(r.New.Keys, r.authorKeys())
	gifts := r.gives(func(Key) bool { return false })
	has := func(any []Key) bool {
		return intersects(keys, any) || r.New.Given != nil && r.New.Given(any) ||
			slices.ContainsFunc(gifts, func(g Gift) bool { return slices.Contains(keys, g.Target) && slices.Contains(any, g.Key) })
	}
	for _, b := range r.view {
		if b.shows(r.Type, has, r.New.Matches) {
			return nil
		}
	}
	return r.denied(r.Type, "You may not write a %s that you would not see: check whom it is about, who takes part in it, its labels, and what your scopes say.", r.Type)
}

// AuthorKeys returns the Author keys that a new resource needs so that the side of
// its writer sees it: none if the content names a party of theirs, if all see it,
// or if it follows another version, whose Author keys it keeps.
func (g Grant) AuthorKeys(w Write) []Key {
	if g.trusted {
		return nil
	}
	return g.writer(w).authorKeys()
}

func (r *writer) authorKeys() []Key {
	if r.Old != nil || r.New == nil || r.all || slices.Contains(r.New.Keys, Key{Kind: Open}) {
		return nil
	}
	if r.isPatient() {
		return r.patientAuthor()
	}
	if slices.ContainsFunc(r.New.Keys, func(k Key) bool { return k.Kind == Party && slices.Contains(r.own, k) }) {
		return nil
	}
	var keys []Key
	for _, id := range r.authoring() {
		keys = append(keys, Key{Author, "Organization/" + id})
	}
	if len(keys) == 0 && r.terms.User.ID == "" && r.terms.Client != "" {
		keys = append(keys, Key{Author, "Client/" + r.terms.Client})
	}
	return sorted(keys)
}

// authoring returns the ids of the organisations that a new resource is from. Of
// several it is those that see whom it is about: what is written for one of them
// is not for the others. If none does, it is from a client itself, and from a person
// for all of them.
func (r *writer) authoring() []string {
	all, subjects := r.terms.Organizations, Subjects(r.New.Keys)
	if len(all) < 2 {
		return all
	}
	some := slices.DeleteFunc(slices.Clone(all), func(id string) bool {
		return len(subjects) == 0 || slices.ContainsFunc(subjects, func(of string) bool { return !r.isShown(of, id) })
	})
	if len(some) == 0 && r.terms.User.ID != "" {
		return all
	}
	return some
}

// isShown reports whether one of the writer's organisations sees a patient, or gets
// the record with what is written.
func (r *writer) isShown(patient, organization string) bool {
	return slices.Contains(r.Sides[patient], organization) || slices.Contains(r.New.Gifts, Gift{Key{Record, patient}, Key{Party, "Organization/" + organization}})
}

// patientAuthor returns the key of a patient for what names no patient.
func (r *writer) patientAuthor() []Key {
	if len(Subjects(r.New.Keys)) > 0 {
		return nil
	}
	own := r.patients()
	switch {
	case slices.Contains(own, r.terms.Patient.String()):
		return []Key{{Author, r.terms.Patient.String()}}
	case slices.Contains(own, r.terms.User.String()):
		return []Key{{Author, r.terms.User.String()}}
	case len(own) == 1:
		return []Key{{Author, own[0]}}
	}
	return nil
}

// patients returns the patients that a patient, or who acts for one, writes for.
func (r *writer) patients() []string {
	return Subjects(slices.DeleteFunc(slices.Clone(r.own), func(k Key) bool { return k.Kind != Patient }))
}

// Gives returns those of the gifts of the new version that its writer may make.
// Those that stand already and that the content still names are not its concern.
// visible reports whether the writer sees the resource of an Itself target, or
// has the Record target; nil is no.
func (g Grant) Gives(w Write, visible func(Key) bool) []Gift {
	if w.New == nil {
		return nil
	}
	if g.trusted {
		return w.New.Gifts
	}
	if visible == nil {
		visible = func(Key) bool { return false }
	}
	return g.writer(w).gives(visible)
}

func (r *writer) gives(visible func(Key) bool) []Gift {
	if r.New == nil || len(r.view) == 0 {
		return nil
	}
	registers := r.Type == "Patient" && r.Old == nil && !r.isPatient() && r.manages(r.New)
	var allowed []Gift
	for _, g := range r.New.Gifts {
		ok := false
		switch g.Target.Kind {
		case Itself:
			ok = visible(g.Target)
		case Record:
			ok = registers || r.grant.Has(Administer) || visible(g.Target)
		case Party:
			ok = r.grant.Has(Administer)
		}
		if ok {
			allowed = append(allowed, g)
		}
	}
	return allowed
}

// manages reports whether a party of the writer is given the record by a Patient.
func (r *writer) manages(c *Content) bool {
	return slices.ContainsFunc(c.Gifts, func(g Gift) bool {
		return g.Target.Kind == Record && g.Key.Kind == Party && slices.Contains(r.own, g.Key)
	})
}
