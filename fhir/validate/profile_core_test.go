package validate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// The published examples that are meant for a profile of R4, and what keeps them from
// conforming to it.
var coreProfiles = []struct {
	example, profile string
	want             []string
}{
	{"Observation/vitals-panel", "vitalspanel", nil},
	{"Observation/respiratory-rate", "resprate", nil},
	{"Observation/heart-rate", "heartrate", nil},
	{"Observation/satO2", "oxygensat", nil},
	{"Observation/body-temperature", "bodytemp", nil},
	{"Observation/body-height", "bodyheight", nil},
	{"Observation/body-length", "bodyheight", nil},
	{"Observation/head-circumference", "headcircum", nil},
	{"Observation/example", "bodyweight", nil},
	{"Observation/bmi", "bmi", nil},
	{"Observation/blood-pressure", "bp", nil},
	{"Observation/blood-pressure-dar", "bp", nil},
	{"Observation/blood-pressure-cancel", "bp", nil},
	{"Observation/example-genetics-1", "observation-genetics", nil},
	{"Composition/example", "clinicaldocument", nil},
	{"Group/102", "actualgroup", nil},
}

// TestCoreProfiles holds published examples to the profiles of R4.
func TestCoreProfiles(t *testing.T) {
	t.Parallel()
	byName := map[string][]byte{}
	for _, line := range examples(t) {
		var head struct{ ResourceType, ID string }
		if err := json.Unmarshal(line, &head); err != nil {
			t.Fatal(err)
		}
		byName[head.ResourceType+"/"+head.ID] = line
	}
	v := validator()
	for _, c := range coreProfiles {
		if byName[c.example] == nil {
			t.Errorf("there is no example %s", c.example)
			continue
		}
		got := told(verdicts(t, v, byName[c.example], Options{Profiles: []string{definitions + c.profile}}))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s as %s:\n got %q\nwant %q", c.example, c.profile, got, c.want)
		}
	}
}

// TestCoreDefinitions compiles all profiles and extensions that come with the server.
func TestCoreDefinitions(t *testing.T) {
	t.Parallel()
	v := validator()
	count := 0
	for _, url := range coreDefinitions(t) {
		s, err := v.shape(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			t.Errorf("%s is not known", url)
			continue
		}
		count++
		for _, f := range s.flaws {
			t.Errorf("%s: %s %s", url, f.detail, f.text)
		}
	}
	t.Logf("%d definitions", count)
}

func coreDefinitions(t *testing.T) []string {
	t.Helper()
	var urls []string
	for _, line := range lines(t, shared(t, "r4/StructureDefinition.ndjson.gz")) {
		var s struct{ URL, Derivation, Type string }
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		if s.Derivation == "constraint" {
			urls = append(urls, s.URL)
		}
	}
	return urls
}

// TestSnapshots holds the published examples to the profiles of R4 by their snapshots
// alone, which has to give the same as their differentials.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	var all []*fhir.Resource
	for _, line := range lines(t, shared(t, "r4/StructureDefinition.ndjson.gz")) {
		var s map[string]any
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		if s["derivation"] != "constraint" || s["type"] != "Observation" || s["snapshot"] == nil {
			continue
		}
		delete(s, "differential")
		s["url"] = strings.Replace(s["url"].(string), definitions, "http://example.org/", 1)
		src, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Decode("StructureDefinition", src)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	v := knowing(all...)
	compared := 0
	for _, n := range decoded(t) {
		if n.Type().Name != "Observation" {
			continue
		}
		for _, r := range all {
			id := r.ID()
			want := places(t, v, n, definitions+id)
			got := places(t, v, n, "http://example.org/"+id)
			if !slices.Equal(got, want) {
				t.Errorf("%s as %s: by snapshot %q, by differential %q", n.Child("id").Text(), id, got, want)
			}
			compared++
		}
	}
	t.Logf("%d comparisons", compared)
}

func places(t *testing.T, v *Validator, n fhir.Node, profile string) []string {
	t.Helper()
	issues, err := v.conform(t.Context(), n, profile, Options{Profiles: []string{profile}})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, is := range issues {
		list = append(list, is.Detail+" "+is.Expression)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
