package fhirpath_test

import (
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// seeds are expressions of all kinds.
func seeds() []string {
	all := []string{
		``, `Patient.name.given`, `-1.convertsToInteger()`, `1 /* a */ + 2 // b`, "`Patient`.name[0].`given`",
		`@2015-02-04T14:34:28+10:00 + 7.7 days`, `@T14:34`, `4 'g' ~ 4040 'mg'`, `1 year = 1 'a'`, `{} | 1 | 'a'`,
		`iif(true and {} xor false implies true, $this, $index)`, `(1|2|3).aggregate($this + $total, 0)`,
		`name.sort(-family, given.first())`, `'a1'.replaceMatches('(?<l>[a-z])(\d)', '${l}-$2x')`, `'%C3'.matchesFull('(?i).*')`,
		`%resource.descendants().as(uri)`, `%'vs-a' & %ext-b & %sct`, `repeat(children()).distinct().count()`,
		`1.587.lowBoundary(2) | @2014.highBoundary(17) | @T10.lowBoundary()`, `'\u00e9\'\\'.escape('html').unescape('json')`,
		`'dGVzdA=='.decode('base64').encode('hex').toChars().join('-')`, `10.power(-3).round(2).ln().exp()`,
		`telecom.where(system = 'phone').value.first().substring(1, 3).indexOf('5')`, `name is HumanName or name.ofType(System.String).empty()`,
		`extension('a').value.resolve().conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')`, `2 div 0 + 5 mod 2 * 3.0 / 0.1`,
		`(name | name.given | birthDate).select(type().name)`, `trace('a', $this).subsetOf(%context) in %rootResource`,
	}
	for n, p := range spec.R4().SearchParameters {
		if n%50 == 0 {
			all = append(all, p.Expression)
		}
	}
	return all
}

// FuzzCompile: no text crashes or hangs the compiler, and every refusal says
// where.
func FuzzCompile(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := fhirpath.Compile(src)
		if err != nil {
			checkError(t, src, err)
			return
		}
		if e.String() != src {
			t.Fatalf("%q is compiled as %q", src, e)
		}
	})
}

func checkError(t *testing.T, src string, err error) {
	t.Helper()
	var e *fhirpath.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	if e.Offset < 0 || e.Offset > len(src) || e.Line < 1 || e.Column < 1 || e.Kind == "" || !utf8.ValidString(e.Text) && utf8.ValidString(src) {
		t.Fatalf("%#v is no good error about %q", e, src)
	}
}

// FuzzEvaluate: no expression crashes or hangs the evaluation, gives more than it
// may, or gives something else the second time.
func FuzzEvaluate(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	patient := input(f, "patient")
	f.Fuzz(func(t *testing.T, src string) {
		e, err := fhirpath.Compile(src)
		if err != nil {
			return
		}
		env := &fhirpath.Env{Steps: 100_000, Output: 1000, Now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
		got, err := e.EvaluateNode(patient, env)
		if err != nil {
			checkError(t, src, err)
		}
		if len(got) > 1000 {
			t.Fatalf("%q gives %d items", src, len(got))
		}
		for _, i := range got {
			if i.Type() == "" {
				t.Fatalf("%q gives an item without a type", src)
			}
			if len(i.Text()) > 2<<20 {
				t.Fatalf("%q gives %d bytes", src, len(i.Text()))
			}
		}
		again, errAgain := e.EvaluateNode(patient, env)
		if (err == nil) != (errAgain == nil) || joined(got) != joined(again) {
			t.Fatalf("%q gives %q, then %q", src, joined(got), joined(again))
		}
		if _, _, err := e.Truth(fhir.Node{}, env); err != nil {
			checkError(t, src, err)
		}
	})
}
