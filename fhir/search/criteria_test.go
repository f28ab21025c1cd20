package search

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestCriteria(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, want string }{
		{"identifier=http%3A%2F%2Fa.org%7C1", "identifier http://a.org|1"},
		{"identifier=a|1&birthdate=2000", "identifier a|1 & birthdate eq 2000-01-01 2001-01-01"},
		{"_id=a", "id a"},
		{"name=a+b", `name "a b"`},
		{"", "refused"},
		{"&", "refused"},
		{"_count=1", "refused"},
		{"name=a&_sort=name", "refused"},
		{"name=a&_include=Patient:organization", "refused"},
		{"name=a&_format=json", "refused"},
		{"name=a&_type=Patient", "refused"},
		{"name=a&_explain=true", "refused"},
		{"nme=a", "refused"},
		{"birthdate=ap2000", "refused"},
		{"name=", "refused"},
		{"name=%zz", "refused"},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		where, err := r.Criteria("Patient", tt.query)
		got := "refused"
		if err == nil {
			got = meanings(&Query{Where: where})
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s (%v)", tt.query, got, tt.want, err)
		}
		if err != nil && fhir.AsOutcome(err) == nil {
			t.Errorf("%s: error %v is no Outcome", tt.query, err)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	got, err := Parameters("b=1&a=%26%3D&&c&d=x=y&e=1+2%2B3")
	if err != nil {
		t.Fatal(err)
	}
	want := []Parameter{{"b", "1"}, {"a", "&="}, {"c", ""}, {"d", "x=y"}, {"e", "1 2+3"}}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"owner", "status", "subject", "patient", "period", "authored-on"}
	tests := []struct{ word, want string }{
		{"ownr", "owner"}, {"onwer", "owner"}, {"Owner", "owner"}, {"statu", "status"}, {"authoredon", "authored-on"},
		{"authored_on", "authored-on"}, {"patients", "patient"}, {"zzz", ""}, {"", ""}, {strings.Repeat("a", 1000), ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.word, names); got != tt.want {
			t.Errorf("nearest to %.20q is %q, want %q", tt.word, got, tt.want)
		}
	}
}

// TestCodeAdvice has codes that are refused elsewhere, but only find nothing for
// a lenient client, or where another type may have them.
func TestCodeAdvice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query string
		types []string
		says  string
	}{
		{"status=complete", []string{"Task"}, "Did you mean completed?"},
		{"status=completed", []string{"Task"}, ""},
		{"status:not=complete", []string{"Task"}, "Did you mean completed?"},
		{"status=http://other|complete", []string{"Task"}, ""},
		{"code=complete", []string{"Task"}, ""},
		{"status=requested", []string{"Task", "Communication"}, "that finds nothing"},
	}
	for _, tt := range tests {
		name, value, _ := strings.Cut(tt.query, "=")
		req := Request{Types: tt.types, Params: []Parameter{{name, value}}, Lenient: len(tt.types) == 1, Now: testNow}
		q, err := testRegistry(t).Parse(req)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		said := ""
		for _, is := range q.Warnings {
			said += is.Text
		}
		if (said == "") != (tt.says == "") || !strings.Contains(said, tt.says) || len(q.Where) != 1 {
			t.Errorf("%s: %d conditions, warned %q, want 1, %q", tt.query, len(q.Where), said, tt.says)
		}
	}
}
