package interaction

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// The code systems of an AuditEvent.
const (
	eventTypes    = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	interactions  = "http://hl7.org/fhir/restful-interaction"
	dicom         = "http://dicom.nema.org/resources/ontology/DCM"
	participation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	roleClass     = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
	entityTypes   = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	objectRoles   = "http://terminology.hl7.org/CodeSystem/object-role"
	sourceTypes   = "http://terminology.hl7.org/CodeSystem/security-source-type"
	balpEntities  = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	balpProfile   = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
	ownEvents     = "https://fhir.openconsult.example/CodeSystem/audit-event"
)

const auditType = "AuditEvent"

// An event is an AuditEvent. https://hl7.org/fhir/R4/auditevent.html
type event struct {
	ResourceType string        `json:"resourceType"`
	ID           string        `json:"id"`
	Meta         *eventMeta    `json:"meta,omitempty"`
	Type         coding        `json:"type"`
	Subtype      []coding      `json:"subtype"`
	Action       string        `json:"action"`
	Recorded     string        `json:"recorded"`
	Outcome      string        `json:"outcome"`
	OutcomeDesc  string        `json:"outcomeDesc,omitempty"`
	Agent        []eventAgent  `json:"agent"`
	Source       eventSource   `json:"source"`
	Entity       []eventEntity `json:"entity,omitempty"`
}

type eventMeta struct {
	Profile []string `json:"profile"`
}

type coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding"`
}

type reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

type identifier struct {
	Value string `json:"value"`
}

type eventAgent struct {
	Type      concept       `json:"type"`
	Who       reference     `json:"who"`
	Requestor bool          `json:"requestor"`
	Network   *eventNetwork `json:"network,omitempty"`
}

type eventNetwork struct {
	Address string `json:"address"`
	Type    string `json:"type"`
}

type eventSource struct {
	Observer reference `json:"observer"`
	Type     []coding  `json:"type"`
}

type eventEntity struct {
	What        *reference     `json:"what,omitempty"`
	Type        coding         `json:"type"`
	Role        *coding        `json:"role,omitempty"`
	Description string         `json:"description,omitempty"`
	Query       string         `json:"query,omitempty"`
	Detail      []entityDetail `json:"detail,omitempty"`
}

type entityDetail struct {
	Type  string `json:"type"`
	Value string `json:"valueString"`
}

// A sighting is what a caller sees of a line: not everything that it says, maybe.
type sighting struct {
	store.Line
	faceless bool // without the person who acted
	narrowed bool // without what was asked, and without the patients that are no business of the caller
}

// auditEvent returns the AuditEvent that a line is, in the shape of IHE's Basic
// Audit Log Patterns, as observed by the server with the given base address.
// https://profiles.ihe.net/ITI/BALP/
func auditEvent(l sighting, base string) (*fhir.Resource, error) {
	if base == "" {
		base = "urn:openconsult:server"
	}
	kind := kindOf(access.Interaction(l.Interaction))
	e := event{
		ResourceType: auditType, ID: l.ID(), Type: kind.typ, Subtype: kind.subtype, Action: kind.action,
		Recorded: l.At.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), Outcome: strconv.Itoa(int(l.Outcome)), OutcomeDesc: printable(l.Detail[issueDetail]),
		Source: eventSource{Observer: reference{Identifier: &identifier{base}}, Type: []coding{{System: sourceTypes, Code: "4", Display: "Application Server"}}},
		Entity: l.entities(),
	}
	e.Agent = l.agents(kind, base)
	if profile := l.profile(kind); profile != "" {
		e.Meta = &eventMeta{[]string{balpProfile + profile}}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write line %s of audit: %w", l.ID(), err)
	}
	r, err := fhir.Decode(auditType, text)
	if err != nil {
		// Not wrapped: the Outcome is about what the server has made, not about what the caller has sent.
		return nil, errors.New("line " + l.ID() + " of audit is no AuditEvent: " + err.Error())
	}
	return r, nil
}

// profile returns the name of the pattern that l follows, or nothing.
func (l *sighting) profile(k kind) string {
	entity := l.Key.ID != ""
	if k.profile == "Query" {
		entity = l.Detail[queryDetail] != "" && !l.narrowed
	}
	switch {
	case k.profile == "" || l.Outcome != succeeded || !entity:
		return ""
	case len(l.Patients) == 1:
		return "Patient" + k.profile
	}
	return k.profile
}

// agents returns who took part: client and server, in the roles that the data
// flows by, the user, and the organisations.
func (l *sighting) agents(k kind, base string) []eventAgent {
	client := eventAgent{Type: k.client, Who: reference{Display: "unknown"}, Network: address(l.Origin)}
	if printable(l.Client) != "" {
		client.Who = reference{Identifier: &identifier{printable(l.Client)}}
	}
	server := eventAgent{Type: k.server, Who: reference{Identifier: &identifier{base}}, Network: &eventNetwork{base, "5"}}
	agents := []eventAgent{client, server}
	if printable(l.Agent) != "" && !l.faceless {
		agents = append(agents, eventAgent{Type: k.user, Who: named(l.Agent), Requestor: true})
	}
	for _, id := range l.Organizations {
		agents = append(agents, eventAgent{Type: one(coding{System: roleClass, Code: "PROV", Display: "healthcare provider"}), Who: named("Organization/" + id), Requestor: l.faceless})
	}
	if printable(l.Agent) == "" || l.faceless && len(l.Organizations) == 0 {
		agents[0].Requestor = true
	}
	return agents
}

func address(origin string) *eventNetwork {
	if printable(origin) == "" {
		return &eventNetwork{"localhost", "1"} // the server itself
	}
	return &eventNetwork{printable(origin), "2"}
}

// named returns a reference to who, which may be something other than a resource.
func named(who string) reference {
	if r, ok := fhir.ParseReference(who); ok && r.Key.ID != "" {
		return reference{Reference: who}
	}
	return reference{Identifier: &identifier{printable(who)}}
}

// printable returns s as text that FHIR takes: what a client has sent may be any.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s))
}

func (l *sighting) entities() []eventEntity {
	var all []eventEntity
	object := coding{System: entityTypes, Code: "2", Display: "System Object"}
	if l.Key.ID != "" {
		what := named(l.Key.String())
		if l.Version > 0 && what.Reference != "" {
			what.Reference += "/_history/" + strconv.Itoa(l.Version)
		}
		all = append(all, eventEntity{What: &what, Type: object, Role: &coding{objectRoles, "4", "Domain Resource"}})
	}
	if q := l.Detail[queryDetail]; q != "" && !l.narrowed {
		all = append(all, eventEntity{Type: object, Role: &coding{objectRoles, "24", "Query"}, Query: base64.StdEncoding.EncodeToString([]byte(q))})
	}
	for _, id := range l.Patients {
		patient := named("Patient/" + id)
		all = append(all, eventEntity{What: &patient, Type: coding{entityTypes, "1", "Person"}, Role: &coding{objectRoles, "1", "Patient"}})
	}
	request := cmp.Or(printable(l.Request), "none")
	return append(all, eventEntity{What: &reference{Identifier: &identifier{request}}, Type: coding{System: balpEntities, Code: "XrequestId"}, Detail: l.details()})
}

// details returns what the line says beside all that has an element.
func (l *sighting) details() []entityDetail {
	if l.narrowed {
		return nil
	}
	var all []entityDetail
	for _, name := range slices.Sorted(maps.Keys(l.Detail)) {
		if name != queryDetail && name != issueDetail && l.Detail[name] != "" {
			all = append(all, entityDetail{cmp.Or(printable(name), "unknown"), cmp.Or(printable(l.Detail[name]), "unknown")})
		}
	}
	return all
}

// version returns l as the version that a client reads.
func (l *sighting) version(r *fhir.Resource) store.Version {
	return store.Version{
		Key: fhir.Key{Type: auditType, ID: l.ID()}, Number: 1, Updated: l.At.Truncate(time.Millisecond), Op: store.Create, Stored: r.Stored(l.ID()),
	}
}
