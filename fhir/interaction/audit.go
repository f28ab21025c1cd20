package interaction

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// What is recorded beside the interactions, as [store.Trail.Interaction].
const (
	SignIn      access.Interaction = "login"
	SignOut     access.Interaction = "logout"
	TokenIssued access.Interaction = "token"
	Refused     access.Interaction = "refused"
)

// Outcomes of https://hl7.org/fhir/R4/valueset-audit-event-outcome.html.
const (
	succeeded  = 0
	failed     = 4  // the request was wrong, or what it asks for is not there
	denied     = 8  // the caller may not do it
	brokenDown = 12 // the server could not do it
)

// maxPatients is how many patients one line names at most.
const maxPatients = 100

// Note records what happened apart from an interaction with a resource, such as a
// sign-in. When it cannot be recorded the error is an Unavailable
// [*fhir.Outcome], and it must not happen. Without an audit it does nothing.
func (e *Engine) Note(ctx context.Context, t store.Trail) error { return e.store.Record(ctx, t) }

// trail returns the line of audit of something that the caller does with k, as if
// it succeeds; nil without an audit. With a row or a deletion it is stored in the write's own
// statement, if that makes a version.
func (s *Session) trail(i access.Interaction, k fhir.Key) *store.Trail {
	if !s.store.Audits() {
		return nil
	}
	t := s.grant.Terms()
	return &store.Trail{
		Request: s.origin.Request, Origin: s.origin.Address, Interaction: string(i),
		Client: s.grant.Client(), Agent: agentOf(t), Organizations: t.Organizations, Key: k,
	}
}

// agentOf returns who acts by some terms, as the audit names them; empty for nobody
// in particular.
func agentOf(t access.Terms) string {
	if t.RequestAgent == "" && t.User.Type != "" {
		return t.User.String()
	}
	return t.RequestAgent
}

// saw records that the caller has performed i on k, which led to v or err, and
// returns what the caller gets: nothing, if it cannot be recorded.
func (s *Session) saw(ctx context.Context, i access.Interaction, k fhir.Key, v *store.Version, err error) (*store.Version, error) {
	t := s.trail(i, k)
	if t == nil {
		return v, err
	}
	if v != nil {
		t.Version, t.Patients = v.Number, s.store.PatientsOf(v)
	}
	if err := s.record(ctx, t, err); err != nil {
		return nil, err
	}
	return v, err
}

// wrote records a write that t was made for and that led to done or err. What has
// made a version has its line already.
func (s *Session) wrote(ctx context.Context, t *store.Trail, done Result, err error) (Result, error) {
	if t == nil || err == nil && done.Outcome != store.Unchanged && done.Outcome != store.Nothing {
		return done, err
	}
	t.Version = cmp.Or(done.Number, t.Version)
	if err := s.record(ctx, t, err); err != nil {
		return Result{}, err
	}
	return done, err
}

// browsed records that the caller has read a page of a history.
func (s *Session) browsed(ctx context.Context, h store.History, p store.Page, err error) (store.Page, error) {
	t := s.trail(historyInteraction(h), fhir.Key{Type: h.Type, ID: h.ID})
	if t == nil {
		return p, err
	}
	var failed error
	if t.Patients, failed = s.patientsIn(ctx, s.store, nil, p.Versions); failed == nil {
		failed = s.record(ctx, t, err)
	}
	if failed != nil {
		return store.Page{}, failed
	}
	return p, err
}

// searched records that the caller has read a page of a search.
func (s *Session) searched(ctx context.Context, at ground, p Page, f Found, err error) (Found, error) {
	i := access.SearchSystem
	var k fhir.Key
	if len(p.Types) > 0 {
		i = access.SearchType
	}
	if len(p.Types) == 1 {
		k.Type = p.Types[0]
	}
	t := s.trail(i, k)
	if t == nil {
		return f, err
	}
	t.Detail = map[string]string{queryDetail: asked(p)}
	var ids []string
	if p.Within != nil && p.Within.Type == "Patient" {
		ids = append(ids, p.Within.ID)
	}
	if f.Query != nil {
		ids = patientsAsked(ids, f.Query.Where)
	}
	var failed error
	if f.Matches != nil && k.Type != auditType {
		ids, failed = s.patientsIn(ctx, at, ids, slices.Concat(f.Versions, f.Included))
	}
	if t.Patients = ids; failed == nil {
		failed = s.record(ctx, t, err)
	}
	if failed != nil {
		return Found{}, failed
	}
	return f, err
}

// queryDetail is the name of what a search asked in the detail of its line.
const queryDetail = "query"

// asked returns p as it stands behind the base of the address.
func asked(p Page) string {
	var b strings.Builder
	if p.Within != nil {
		b.WriteString(p.Within.String() + "/")
	}
	if len(p.Types) == 1 {
		b.WriteString(p.Types[0])
	}
	separator := '?'
	for _, in := range p.Params {
		b.WriteRune(separator)
		b.WriteString(url.QueryEscape(in.Name) + "=" + url.QueryEscape(in.Value))
		separator = '&'
	}
	return b.String()
}

// patientsAsked appends the ids of the patients that conditions name.
func patientsAsked(ids []string, where []search.Condition) []string {
	for _, c := range where {
		switch c := c.(type) {
		case search.And:
			ids = patientsAsked(ids, c)
		case search.Or:
			ids = patientsAsked(ids, c)
		case *search.Test:
			for _, v := range c.Values {
				if ref, ok := v.(search.AskedReference); ok && slices.Contains(c.Param.Targets, "Patient") {
					ids = patientKeys(ids, ref.Keys)
				}
			}
		}
	}
	return ids
}

// patientKeys appends the ids of the keys of patients. An id that was asked for
// without a type stands for one of each type.
func patientKeys(ids []string, keys []fhir.Key) []string {
	for _, k := range keys {
		if k.Type == "Patient" && !slices.Contains(ids, k.ID) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// patientsIn appends the ids of the patients whose data some versions are. Where
// their access keys are not known and their content names others than are among ids
// already, it asks for them in one round trip.
func (s *Session) patientsIn(ctx context.Context, at ground, ids []string, versions []store.Version) ([]string, error) {
	add := func(named []string) {
		for _, id := range named {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	var unsure []store.Version
	var of []access.Key
	for i := range versions {
		v := &versions[i]
		named := s.store.PatientsOf(v)
		switch {
		case v.Keys != nil:
			add(named)
		case slices.ContainsFunc(named, func(id string) bool { return !slices.Contains(ids, id) }):
			unsure, of = append(unsure, *v), append(of, itself(v.Key))
		}
	}
	known, err := at.Known(ctx, of)
	if err != nil {
		return nil, err
	}
	for i := range unsure {
		unsure[i].Keys = known[of[i]]
		add(s.store.PatientsOf(&unsure[i]))
	}
	return ids, nil
}

// deletion returns the line of the deletion of k, which says whose data that is.
func (s *Session) deletion(ctx context.Context, k fhir.Key) (*store.Trail, error) {
	if !s.store.Audits() {
		return nil, nil
	}
	v, err := s.store.Read(ctx, k)
	if err != nil {
		return nil, err
	}
	return s.erasure(k, v), nil
}

// erasure does so where v is the current version, nil for none.
func (s *Session) erasure(k fhir.Key, v *store.Version) *store.Trail {
	t := s.trail(access.Delete, k)
	if t != nil && v != nil {
		t.Patients = s.store.PatientsOf(v)
	}
	return t
}

// turnedAway records that the caller may not do i on k, which err says, and
// returns err.
func (s *Session) turnedAway(i access.Interaction, k fhir.Key, err error) error {
	if t := s.trail(i, k); t != nil && err != nil {
		return cmp.Or(s.record(context.Background(), t, err), err)
	}
	return err
}

// record records t, which led to err, and returns an error only when the caller
// would get something that is not recorded. What concerns many patients takes several lines.
func (s *Session) record(ctx context.Context, t *store.Trail, err error) error {
	t.Outcome = outcomeOf(err)
	if o := fhir.AsOutcome(err); o != nil && len(o.Issues) > 0 && t.Detail[issueDetail] == "" {
		t.Detail = with(t.Detail, issueDetail, strings.TrimSpace(string(o.Issues[0].Code)+" "+o.Issues[0].Detail))
	}
	patients := t.Patients
	for {
		n := min(len(patients), maxPatients)
		t.Patients, patients = patients[:n:n], patients[n:]
		if failed := s.store.Record(ctx, *t); failed != nil && err == nil {
			return failed
		}
		if len(patients) == 0 {
			return nil
		}
	}
}

// issueDetail is the name of why something failed in the detail of its line.
const issueDetail = "issue"

func with(detail map[string]string, name, value string) map[string]string {
	if detail == nil {
		detail = map[string]string{}
	}
	detail[name] = value
	return detail
}

func outcomeOf(err error) int16 {
	o := fhir.AsOutcome(err)
	switch {
	case err == nil:
		return succeeded
	case o == nil:
		return brokenDown
	}
	switch o.Class {
	case fhir.Unauthorized, fhir.Denied:
		return denied
	case fhir.Unavailable, fhir.Full, fhir.Busy:
		return brokenDown
	}
	return failed
}
