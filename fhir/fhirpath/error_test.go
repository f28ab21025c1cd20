package fhirpath_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// evaluate compiles and evaluates src on n.
func evaluate(src string, n fhir.Node, env *fhirpath.Env) (fhirpath.Collection, error) {
	e, err := fhirpath.Compile(src)
	if err != nil {
		return nil, err
	}
	return e.EvaluateNode(n, env)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	patient := input(t, "patient")
	for _, c := range []struct {
		src          string
		kind         fhirpath.Kind
		line, column int
	}{
		{``, fhirpath.Syntax, 1, 1},
		{`Patient.`, fhirpath.Syntax, 1, 9},
		{`Patient name`, fhirpath.Syntax, 1, 9},
		{"Patient.name\n  .where(use = )", fhirpath.Syntax, 2, 16},
		{`'é' = ?`, fhirpath.Syntax, 1, 7},
		{`'open`, fhirpath.Syntax, 1, 1},
		{`1 /* open`, fhirpath.Syntax, 1, 3},
		{`'\u12'`, fhirpath.Syntax, 1, 2},
		{`(1 + 2`, fhirpath.Syntax, 1, 7},
		{`name[1`, fhirpath.Syntax, 1, 7},
		{`1 + and`, fhirpath.Syntax, 1, 5},
		{`$that`, fhirpath.Syntax, 1, 1},
		{`@2020-13-01`, fhirpath.Syntax, 1, 1},
		{`@2021-02-29`, fhirpath.Syntax, 1, 1},
		{`@T25`, fhirpath.Syntax, 1, 1},
		{`@T14:34:28Z`, fhirpath.Syntax, 1, 1},
		{`{1}`, fhirpath.Syntax, 1, 2},
		{`% `, fhirpath.Syntax, 1, 1},
		{`name.where()`, fhirpath.Syntax, 1, 6},
		{`name.count(1)`, fhirpath.Syntax, 1, 6},
		{`name.nothing()`, fhirpath.Unknown, 1, 6},
		{`name is Nothing`, fhirpath.Unknown, 1, 9},
		{`name.ofType(FHIR.Nothing)`, fhirpath.Unknown, 1, 13},
		{`true and %nothing`, fhirpath.Unknown, 1, 10},
		{`'a' - 'b'`, fhirpath.Type, 1, 5},
		{`true or (1 | 2)`, "", 0, 0},
		{`false or (1 | 2)`, fhirpath.Cardinality, 1, 7},
		{`1 < 'a'`, fhirpath.Type, 1, 3},
		{`(1 | 2) < 3`, fhirpath.Cardinality, 1, 9},
		{`(1 | 2) + 3`, fhirpath.Cardinality, 1, 9},
		{`-(1 | 2)`, fhirpath.Cardinality, 1, 1},
		{`-'a'`, fhirpath.Type, 1, 1},
		{`(1 | 2) in (1 | 2)`, fhirpath.Cardinality, 1, 9},
		{`(1 | 2) is Integer`, fhirpath.Cardinality, 1, 9},
		{`(1 | 2).single()`, fhirpath.Cardinality, 1, 9},
		{`1.length()`, fhirpath.Type, 1, 3},
		{`'a'.substring('b')`, fhirpath.Type, 1, 5},
		{`'a'.abs()`, fhirpath.Type, 1, 5},
		{`'a'.matches('(?=b)')`, fhirpath.Unsupported, 1, 5},
		{`'a'.matches('(' & 'b')`, fhirpath.Unsupported, 1, 5},
		{`'a'.memberOf('http://nowhere')`, fhirpath.Unsupported, 1, 5},
		{`elementDefinition()`, fhirpath.Unsupported, 1, 1},
		{`@2020-01-01 + 1 'cm'`, fhirpath.Type, 1, 13},
		{`@T10:00 + 1 day`, fhirpath.Type, 1, 9},
		{`name['a']`, fhirpath.Type, 1, 5},
		{`1.5.round(-1)`, fhirpath.Type, 1, 5},
	} {
		_, err := evaluate(c.src, patient, nil)
		if c.kind == "" {
			if err != nil {
				t.Errorf("%s: %v", c.src, err)
			}
			continue
		}
		var e *fhirpath.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v is no *Error", c.src, err)
			continue
		}
		if e.Kind != c.kind || e.Line != c.line || e.Column != c.column || !strings.HasSuffix(e.Text, ".") {
			t.Errorf("%s: %s error at %d:%d, want %s at %d:%d: %v", c.src, e.Kind, e.Line, e.Column, c.kind, c.line, c.column, e)
		}
	}
}

// TestStrict: what is empty or true otherwise is an error when Strict.
func TestStrict(t *testing.T) {
	t.Parallel()
	patient := input(t, "patient")
	for src, kind := range map[string]fhirpath.Kind{
		`Patient.nothing`:              fhirpath.Unknown,
		`Observation.value`:            fhirpath.Unknown,
		`Patient.name.given.nothing`:   fhirpath.Unknown,
		`(name as Period).family`:      fhirpath.Cardinality,
		`(birthDate as Period).family`: fhirpath.Unknown,
		`children().first()`:           fhirpath.Type,
		`descendants()[0]`:             fhirpath.Type,
		`'a' and true`:                 fhirpath.Type,
		`iif('a', 1, 2)`:               fhirpath.Type,
		`1.type().nothing`:             fhirpath.Unknown,
	} {
		_, err := evaluate(src, patient, &fhirpath.Env{Strict: true})
		var e *fhirpath.Error
		if !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: error %v, want kind %s", src, err, kind)
		}
		if _, err := evaluate(src, patient, nil); err != nil {
			t.Errorf("%s without Strict: %v", src, err)
		}
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("no connection")
	env := &fhirpath.Env{MemberOf: func(string, fhirpath.Item) (bool, error) { return false, cause }}
	_, err := evaluate("true and\n'a'.memberOf('http://nowhere')", fhir.Node{}, env)
	var e *fhirpath.Error
	if !errors.Is(err, cause) || !errors.As(err, &e) || e.Kind != fhirpath.Unsupported {
		t.Errorf("the error is %v, want an *Error caused by %v", err, cause)
	}
}
