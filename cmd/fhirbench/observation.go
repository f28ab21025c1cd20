package main

import "fmt"

type observation struct {
	ResourceType  string       `json:"resourceType"`
	ID            string       `json:"id,omitempty"`
	Identifier    []identifier `json:"identifier"`
	Status        string       `json:"status"`
	Category      []concept    `json:"category"`
	Code          concept      `json:"code"`
	Subject       reference    `json:"subject"`
	EffectiveTime string       `json:"effectiveDateTime"`
	Issued        string       `json:"issued"`
	Performer     []reference  `json:"performer"`
	Note          []annotation `json:"note,omitempty"`
	DerivedFrom   []reference  `json:"derivedFrom,omitempty"`
	Component     []component  `json:"component"`
}

type component struct {
	Code          concept  `json:"code"`
	ValueQuantity quantity `json:"valueQuantity"`
}

type quantity struct {
	Value  int    `json:"value"`
	Unit   string `json:"unit"`
	System string `json:"system"`
	Code   string `json:"code"`
}

// observation makes a blood pressure that a patient has taken at home and told in a form. Each revision measures it anew.
func (d *draft) observation() observation {
	at := d.number % uint64(len(d.practice.patients))
	subject, begun := d.practice.patients[at], d.begun()
	o := observation{
		ResourceType: "Observation",
		ID:           d.id,
		Identifier:   []identifier{d.identifier("reading")},
		Status:       "final",
		Category:     []concept{coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs")},
		Code: concept{
			Coding: []coding{
				{System: "http://loinc.org", Code: "85354-9", Display: "Blood pressure panel with all children optional"},
				{System: snomed, Code: "75367002", Display: "Blood pressure"},
			},
			Text: "Blood pressure at home",
		},
		Subject:       subject,
		EffectiveTime: instant(begun),
		Issued:        instant(d.changed(begun)),
		Performer:     []reference{subject},
		Component: []component{
			pressure("8480-6", "Systolic blood pressure", 100+d.change.IntN(70)),
			pressure("8462-4", "Diastolic blood pressure", 55+d.change.IntN(45)),
		},
	}
	if len(d.practice.filled) > 0 {
		o.DerivedFrom = []reference{d.practice.filled[d.number%uint64(len(d.practice.filled))]}
	}
	if d.revision > 0 {
		o.Status = "amended"
		o.Note = []annotation{{Time: o.Issued, Text: fmt.Sprintf("Measured %d times.", d.revision+1)}}
	}
	return o
}

func pressure(code, display string, value int) component {
	return component{
		Code:          coded("http://loinc.org", code, display),
		ValueQuantity: quantity{Value: value, Unit: "mmHg", System: "http://unitsofmeasure.org", Code: "mm[Hg]"},
	}
}
