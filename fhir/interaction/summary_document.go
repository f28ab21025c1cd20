package interaction

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// A composition is the Composition of a summary. https://hl7.org/fhir/R4/composition.html
type composition struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id"`
	Text         summaryText  `json:"text"`
	Status       string       `json:"status"`
	Type         concept      `json:"type"`
	Subject      reference    `json:"subject"`
	Date         string       `json:"date"`
	Author       []reference  `json:"author"`
	Title        string       `json:"title"`
	Section      []summaryOne `json:"section"`
}

// A summaryOne is one of its sections.
type summaryOne struct {
	Title       string      `json:"title"`
	Code        concept     `json:"code"`
	Text        summaryText `json:"text"`
	Entry       []reference `json:"entry,omitempty"`
	EmptyReason *concept    `json:"emptyReason,omitempty"`
}

type summaryText struct {
	Status string `json:"status"`
	Div    string `json:"div"`
}

func generated(w *narrative) summaryText { return summaryText{"generated", w.div()} }

const (
	loinc       = "http://loinc.org"
	emptyReason = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
)

// document writes c as a document, in which base names what is stored.
// https://hl7.org/fhir/R4/documents.html
func (s *Session) document(c *chart, base string) (*fhir.Bundle, error) {
	now := s.clock().UTC()
	b := &fhir.Bundle{Type: "document", Identifier: "urn:uuid:" + s.newID(), Timestamp: now, Total: -1, Base: base}
	stored := c.matches().Versions
	stored = slices.Concat(stored[len(stored)-1:], stored[:len(stored)-1], c.needed)
	known, err := readAll(stored)
	if err != nil {
		return nil, err
	}
	author := s.newID()
	page := composition{
		ResourceType: "Composition", ID: s.newID(), Status: "final", Title: "Patient summary", Date: now.Format(time.RFC3339),
		Type:    one(coding{loinc, "60591-5", "Patient summary Document"}),
		Subject: reference{Reference: base + "/" + c.patient.String()},
		Author:  []reference{{Reference: "urn:uuid:" + author, Display: "OpenConsult"}},
	}
	var front narrative
	front.paragraph("Patient summary, made of what this server holds and may show to who has asked for it, on " + now.Format("2 January 2006, 15:04") + " UTC. It may not be all that is known.")
	page.Text = generated(&front)
	for _, h := range chapters() {
		if section, stands := c.section(h, known, base); stands {
			page.Section = append(page.Section, section)
		}
	}
	if err := attach(b, page.ID, page); err != nil {
		return nil, err
	}
	for _, v := range stored {
		b.Entries = append(b.Entries, fhir.Entry{Key: v.Key, Stored: v.Stored, Meta: fhir.Meta{Version: v.Number, Updated: v.Updated}})
	}
	return b, attach(b, author, map[string]any{
		"resourceType": "Device", "id": author, "deviceName": []any{map[string]string{"name": "OpenConsult", "type": "user-friendly-name"}}, "type": map[string]string{"text": "Server of health records"},
	})
}

// attach adds a resource to b that is not stored.
func attach(b *fhir.Bundle, id string, r any) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a summary: %w", err)
	}
	b.Entries = append(b.Entries, fhir.Entry{FullURL: "urn:uuid:" + id, Resource: body})
	return nil
}

// readAll reads versions.
func readAll(versions []store.Version) (reading, error) {
	all := reading{}
	for i := range versions {
		v := &versions[i]
		r, err := fhir.DecodeDerived(v.Key.Type, v.Resource())
		if err != nil {
			return nil, fmt.Errorf("read a stored %s: %w", v.Key.Type, err)
		}
		all[v.Key] = r.Root()
	}
	return all, nil
}

// section writes a chapter, and reports whether it stands in the document.
func (c *chart) section(h chapter, known reading, base string) (summaryOne, bool) {
	section := summaryOne{Title: h.title, Code: one(coding{loinc, h.code, h.display})}
	var rows [][]string
	for _, v := range slices.Concat(c.kept.Versions, c.results.Versions) {
		if n := known[v.Key]; h.takes(n) {
			rows = append(rows, known.row(n))
			section.Entry = append(section.Entry, reference{Reference: base + "/" + v.Key.String()})
		}
	}
	if len(rows) == 0 && !h.required {
		return section, false
	}
	var w narrative
	w.table(h.columns, rows)
	if len(rows) == 0 {
		section.EmptyReason = c.nothing(h, &w)
	}
	c.limits(h, &w)
	section.Text = generated(&w)
	return section, true
}

// nothing says why there is nothing in a chapter. It is not known that there is nothing.
func (c *chart) nothing(h chapter, w *narrative) *concept {
	reason := one(coding{emptyReason, "unavailable", "Unavailable"})
	if !slices.ContainsFunc(h.types, func(typ string) bool { return !slices.Contains(c.barred, typ) }) {
		reason = one(coding{emptyReason, "withheld", "Information Withheld"})
	} else {
		w.paragraph("No information available.")
	}
	return &reason
}

// limits says what of a chapter is left out, as far as the request says that.
func (c *chart) limits(h chapter, w *narrative) {
	among := func(types []string) bool {
		return slices.ContainsFunc(h.types, func(typ string) bool { return slices.Contains(types, typ) })
	}
	if among(c.barred) || among(c.partly) {
		w.paragraph("Not all of this is within the access that was granted to who has asked for the summary.")
	}
	if c.kept.Next != "" && among(keptTypes()) {
		w.paragraph("There is more of this than the summary has room for.")
	}
	if c.results.Next != "" && among(resultTypes()) {
		w.paragraph("Of tests and measurements, only the newest are in the summary.")
	}
}
