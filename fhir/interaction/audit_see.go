package interaction

import (
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// Lines of audit have no access keys. Who may see one is worked out from whom it
// is about and who acted: who keeps the server running sees all; an organisation
// sees what was done for it, whole; who has a patient's record sees what was done
// with that patient's data; and so does the patient. The last two see neither what was asked nor
// which other patients were concerned. What is labelled so that the caller does
// not see it takes the line with it.

// A viewer sees lines by one branch of a caller's View.
type viewer struct {
	access.Branch
	user          string // who asks, as a reference; empty for none
	self          string // who asks, as the lines of what they do name them; empty for nobody in particular
	organizations []string
	themselves    []string // ids of patients who ask, or are asked for by a proxy
	only          []string // ids of the patients that an app was opened for, by somebody else; nil: any
}

// viewers returns how the caller sees lines with a permission.
func (s *Session) viewers(needs access.Permission) []viewer {
	var all []viewer
	t := s.grant.Terms()
	for _, b := range s.grant.View(needs, auditType) {
		if b.Within != nil {
			all = append(all, opened(b))
			continue
		}
		v := viewer{Branch: b, organizations: slices.Clone(t.Organizations)}
		if t.User.Type != "" {
			v.user = t.User.String()
		}
		v.self = agentOf(t)
		v.All = b.All || s.grant.Has(access.Administer) || s.grant.Has(access.Operate)
		for _, k := range b.Parties {
			typ, id, _ := strings.Cut(k.Of, "/")
			switch {
			case k.Kind == access.Patient:
				v.themselves = append(v.themselves, id)
			case k.Kind == access.Party && typ == "Organization":
				v.organizations = append(v.organizations, id)
			}
		}
		all = append(all, v)
	}
	return all
}

// opened returns how an app sees lines that staff have opened for a patient: what
// was done with the data of that patient, if they have the record.
func opened(b access.Branch) viewer {
	v := viewer{Branch: b, only: []string{}}
	for _, k := range b.Parties {
		if id, ok := strings.CutPrefix(k.Of, "Patient/"); ok && k.Kind == access.Patient {
			v.only = append(v.only, id)
		}
	}
	v.All, v.Parties = false, b.Within
	return v
}

// An eye looks at lines for a caller.
type eye struct {
	session *Session
	viewers []viewer
	known   map[access.Key][]int64 // of the patients and resources in the lines at hand
	base    string
	index   func(fhir.Node, string) (*search.Index, error)
}

// A seen line is one that the caller may see, as far as they may.
type seen struct {
	sighting
	resource *fhir.Resource
	index    *search.Index
}

func (s *Session) eye(needs access.Permission) *eye {
	registry := s.store.Registry()
	return &eye{session: s, viewers: s.viewers(needs), base: registry.Base, index: registry.Index}
}

// look returns those of lines that the caller sees, in their order.
func (e *eye) look(ctx context.Context, lines []store.Line) ([]seen, error) {
	if err := e.ask(ctx, lines); err != nil {
		return nil, err
	}
	var all []seen
	for _, l := range lines {
		one, err := e.one(l)
		if err != nil {
			return nil, err
		}
		if one != nil {
			all = append(all, *one)
		}
	}
	return all, nil
}

// ask finds out what has to be known of what lines name, in one round trip, or two
// if some of it is not there any more; none for who sees everything.
func (e *eye) ask(ctx context.Context, lines []store.Line) error {
	plain := func(v viewer) bool { return v.All && len(v.Denied) == 0 }
	if !slices.ContainsFunc(e.viewers, func(v viewer) bool { return !plain(v) }) {
		return nil
	}
	var of []access.Key
	for _, l := range lines {
		for _, id := range l.Patients {
			of = append(of, itself(patientKey(id)), access.Key{Kind: access.Record, Of: "Patient/" + id})
		}
		if l.Key.ID != "" {
			of = append(of, itself(l.Key))
		}
	}
	var err error
	if e.known, err = e.session.store.Known(ctx, unique(of)); err != nil {
		return err
	}
	return e.askLeft(ctx, of)
}

// askLeft finds out what has to be known of resources that were deleted: the labels
// that they had go on hiding what was done with them.
func (e *eye) askLeft(ctx context.Context, of []access.Key) error {
	var gone []fhir.Key
	for _, k := range of {
		if _, there := e.known[k]; k.Kind != access.Itself || there {
			continue
		}
		if typ, id, _ := strings.Cut(k.Of, "/"); !slices.Contains(gone, fhir.Key{Type: typ, ID: id}) {
			gone = append(gone, fhir.Key{Type: typ, ID: id})
		}
	}
	left, err := e.session.store.Left(ctx, gone)
	for k, keys := range left {
		e.known[itself(k)] = keys
	}
	return err
}

func itself(k fhir.Key) access.Key { return access.Key{Kind: access.Itself, Of: k.String()} }

// one returns the most that the caller sees of l, or nil.
func (e *eye) one(l store.Line) (*seen, error) {
	var best *seen
	for i := range e.viewers {
		v := &e.viewers[i]
		x, ok := e.by(v, l)
		if !ok || best != nil && !best.narrowed {
			continue
		}
		r, err := auditEvent(x, e.base)
		if err != nil {
			return nil, err
		}
		ix, err := e.index(r.Root(), x.ID())
		if err != nil {
			return nil, err
		}
		ix.Updated = x.version(r).Updated
		if matching(e.session.store.Registry(), ix)(v.Where) && (best == nil || !x.narrowed) {
			best = &seen{x, r, ix}
		}
	}
	return best, nil
}

// by returns what v shows of l.
func (e *eye) by(v *viewer, l store.Line) (sighting, bool) {
	if v.did(l) {
		l.Patients = slices.DeleteFunc(slices.Clone(l.Patients), func(id string) bool { return !e.seesPatient(v, id) })
		return sighting{Line: l}, true
	}
	if l.Key.ID != "" && !foundNothing(l) && e.meets(itself(l.Key), v.Denied) {
		return sighting{}, false
	}
	shown := slices.DeleteFunc(slices.Clone(l.Patients), func(id string) bool { return e.meets(itself(patientKey(id)), v.Denied) })
	whole := v.whole(l)
	if whole && len(shown) == len(l.Patients) {
		return sighting{Line: l}, true
	}
	themselves := v.concerns(l)
	if !whole {
		shown = slices.DeleteFunc(shown, func(id string) bool {
			return v.only != nil && !slices.Contains(v.only, id) ||
				!slices.Contains(v.themselves, id) && !e.meets(access.Key{Kind: access.Record, Of: "Patient/" + id}, v.given())
		})
	}
	if len(shown) == 0 && !whole && !themselves && !v.acted(l) {
		return sighting{}, false
	}
	l.Patients = shown
	return sighting{Line: l, narrowed: true, faceless: themselves && !v.acted(l) && e.session.hideStaff}, true
}

// seesPatient reports whether v shows a Patient, too. It is that of lines about
// which a hidden one must make no difference.
func (e *eye) seesPatient(v *viewer, id string) bool {
	k := itself(patientKey(id))
	_, known := e.known[k]
	return slices.Contains(v.themselves, id) || known && (v.All || e.meets(k, v.Parties)) && !e.meets(k, v.Denied)
}

// did reports whether the caller has done what l says. They see that whatever else
// is hidden from them: a line of their own that is missing, or that names a patient
// whom they do not see, would tell what there is.
func (v *viewer) did(l store.Line) bool {
	return v.only == nil && v.self != "" && l.Agent == v.self
}

// foundNothing reports whether l says that there was nothing for who acted, which
// tells nothing of what there is.
func foundNothing(l store.Line) bool {
	return l.Outcome == failed && l.Version == 0 && l.Detail[issueDetail] == string(fhir.NotFound)
}

func patientKey(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

// meets reports whether what k stands for has one of some keys.
func (e *eye) meets(k access.Key, any []access.Key) bool {
	return len(any) > 0 && e.session.store.Meets(e.known[k], any)
}

// whole reports whether v shows all of l: what the caller or one of their
// organisations has done.
func (v *viewer) whole(l store.Line) bool {
	return v.All || v.user != "" && l.Agent == v.user || slices.ContainsFunc(l.Organizations, func(id string) bool { return slices.Contains(v.organizations, id) })
}

// concerns reports whether l is about a patient who asks.
func (v *viewer) concerns(l store.Line) bool {
	return slices.ContainsFunc(l.Patients, func(id string) bool { return slices.Contains(v.themselves, id) }) ||
		l.Key.Type == "Patient" && slices.Contains(v.themselves, l.Key.ID)
}

// acted reports whether l is about what a patient who asks has done.
func (v *viewer) acted(l store.Line) bool {
	id, ok := strings.CutPrefix(l.Agent, "Patient/")
	return ok && slices.Contains(v.themselves, id)
}

// given returns the keys by which v has been given records.
func (v *viewer) given() []access.Key {
	return slices.DeleteFunc(slices.Clone(v.Parties), func(k access.Key) bool { return k.Kind != access.Party && k.Kind != access.Record })
}
