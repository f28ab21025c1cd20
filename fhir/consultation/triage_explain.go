package consultation

type (
	wireParameters struct {
		ResourceType string          `json:"resourceType"`
		Parameter    []wireParameter `json:"parameter,omitempty"`
	}
	wireParameter struct {
		Name     string          `json:"name"`
		ID       string          `json:"valueId,omitempty"`
		Code     string          `json:"valueCode,omitempty"`
		String   string          `json:"valueString,omitempty"`
		URI      string          `json:"valueCanonical,omitempty"`
		DateTime string          `json:"valueDateTime,omitempty"`
		Coding   *Coded          `json:"valueCoding,omitempty"`
		Part     []wireParameter `json:"part,omitempty"`
	}
)

// Explain returns t as Parameters: questionnaire, evaluatedAt, priority, and for each rule
// of the form id, result, why, priority, disposition, patientMessage, condition, and the
// questions that it looks at with their answers. It holds answers of a patient, so it is for
// clinical users only.
func (t Triage) Explain() []byte {
	p := wireParameters{ResourceType: "Parameters", Parameter: []wireParameter{
		{Name: "questionnaire", URI: t.Questionnaire},
		{Name: "evaluatedAt", DateTime: instant(t.At)},
		{Name: "priority", Code: t.Priority},
	}}
	for _, r := range t.Results {
		p.Parameter = append(p.Parameter, wireParameter{Name: "rule", Part: r.explain()})
	}
	return encode(p)
}

func (r RuleResult) explain() []wireParameter {
	parts := []wireParameter{
		{Name: "id", String: r.Rule},
		{Name: "result", Code: string(r.Verdict)},
		{Name: "priority", Code: r.Priority},
	}
	for _, p := range []wireParameter{
		{Name: "why", String: r.Why},
		{Name: "patientMessage", String: r.PatientMessage},
		{Name: "condition", String: r.Condition},
	} {
		if p.String != "" {
			parts = append(parts, p)
		}
	}
	if r.Disposition != (Coded{}) {
		parts = append(parts, wireParameter{Name: "disposition", Coding: &r.Disposition})
	}
	for _, a := range r.Asked {
		parts = append(parts, wireParameter{Name: "question", Part: a.explain()})
	}
	return parts
}

func (a Asked) explain() []wireParameter {
	parts := []wireParameter{{Name: "linkId", String: a.LinkID}}
	for _, text := range a.Answers {
		if text != "" {
			parts = append(parts, wireParameter{Name: "answer", String: text})
		}
	}
	return parts
}
