package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// Rules are the triage rules of one version of a form, made ready to be asked. They do
// not change and may be used by several goroutines at once. The zero Rules are none.
type Rules struct {
	questionnaire string // canonical, with the version
	rules         []triageRule
	constants     map[string]fhirpath.Collection
	displays      map[Code]string // of the answers that the form offers
}

// A triageRule is one extension of a form.
type triageRule struct {
	id          string
	priority    string
	disposition Coded
	message     string
	source      string               // the condition as it is written
	condition   *fhirpath.Expression // nil when the rule is broken
	flaw        string               // why it is
	approved    bool
	questions   []triageQuestion // those that the condition names, in its order
	finding     Coded            // what it finds, as the rule itself says
}

// A Coded is a concept: a Coding. The zero Coded is none.
type Coded struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code,omitempty"`
	Display string `json:"display,omitempty"`
}

// A Verdict is what a rule says of a response.
type Verdict string

// The verdicts. Fired and Failed rules both count: nobody is safer because a rule could
// not be evaluated.
const (
	NotFired   Verdict = "not-fired"
	Fired      Verdict = "fired"
	Failed     Verdict = "failed"
	Unapproved Verdict = "unapproved" // the rule was not asked, as nobody has approved it
)

// An Asked is a question that a rule looks at, with the answers that the response has.
type Asked struct {
	LinkID  string
	Answers []string // as they are written; the code of a Coding; nil when it is not answered
}

// A RuleResult is what one rule says of a response, and why.
type RuleResult struct {
	Rule           string // its id
	Verdict        Verdict
	Why            string // a sentence about a rule that failed or was not asked; else empty
	Priority       string // routine, urgent, asap or stat
	Disposition    Coded  // where the patient is sent; may be none
	PatientMessage string // Markdown to be shown to the patient; may be empty
	Condition      string // FHIRPath, as the form has it
	Asked          []Asked
	Flags          []Coded // the coded answers that the rule goes by; nil when they are not coded
}

// Counts reports whether the rule raises the priority and sends its message.
func (r RuleResult) Counts() bool { return r.Verdict == Fired || r.Verdict == Failed }

// A Triage is what the rules of a form say of a response. It holds answers of a patient.
type Triage struct {
	Questionnaire string // canonical, with the version
	At            time.Time
	Results       []RuleResult // one for each rule, in the order of the form
	Priority      string       // the highest of the rules that count; routine without any
}

// Counting returns the results of the rules that count, in the order of the form.
func (t Triage) Counting() []RuleResult {
	return slices.DeleteFunc(slices.Clone(t.Results), func(r RuleResult) bool { return !r.Counts() })
}

// IsApproved reports whether every rule could be asked. A response that was triaged by
// less than its rules is not to be taken: see [Submit].
func (t Triage) IsApproved() bool {
	return !slices.ContainsFunc(t.Results, func(r RuleResult) bool { return r.Verdict == Unapproved })
}

// Diverts reports whether the patient is told to get help elsewhere at once.
func (t Triage) Diverts() bool {
	return slices.ContainsFunc(t.Results, func(r RuleResult) bool { return r.Counts() && isDiversion(r) })
}

// isDiversion reports whether a rule sends the patient away. One that is broken so that
// its disposition is lost does so, if it is as grave as it gets.
func isDiversion(r RuleResult) bool {
	switch r.Disposition.Code {
	case "call-999", "crisis-line", "emergency-department":
		return true
	case "":
		return r.Verdict == Failed && r.Priority == "stat"
	}
	return false
}

// PatientMessages returns what the rules that count tell the patient, each text once, in
// the order of the form.
func (t Triage) PatientMessages() []string {
	var all []string
	for _, r := range t.Results {
		if r.Counts() && r.PatientMessage != "" && !slices.Contains(all, r.PatientMessage) {
			all = append(all, r.PatientMessage)
		}
	}
	return all
}

// RedFlags returns what is found by the rules that count, each finding once. A rule that
// goes by no coded answer finds what its id says, which has no code system.
func (t Triage) RedFlags() []Coded {
	var all []Coded
	for _, r := range t.Results {
		if !r.Counts() {
			continue
		}
		flags := r.Flags
		if len(flags) == 0 {
			flags = []Coded{{Display: r.Rule}}
		}
		for _, f := range flags {
			if !slices.ContainsFunc(all, func(o Coded) bool { return sameCoded(o, f) }) {
				all = append(all, f)
			}
		}
	}
	return all
}

// sameCoded reports whether two concepts are the same; one without a code is its display.
func sameCoded(a, b Coded) bool {
	return a.System == b.System && a.Code == b.Code && (a.Code != "" || a.Display == b.Display)
}

// priorities are the codes of https://hl7.org/fhir/R4/valueset-request-priority.html, the
// least first.
func priorities() []string { return []string{"routine", "urgent", "asap", "stat"} }

// HigherPriority returns the higher of two priorities. What is no priority, such as "", is
// the lowest; of two such the answer is routine.
func HigherPriority(a, b string) string {
	order := priorities()
	return order[max(slices.Index(order, a), slices.Index(order, b), 0)]
}

// readCoded reads a Coding.
func readCoded(n fhir.Node) Coded {
	return Coded{System: n.Child("system").Text(), Code: n.Child("code").Text(), Display: n.Child("display").Text()}
}
