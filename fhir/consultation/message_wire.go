package consultation

import (
	"bytes"
	"encoding/json"
	"time"
)

// The wire types are the parts of resources that the server writes, in the order in which it
// writes them.
type (
	wireMeta struct {
		Profile []string `json:"profile,omitempty"`
	}
	wireIdentifier struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value,omitempty"`
	}
	wireReference struct {
		Reference  string          `json:"reference,omitempty"`
		Type       string          `json:"type,omitempty"`
		Identifier *wireIdentifier `json:"identifier,omitempty"`
		Display    string          `json:"display,omitempty"`
	}
	wireConcept struct {
		Coding []Coded `json:"coding,omitempty"`
		Text   string  `json:"text,omitempty"`
	}
	wireExtension struct {
		URL            string          `json:"url"`
		Extension      []wireExtension `json:"extension,omitempty"`
		ValueID        string          `json:"valueId,omitempty"`
		ValueCode      string          `json:"valueCode,omitempty"`
		ValueCanonical string          `json:"valueCanonical,omitempty"`
		ValueCoding    *Coded          `json:"valueCoding,omitempty"`
		ValueDateTime  string          `json:"valueDateTime,omitempty"`
		ValueBoolean   bool            `json:"valueBoolean,omitempty"`
		ValueReference *wireReference  `json:"valueReference,omitempty"`
	}
	wirePeriod struct {
		Start string `json:"start,omitempty"`
		End   string `json:"end,omitempty"`
	}
	wireRestriction struct {
		Period wirePeriod `json:"period"`
	}
	wireInput struct {
		Type    wireConcept    `json:"type"`
		Concept *wireConcept   `json:"valueCodeableConcept,omitempty"`
		Ref     *wireReference `json:"valueReference,omitempty"`
	}
	wirePayload struct {
		ContentString string `json:"contentString,omitempty"`
	}
	wireTask struct {
		ResourceType    string           `json:"resourceType"`
		ID              string           `json:"id,omitempty"`
		Meta            wireMeta         `json:"meta,omitzero"`
		Extension       []wireExtension  `json:"extension,omitempty"`
		Identifier      []wireIdentifier `json:"identifier,omitempty"`
		GroupIdentifier *wireIdentifier  `json:"groupIdentifier,omitempty"`
		PartOf          []wireReference  `json:"partOf,omitempty"`
		Status          string           `json:"status"`
		BusinessStatus  *wireConcept     `json:"businessStatus,omitempty"`
		Intent          string           `json:"intent"`
		Priority        string           `json:"priority,omitempty"`
		Code            wireConcept      `json:"code"`
		Focus           *wireReference   `json:"focus,omitempty"`
		For             *wireReference   `json:"for,omitempty"`
		AuthoredOn      string           `json:"authoredOn"`
		LastModified    string           `json:"lastModified"`
		Requester       *wireReference   `json:"requester,omitempty"`
		Owner           *wireReference   `json:"owner,omitempty"`
		Restriction     *wireRestriction `json:"restriction,omitempty"`
		Input           []wireInput      `json:"input,omitempty"`
	}
	wireCommunication struct {
		ResourceType string           `json:"resourceType"`
		ID           string           `json:"id,omitempty"`
		Meta         wireMeta         `json:"meta,omitzero"`
		Extension    []wireExtension  `json:"extension,omitempty"`
		Identifier   []wireIdentifier `json:"identifier,omitempty"`
		PartOf       []wireReference  `json:"partOf,omitempty"`
		Status       string           `json:"status"`
		Category     []wireConcept    `json:"category,omitempty"`
		Priority     string           `json:"priority,omitempty"`
		Subject      *wireReference   `json:"subject,omitempty"`
		About        []wireReference  `json:"about,omitempty"`
		Sent         string           `json:"sent,omitempty"`
		Received     string           `json:"received,omitempty"`
		Recipient    []wireReference  `json:"recipient,omitempty"`
		Sender       *wireReference   `json:"sender,omitempty"`
		Payload      []wirePayload    `json:"payload,omitempty"`
	}
	wireAgent struct {
		Type       wireConcept    `json:"type"`
		Who        wireReference  `json:"who"`
		OnBehalfOf *wireReference `json:"onBehalfOf,omitempty"`
	}
	wireEntity struct {
		Role string        `json:"role"`
		What wireReference `json:"what"`
	}
	wireProvenance struct {
		ResourceType string          `json:"resourceType"`
		ID           string          `json:"id,omitempty"`
		Meta         wireMeta        `json:"meta,omitzero"`
		Target       []wireReference `json:"target"`
		Occurred     string          `json:"occurredDateTime,omitempty"`
		Recorded     string          `json:"recorded"`
		Activity     *wireConcept    `json:"activity,omitempty"`
		Agent        []wireAgent     `json:"agent"`
		Entity       []wireEntity    `json:"entity,omitempty"`
	}
)

// An Authored is a resource that the server has written, or written on.
type Authored struct {
	Type string // "Task"
	ID   string
	JSON []byte // compact; without meta.versionId and meta.lastUpdated
}

// A Party is who takes part: a person, an organisation, a service, a device. The zero Party
// is nobody.
type Party struct {
	Reference string // "Patient/1"; "" when there is no such resource here
	System    string // of an identifier
	Value     string // of the identifier; "" when there is none
	Display   string
}

// IsZero reports whether p is nobody.
func (p Party) IsZero() bool { return p == Party{} }

// wire returns p as a Reference; nobody is nil.
func (p Party) wire() *wireReference {
	if p.IsZero() {
		return nil
	}
	r := &wireReference{Reference: p.Reference, Display: p.Display}
	if p.Value != "" {
		r.Identifier = &wireIdentifier{p.System, p.Value}
	}
	return r
}

// encode returns a wire value as JSON. No wire value fails to encode.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// dateTime writes a time as messages and Tasks have it: in its zone, to the millisecond.
func dateTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.999-07:00") }

// instant writes a time as it is recorded.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func conceptOf(system, code, display string) wireConcept {
	return wireConcept{Coding: []Coded{{System: system, Code: code, Display: display}}}
}
