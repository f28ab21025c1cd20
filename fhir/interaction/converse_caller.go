package interaction

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// A speaker is the caller, as the rules of conversations see them.
type speaker struct {
	consultation.Caller
	trusted bool
	client  bool                  // a client without a user, which may name an author within its organisations
	asserts bool                  // it may name a patient, or who acts for one, as well
	lapsed  fhir.Key              // the patient whose proxy a RelatedPerson was and is no longer; empty for others
	homes   map[fhir.Key]fhir.Key // the Organization of each PractitionerRole of the person
}

// isPatient reports whether the caller acts for a patient and for nobody else.
func (s *speaker) isPatient() bool {
	return !s.trusted && !s.client && len(s.Persons) > 0 && (s.Persons[0].Type == "Patient" || s.Persons[0].Type == "RelatedPerson")
}

// currentReader reads what is stored now.
type currentReader interface {
	Current(context.Context, []fhir.Key) (map[fhir.Key]*store.Version, error)
}

// speaker finds out who the caller is.
func (s *Session) speaker(ctx context.Context, at currentReader) (*speaker, error) {
	who := s.standing()
	return who, s.know(ctx, at, who)
}

// standing returns who the caller is by their token.
func (s *Session) standing() *speaker {
	if s.grant.IsTrusted() {
		return &speaker{trusted: true}
	}
	t := s.grant.Terms()
	who := &speaker{client: t.User.ID == "", asserts: s.grant.Has(access.AssertPatient)}
	if t.User.ID != "" {
		who.Persons = []fhir.Key{t.User}
	}
	records := s.grant.Has(access.Administer)
	for _, o := range t.Organizations {
		who.Memberships = append(who.Memberships, consultation.Membership{Of: fhir.Key{Type: "Organization", ID: o}, Records: records})
	}
	for _, standing := range t.Standings {
		for _, k := range standing.Parties {
			who.stand(k, t.User)
		}
	}
	return who
}

// stand adds what one key says that the caller stands for.
func (s *speaker) stand(k access.Key, user fhir.Key) {
	of, ok := fhir.ParseReference(k.Of)
	if !ok {
		return
	}
	switch {
	case k.Kind == access.Patient && user.Type == "RelatedPerson":
		s.Proxies = add(s.Proxies, of.Key)
	case k.Kind == access.Patient && user.Type == "Patient" && of.Key != user:
		s.Proxies = add(s.Proxies, of.Key)
	case k.Kind == access.Party && of.Key.Type == "PractitionerRole":
		s.Persons = add(s.Persons, of.Key)
	case k.Kind == access.Party && (of.Key.Type == "HealthcareService" || of.Key.Type == "CareTeam" || of.Key.Type == "Organization"):
		if !slices.ContainsFunc(s.Memberships, func(m consultation.Membership) bool { return m.Of == of.Key }) {
			s.Memberships = append(s.Memberships, consultation.Membership{Of: of.Key})
		}
	}
}

// know looks up what the resources of the caller say: the roles of staff, and whose proxy
// somebody was.
func (s *Session) know(ctx context.Context, at currentReader, who *speaker) error {
	var ask []fhir.Key
	for _, k := range who.Persons {
		if k.Type == "PractitionerRole" || k.Type == "RelatedPerson" {
			ask = append(ask, k)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := at.Current(ctx, ask)
	if err != nil {
		return err
	}
	for _, k := range ask {
		v, err := formerly(found[k])
		if err != nil {
			return fmt.Errorf("decode a %s: %w", k.Type, err)
		}
		switch {
		case v == nil:
		case k.Type == "RelatedPerson":
			if p := s.referred(v.resource.Root().Child("patient"), "Patient"); !slices.Contains(who.Proxies, p) {
				who.lapsed = p
			}
		default:
			who.takeUp(s.Engine, v.resource)
		}
	}
	return nil
}

// takeUp adds what a PractitionerRole of the caller says: whether it is clinical, or keeps records.
func (s *speaker) takeUp(e *Engine, role *fhir.Resource) {
	n := role.Root()
	clinical, records := clinicalRole(n), keepsRecords(n)
	places := []fhir.Key{e.referred(n.Child("organization"), "Organization")}
	for h := range n.Each("healthcareService") {
		places = append(places, e.referred(h, "HealthcareService"))
	}
	for i := range s.Memberships {
		m := &s.Memberships[i]
		if slices.Contains(places, m.Of) {
			m.Clinical, m.Records = m.Clinical || clinical, m.Records || records
		}
	}
	if s.homes == nil {
		s.homes = map[fhir.Key]fhir.Key{}
	}
	s.homes[fhir.Key{Type: "PractitionerRole", ID: role.ID()}] = places[0]
}

// clinicalRole reports whether a PractitionerRole is one of somebody who answers for clinical
// decisions, by the codes of HL7, of SNOMED CT and of this server.
func clinicalRole(n fhir.Node) bool {
	return slices.ContainsFunc(codings(n), func(c consultation.Code) bool {
		switch c.System {
		case "http://terminology.hl7.org/CodeSystem/practitioner-role":
			return slices.Contains([]string{"doctor", "nurse", "pharmacist"}, c.Code)
		case practitionerRoles:
			return c.Code == "clinician"
		case "http://snomed.info/sct":
			// Medical practitioner, general practitioner, consultant, specialist, nurse, nurse practitioner,
			// pharmacist, paramedic, physiotherapist, physician, midwife.
			return slices.Contains([]string{"158965000", "62247001", "768839008", "69280009", "106292003", "224571005", "46255001", "397897005", "36682004", "309343006", "309453006"}, c.Code)
		}
		return false
	})
}

// practitionerRoles is the code system of what a PractitionerRole means to this server.
const practitionerRoles = consultation.Base + "CodeSystem/practitioner-role"

// keepsRecords reports whether a PractitionerRole is that of a records administrator.
func keepsRecords(n fhir.Node) bool {
	return slices.Contains(codings(n), consultation.Code{System: practitionerRoles, Code: "records-admin"})
}

func codings(n fhir.Node) (all []consultation.Code) {
	for concept := range n.Each("code") {
		for c := range concept.Each("coding") {
			all = append(all, consultation.Code{System: c.Child("system").Text(), Code: c.Child("code").Text()})
		}
	}
	return all
}

// in returns the caller as they take part in a conversation. A trusted system is everybody; a
// client without a user is who it names as the author, which the rules of access have to allow.
func (s *speaker) in(c *consultation.Conversation, author fhir.Key) consultation.Caller {
	if s.trusted {
		return everybody(c, author)
	}
	patient := author.Type == "Patient" || author.Type == "RelatedPerson"
	switch {
	case !s.client && author.ID != "":
		return s.speaking(c, author)
	case author.ID == "" || patient && !s.asserts:
		return s.providing(c)
	}
	named := s.providing(c)
	if patient {
		named = consultation.Caller{Persons: []fhir.Key{author}}
		if author.Type == "RelatedPerson" && c != nil && c.Parties[author].ID != "" {
			named.Proxies = []fhir.Key{c.Parties[author]}
		}
		return named
	}
	home := author
	if c != nil && c.Parties[author].ID != "" {
		home = c.Parties[author]
	}
	if slices.ContainsFunc(s.Memberships, func(m consultation.Membership) bool { return m.Of == home }) {
		named.Persons = append(slices.Clone(named.Persons), author)
	}
	return named
}

// speaking returns the caller as the role or organisation of theirs that they speak for: who works
// on both sides of a conversation speaks from one of them.
func (s *speaker) speaking(c *consultation.Conversation, author fhir.Key) consultation.Caller {
	caller, home := s.providing(c), s.homes[author]
	if author.Type == "Organization" {
		home = author
	}
	at := func(m consultation.Membership) bool { return m.Of == home || c != nil && c.Parties[m.Of] == home }
	if home.ID != "" && slices.ContainsFunc(caller.Memberships, at) {
		caller.Memberships = slices.DeleteFunc(caller.Memberships, func(m consultation.Membership) bool { return !at(m) })
	}
	return caller
}

// providing returns the caller with the places in services that they have by those who provide
// them.
func (s *speaker) providing(c *consultation.Conversation) consultation.Caller {
	caller := s.Caller
	caller.Memberships = slices.Clone(caller.Memberships)
	for i := range caller.Memberships {
		m := &caller.Memberships[i]
		for _, home := range s.Memberships {
			if c != nil && home.Of == c.Parties[m.Of] {
				m.Clinical, m.Records = m.Clinical || home.Clinical, m.Records || home.Records
			}
		}
	}
	return caller
}

// everybody is a trusted system: it has every role, and speaks for whom it names.
func everybody(c *consultation.Conversation, author fhir.Key) consultation.Caller {
	var all consultation.Caller
	house := func(k fhir.Key) {
		if k.ID != "" && k.Type != "Patient" && k.Type != "RelatedPerson" {
			all.Memberships = append(all.Memberships, consultation.Membership{Of: k, Clinical: true, Records: true})
		}
	}
	switch {
	case author.ID != "" && (author.Type == "Patient" || author.Type == "RelatedPerson"):
		all.Persons, all.Proxies = []fhir.Key{author}, []fhir.Key{c.Task.For}
	case author.ID != "":
		all.Persons = []fhir.Key{author}
		house(c.Parties[author])
		house(author)
	default:
		for _, k := range []fhir.Key{c.Task.Owner, c.Task.Requester, c.Task.For} {
			all.Persons = append(all.Persons, k)
			house(k)
		}
		all.Proxies = []fhir.Key{c.Task.For}
	}
	return all
}

// as returns whom the caller speaks as in a conversation: the author that is named, the person,
// of staff in the role that they have at the organisation of that side.
func (s *speaker) as(c *consultation.Conversation, author fhir.Key) consultation.Party {
	switch {
	case author.ID != "":
		return consultation.Party{Reference: author.String()}
	case s.trusted:
		return consultation.Party{Reference: c.Task.Owner.String()}
	case s.client:
		for _, k := range []fhir.Key{c.Task.Owner, c.Task.Requester} {
			if slices.ContainsFunc(s.Memberships, func(m consultation.Membership) bool { return m.Of == k || m.Of == c.Parties[k] }) {
				return consultation.Party{Reference: k.String()}
			}
		}
		return consultation.Party{}
	}
	for _, side := range []fhir.Key{c.Task.Owner, c.Task.Requester} {
		home := side
		if c.Parties[side].ID != "" {
			home = c.Parties[side]
		}
		for _, k := range s.Persons {
			if s.homes[k].ID != "" && s.homes[k] == home {
				return consultation.Party{Reference: k.String()}
			}
		}
	}
	if len(s.Persons) == 0 {
		return consultation.Party{}
	}
	return consultation.Party{Reference: s.Persons[0].String()}
}
