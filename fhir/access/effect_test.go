package access

import (
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

var update = flag.Bool("update", false, "write the golden files")

const base = "https://fhir.example.org/fhir"

func registry(tb testing.TB) *search.Registry {
	tb.Helper()
	r, err := search.NewRegistry(spec.R4(), base, 0, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// golden compares got with a file in testdata.
func golden(t *testing.T, path, got string) {
	t.Helper()
	path = "testdata/" + path
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s differs (-want +got); decide what it means and run with -update:\n%s", path, d)
	}
}

// mayNameParty reports whether a reference parameter can name somebody who takes
// part in something.
func mayNameParty(p *search.Param) bool {
	return p.Type == search.ReferenceType && !p.Canonical && (len(p.Targets) == 0 || slices.ContainsFunc(p.Targets, isParty))
}

// TestPartyDecisions: for every parameter of R4 that can name a party it has been
// decided whether the party takes part.
func TestPartyDecisions(t *testing.T) {
	t.Parallel()
	r := registry(t)
	var b strings.Builder
	for _, typ := range spec.R4().Resources() {
		for _, p := range r.Params(typ.Name) {
			if !mayNameParty(p) {
				continue
			}
			decision := "no"
			if effectOf(typ.Name, p.Code)&takesPart != 0 {
				decision = "takes part"
			}
			fmt.Fprintf(&b, "%-62s %s\n", typ.Name+"."+p.Code, decision)
		}
	}
	golden(t, "parties.txt", b.String())
}

// TestTypeDecisions: for every type of R4 it has been decided who sees it.
func TestTypeDecisions(t *testing.T) {
	t.Parallel()
	r := registry(t)
	var b strings.Builder
	for _, typ := range spec.R4().Resources() {
		var words []string
		if isOpen(typ.Name) {
			words = append(words, "open")
		}
		for _, p := range r.Params(typ.Name) {
			e := effectOf(typ.Name, p.Code)
			if e&patientSees != 0 {
				words = append(words, "sees:"+p.Code)
			}
			if e&ofRecord != 0 {
				words = append(words, "record:"+p.Code)
			}
		}
		if len(words) == 0 {
			words = []string{"-"}
		}
		fmt.Fprintf(&b, "%-36s %s\n", typ.Name, strings.Join(words, " "))
	}
	golden(t, "types.txt", b.String())
}

// TestEffectsExist: what is listed names a reference parameter of R4 that can name
// a patient, or a party.
func TestEffectsExist(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("effect.go")
	if err != nil {
		t.Fatal(err)
	}
	r, n := registry(t), 0
	for _, word := range strings.FieldsFunc(string(source), func(r rune) bool { return strings.ContainsRune("\",\n\t ", r) }) {
		typ, code, ok := strings.Cut(strings.TrimSuffix(word, ":"), ".")
		if !ok || spec.R4().Resource(typ) == nil {
			continue
		}
		n++
		p, e := r.Param(typ, code), effectOf(typ, code)
		switch {
		case p == nil || p.Type != search.ReferenceType:
			t.Errorf("%s has no reference parameter %s", typ, code)
		case e&takesPart != 0 && !mayNameParty(p):
			t.Errorf("%s.%s names no party", typ, code)
		case e&(patientSees|ofRecord) != 0 && len(p.Targets) > 0 && !slices.Contains(p.Targets, "Patient"):
			t.Errorf("%s.%s names no patient, only %v", typ, code, p.Targets)
		}
	}
	if n < 150 {
		t.Errorf("only %d effects found in the source", n)
	}
}

// notInOurs are the rows of R4's patient compartment that we deviate from.
var notInOurs = map[string]string{
	"Communication.subject":        "what clinicians write to one another about a patient is not for the patient",
	"CommunicationRequest.subject": "as for Communication",
	"Group.member":                 "a member would see who the other members are",
	"List.source":                  "a list that a patient made may be about somebody else",
	"Patient.link":                 "links are not followed: whoever could set one would see the other's record",
	"ServiceRequest.performer":     "a patient who is to do something sees the Task for it",
}

// besides are the parameters that put something into our patient compartment but
// not into R4's.
var besides = map[string]string{
	"Device.patient": "a device that has a patient is that patient's, and not everybody's",
	"Task.patient":   "patients follow what is being done for them; so R5",
}

// TestCompartment walks R4's patient compartment.
func TestCompartment(t *testing.T) {
	t.Parallel()
	const path = "../../../shared/r4_compartments.csv"
	f, err := os.Open(path)
	if err != nil {
		t.Skip("the table of R4's compartments is not at ", path)
	}
	t.Cleanup(func() { _ = f.Close() })
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	inR4 := map[string]bool{}
	for _, row := range rows {
		if row[0] != "Patient" {
			continue
		}
		name := row[1] + "." + row[2]
		inR4[name] = true
		if sees := effectOf(row[1], row[2])&patientSees != 0; sees != (notInOurs[name] == "") {
			t.Errorf("%s: the patient sees it: %v, reason to deviate: %q", name, sees, notInOurs[name])
		}
	}
	if len(inR4) < 90 {
		t.Errorf("%d rows read", len(inR4))
	}
	for name := range notInOurs {
		if !inR4[name] {
			t.Errorf("%s is no deviation: R4 does not have it", name)
		}
	}
	r := registry(t)
	for _, typ := range spec.R4().Resources() {
		for _, p := range r.Params(typ.Name) {
			name := typ.Name + "." + p.Code
			if sees := effectOf(typ.Name, p.Code)&patientSees != 0; sees && !inR4[name] != (besides[name] != "") {
				t.Errorf("%s: in R4's compartment: %v, reason to add it: %q", name, inR4[name], besides[name])
			}
			if e := effectOf(typ.Name, p.Code); e&ofRecord != 0 && e&patientSees == 0 {
				t.Errorf("%s is part of a record whose patient does not see it", name)
			}
		}
	}
}

// TestOpenHasNoPatients: what everybody sees has no patients in it, but for a
// Schedule, which is then not open.
func TestOpenHasNoPatients(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, typ := range spec.R4().Resources() {
		for _, p := range r.Params(typ.Name) {
			if isOpen(typ.Name) && typ.Name != "Schedule" && effectOf(typ.Name, p.Code) != 0 {
				t.Errorf("%s.%s has an effect on what is open", typ.Name, p.Code)
			}
		}
	}
}

// TestCustomParametersDecideNothing: neither keys nor gifts come from parameters
// that were added at run time.
func TestCustomParametersDecideNothing(t *testing.T) {
	t.Parallel()
	r, err := search.NewRegistry(spec.R4(), base, 1, []search.Custom{{
		Definition: &spec.SearchParameter{URL: "https://example.org/x", Code: "custodian", Type: "reference", Base: []string{"Task"}, Expression: "Task.restriction.recipient", Targets: []string{"Organization"}},
		Type:       "Task", Position: 1000,
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc := decode(t, `{"resourceType":"Task","id":"1","status":"requested","intent":"order","restriction":{"recipient":[{"reference":"Organization/spy"}]}}`)
	ix, err := r.Index(doc.Root(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if k := Keys(ix, doc.Root()); k != nil {
		t.Errorf("keys %v", k)
	}
	for _, custom := range []bool{true, false} {
		for i := range ix.Entries {
			ix.Entries[i].Param = &search.Param{Code: "owner", Type: search.ReferenceType, Custom: custom}
		}
		if k := letters(Keys(ix, doc.Root())); (k == "") != custom {
			t.Errorf("keys %q of a parameter with the code of R4's, custom: %v", k, custom)
		}
	}
}

func decode(tb testing.TB, src string) *fhir.Resource {
	tb.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		tb.Fatalf("%s: %v", src, err)
	}
	return r
}
