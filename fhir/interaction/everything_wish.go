package interaction

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A wish is what a client asks of a patient's record.
type wish struct {
	within  fhir.Key
	types   []string // as they were named; nil for all
	count   int
	where   []search.Condition
	bounded bool // where has conditions on the dates of care
	applied []search.Parameter
	notes   []fhir.Issue // what was left out because the caller asked for leniency

	problems []fhir.Issue
}

// wishNames are the parameters of the operation.
func wishNames() []string { return []string{"start", "end", "_since", "_type", "_count"} }

// readWish reads the parameters of p. What is wrong with them comes back as an Outcome
// of all problems; a parameter that there is not is left out for a lenient one.
func readWish(known *search.Registry, p Page) (*wish, error) {
	w := &wish{within: *p.Within, count: largestRecord}
	given := map[string]bool{}
	var bounds []search.Parameter
	for _, in := range p.Params {
		if !slices.Contains(wishNames(), in.Name) {
			w.unknown(in.Name, p.Lenient)
			continue
		}
		if given[in.Name] && in.Name != "_type" {
			w.wrong(in.Name, "Give "+in.Name+" once.")
		}
		given[in.Name] = true
		w.applied = append(w.applied, in)
		switch in.Name {
		case "_type":
			w.named(in.Value)
		case "_count":
			w.page(in.Value)
		case "_since":
			w.since(known, in.Value)
		case "start":
			bounds = append(bounds, w.day(in, "ge")...)
		case "end":
			bounds = append(bounds, w.day(in, "le")...)
		}
	}
	if len(w.problems) > 0 {
		return nil, &fhir.Outcome{Class: fhir.BadRequest, Issues: w.problems}
	}
	if !given["_count"] {
		w.applied = append(w.applied, search.Parameter{Name: "_count", Value: strconv.Itoa(w.count)})
	}
	return w, w.bound(known, bounds)
}

func (w *wish) wrong(name, text string) {
	if i := (fhir.Issue{Code: fhir.Value, Expression: "http." + name, Text: text, Detail: "operation-parameter"}); !slices.Contains(w.problems, i) {
		w.problems = append(w.problems, i)
	}
}

func (w *wish) unknown(name string, lenient bool) {
	if len(name) > 40 {
		name = name[:40]
	}
	i := fhir.Issue{Code: fhir.NotSupported, Detail: "operation-parameter",
		Text: fmt.Sprintf("This operation has no parameter %s here. It has %s.", strconv.Quote(name), strings.Join(wishNames(), ", "))}
	if !lenient {
		w.problems = append(w.problems, i)
		return
	}
	i.Severity, i.Text = fhir.Warning, i.Text+" It was left out."
	w.notes = append(w.notes, i)
}

// named reads a _type.
func (w *wish) named(value string) {
	for typ := range strings.SplitSeq(value, ",") {
		switch {
		case !slices.Contains(inPatient(), typ) && !slices.Contains(supporting(), typ):
			w.wrong("_type", "A type that you name is none, or never comes with a patient's record. These do: "+strings.Join(append(inPatient(), supporting()...), ", ")+".")
			return
		case !slices.Contains(w.types, typ):
			w.types = append(w.types, typ)
		}
	}
}

func (w *wish) page(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > largestRecord {
		w.wrong("_count", fmt.Sprintf("_count is a number from 1 to %d.", largestRecord))
		return
	}
	w.count = n
}

func (w *wish) since(known *search.Registry, value string) {
	if _, err := time.Parse(time.RFC3339, value); err != nil {
		w.wrong("_since", "_since is an instant with its time zone, such as 2026-11-22T09:00:00Z.")
		return
	}
	q, err := known.Parse(search.Request{Types: []string{"Patient"}, Params: []search.Parameter{{Name: "_lastUpdated", Value: "ge" + value}}})
	if err != nil {
		w.wrong("_since", "_since is an instant with its time zone, such as 2026-11-22T09:00:00Z.")
		return
	}
	w.where = append(w.where, q.Where...)
}

// day reads start or end, which are days as R4 has it, and returns the condition on
// the date of care.
func (w *wish) day(in search.Parameter, prefix string) []search.Parameter {
	for _, format := range []string{time.DateOnly, "2006-01", "2006"} {
		if _, err := time.Parse(format, in.Value); err == nil {
			return []search.Parameter{{Value: prefix + in.Value}}
		}
	}
	w.wrong(in.Name, in.Name+" is a date, such as 2026-11-22.")
	return nil
}

// bound leaves out what was done before or after some dates. What has no date
// of care stays.
func (w *wish) bound(known *search.Registry, bounds []search.Parameter) error {
	if len(bounds) == 0 {
		return nil
	}
	var out search.Or
	for _, typ := range inPatient() {
		code := careDate(typ)
		if code == "" {
			continue
		}
		params := slices.Clone(bounds)
		for i := range params {
			params[i].Name = code
		}
		q, err := known.Parse(search.Request{Types: []string{typ}, Params: params})
		if err != nil {
			return fmt.Errorf("bound the dates of %s: %w", typ, err)
		}
		dated := &search.Test{Param: known.Param(typ, code), Modifier: search.Missing, Name: code}
		out = append(out, search.And{dated, search.Not{Condition: search.And(q.Where)}})
	}
	w.where, w.bounded = append(w.where, search.Not{Condition: out}), true
	return nil
}

// careDate returns the search parameter by which resources of a type say when the care
// took place, or was asked for; empty for none.
func careDate(typ string) string {
	switch typ {
	case "AllergyIntolerance", "Appointment", "CarePlan", "CareTeam", "ClinicalImpression", "Composition", "Consent", "DiagnosticReport", "DocumentReference", "Encounter",
		"EpisodeOfCare", "FamilyMemberHistory", "Flag", "Immunization", "List", "Observation", "Procedure", "RiskAssessment", "SupplyRequest":
		return "date"
	case "Condition":
		return "recorded-date"
	case "Communication":
		return "sent"
	case "CommunicationRequest", "DeviceRequest", "NutritionOrder", "QuestionnaireResponse", "ServiceRequest", "Task":
		return authored(typ)
	case "MedicationAdministration":
		return "effective-time"
	case "MedicationDispense":
		return "whenhandedover"
	case "MedicationRequest":
		return "authoredon"
	case "MedicationStatement":
		return "effective"
	case "Specimen":
		return "collected"
	case "ImagingStudy":
		return "started"
	}
	return ""
}

// authored returns the parameter that says when something was asked for or answered.
func authored(typ string) string {
	switch typ {
	case "DeviceRequest", "Task":
		return "authored-on"
	case "NutritionOrder":
		return "datetime"
	}
	return "authored"
}

// members returns those types of w that a compartment may have.
func (w *wish) members() []string { return w.among(inPatient()) }

// referred returns those types of w that come because something refers to them.
func (w *wish) referred() []string { return w.among(supporting()) }

func (w *wish) among(types []string) []string {
	if w.types == nil {
		return types
	}
	return slices.DeleteFunc(types, func(typ string) bool { return !slices.Contains(w.types, typ) })
}

// matches returns the search for what there is of types, which are those of w that the
// caller may search; nil if there can be nothing.
func (w *wish) matches(types []string) *search.Query {
	if len(types) == 0 {
		return nil
	}
	q := w.all()
	if w.types != nil {
		q.Types = types
	}
	return q
}

// all returns the search for all of the compartment, whatever types are named.
func (w *wish) all() *search.Query {
	q := &search.Query{Within: &w.within, Where: w.where, Count: w.count}
	if w.bounded {
		q.Types = inPatient()
	}
	return q
}
