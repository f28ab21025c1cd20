package search

import (
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// FuzzParse parses queries. What is refused must be an Outcome for the caller;
// what is taken must be matched without a panic, must not be nothing where
// something was asked, and must come to the same when it is parsed again from
// what was applied.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"name=peter&birthdate=ge2000", "_has:Observation:patient:code=a|b,c", "general-practitioner.name:exact=x", "_text=(a or b) c,d",
		"_sort=-name,birthdate&_count=5", "_include=Patient:*&_revinclude:iterate=Provenance:target", `identifier=a\|b|c\\`, "identifier:of-type=a|b|c",
		"gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", "active:missing=true", "_filter=name co \"x\"", "link.organization.partof.name=x",
		"_lastUpdated=ap2020-01-01T10:00:00.1234567 01:00", "death-date=sa2000-01&_elements=name&_summary=false", "_id=a&_list=b&_tag:not=c|", "address=ß ",
	} {
		f.Add("Patient", seed)
	}
	f.Add("Observation", "value-quantity=ap5.4e-3|http://unitsofmeasure.org|mg&code-value-quantity=a|b$gt1||x")
	f.Add("", "_type=Patient,Task&identifier=1&_tag=x")
	f.Add("RiskAssessment", "probability=-1.50e 2")
	f.Add("ValueSet", `url:below=http://a.org/b\,c|1&_profile:above=http://x`)
	r := testRegistry(f)
	f.Fuzz(func(t *testing.T, typ, query string) {
		params, err := Parameters(query)
		if err != nil {
			return
		}
		req := Request{Params: params, Now: time.Unix(1.7e9, 0)}
		if typ != "" {
			if r.Params(typ) == nil {
				return
			}
			req.Types = []string{typ}
		}
		q, err := r.Parse(req)
		if err != nil {
			if o := fhir.AsOutcome(err); o == nil || len(o.Issues) == 0 || o.Class != fhir.BadRequest {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		first := meanings(q)
		Match(And(q.Where), &Index{Key: fhir.Key{Type: typ, ID: "x"}}, nowhere{})
		req.Params = q.Applied
		again, err := r.Parse(req)
		if err != nil || meanings(again) != first {
			t.Fatalf("%q: applied %q comes to %v, not %v (%v)", query, q.Applied, again, first, err)
		}
	})
}

// FuzzFilter reads filters. What is taken must mean something.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`name co "pet"`, `given eq "peter" and birthdate ge 2014-10-10`, `not(gender in http://x) or (a.b[c eq d].e pr false)`, `general-practitioner:Practitioner.name ew "x\u0041"`,
		`organization[name eq "x"].partof.name eq "y"`, `birthdate po 2000`, `identifier ne loinc|a`, `(((`, `a[`, `_id eq x`, `x eq "`, "\u00a0name\u00a0eq\u00a0x",
	} {
		f.Add(seed)
	}
	r := testRegistry(f)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := r.Parse(Request{Types: []string{"Patient"}, Params: []Parameter{{"_filter", text}}})
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if len(q.Where) != 1 || strings.Contains(meanings(q), "<nil>") {
			t.Fatalf("%q means %s", text, meanings(q))
		}
		Match(q.Where[0], &Index{Key: fhir.Key{Type: "Patient", ID: "x"}}, nowhere{})
	})
}

func meanings(q *Query) string {
	parts := make([]string, len(q.Where))
	for i, c := range q.Where {
		parts[i] = meaning(c)
	}
	return strings.Join(parts, " & ")
}

// nowhere is a Document that nothing leads from.
type nowhere struct{}

func (nowhere) Words(bool) []string               { return nil }
func (nowhere) Targets(Reference, string) []Found { return nil }
func (nowhere) Sources(string, *Param) []Found    { return nil }
func (nowhere) Listed(string) bool                { return false }
