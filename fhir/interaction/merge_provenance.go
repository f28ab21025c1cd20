package interaction

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// An entity is a version that a merge was about to follow.
type entity struct {
	key    fhir.Key
	number int
}

// lifecycle is the system of what a Provenance says was done.
// https://hl7.org/fhir/R4/valueset-provenance-activity-type.html
const lifecycle = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"

// An account is the Provenance of a merge.
type account struct {
	ResourceType string          `json:"resourceType"`
	ID           string          `json:"id"`
	Meta         accountMeta     `json:"meta"`
	Target       []accountRef    `json:"target"`
	Recorded     string          `json:"recorded"`
	Activity     accountConcept  `json:"activity"`
	Agent        []accountAgent  `json:"agent"`
	Entity       []accountEntity `json:"entity"`
}

type accountMeta struct {
	Security []accountCoding `json:"security"`
}

type accountRef struct {
	Reference string `json:"reference,omitempty"`
	Display   string `json:"display,omitempty"`
}

type accountCoding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type accountConcept struct {
	Coding []accountCoding `json:"coding"`
}

type accountAgent struct {
	Type       accountConcept `json:"type"`
	Who        accountRef     `json:"who"`
	OnBehalfOf *accountRef    `json:"onBehalfOf,omitempty"`
}

type accountEntity struct {
	Role string     `json:"role"`
	What accountRef `json:"what"`
}

// agent returns who has had it done: a person, for their organisation, or a client.
func (t *mergeTask) agent() accountAgent {
	terms := t.grant.Terms()
	const types = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	by := accountAgent{Type: accountConcept{[]accountCoding{{types, "performer"}}}, Who: accountRef{Display: cmp.Or(t.grant.Client(), "the server")}}
	if len(terms.Organizations) == 1 {
		by.Who.Reference = "Organization/" + terms.Organizations[0]
	}
	if terms.User.ID == "" {
		return by
	}
	if by.Who.Reference != "" {
		by.OnBehalfOf = &accountRef{Reference: by.Who.Reference}
	}
	by.Who = accountRef{Reference: terms.User.String()}
	return by
}

// provenance returns what tells of t: in entity every version that was followed, by which it can be undone.
// It hides from patients, since it names what they may not see.
func (t *mergeTask) provenance() (store.Row, error) {
	a := account{
		ResourceType: "Provenance", ID: t.newID(),
		Meta:     accountMeta{[]accountCoding{{"http://terminology.hl7.org/CodeSystem/v3-ActCode", access.NoPatient}}},
		Target:   []accountRef{{Reference: t.source.String()}, {Reference: t.target.String()}},
		Recorded: t.clock().UTC().Format(time.RFC3339Nano),
		Activity: accountConcept{[]accountCoding{{lifecycle, string(t.as)}}},
		Agent:    []accountAgent{t.agent()},
	}
	for _, e := range t.entries {
		a.Entity = append(a.Entity, accountEntity{"revision", accountRef{Reference: e.key.String() + "/_history/" + strconv.Itoa(e.number)}})
	}
	b, err := json.Marshal(a)
	if err != nil {
		return store.Row{}, err
	}
	r, err := fhir.DecodeDerived("Provenance", b)
	if err != nil {
		return store.Row{}, fmt.Errorf("tell of a %s: %w", t.as, err)
	}
	row, err := t.store.Row(fhir.Key{Type: "Provenance", ID: a.ID}, store.Create, r)
	if err != nil {
		return store.Row{}, fmt.Errorf("tell of a %s: %w", t.as, err)
	}
	row.Origin = t.grant.Client()
	if row.Trail = t.trail(access.Create, row.Key); row.Trail != nil {
		row.Trail.Patients = []string{t.source.ID, t.target.ID}
	}
	return row, nil
}

// entitiesOf returns what the Provenance of a merge says.
func entitiesOf(doc []byte) ([]entity, error) {
	r, err := fhir.DecodeDerived("Provenance", doc)
	if err != nil {
		return nil, err
	}
	var all []entity
	for n := range r.Root().Each("entity") {
		ref, ok := fhir.ParseReference(n.Child("what").Child("reference").Text())
		number, err := strconv.Atoi(ref.Version)
		if !ok || err != nil {
			return nil, fmt.Errorf("read what a merge has moved: %q names no version", n.Child("what").Child("reference").Text())
		}
		all = append(all, entity{ref.Key, number})
	}
	return all, nil
}
