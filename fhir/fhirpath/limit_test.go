package fhirpath_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// grown returns an expression that doubles what it starts from n times.
func grown(start, step string, n int) string {
	return "(" + counted(n) + ").aggregate(" + step + ", " + start + ")"
}

func counted(n int) string {
	var numbers []string
	for k := range n {
		numbers = append(numbers, fmt.Sprint(k))
	}
	return strings.Join(numbers, "|")
}

// TestLimits (attack D9) evaluates what would take too long, or too much memory.
func TestLimits(t *testing.T) {
	t.Parallel()
	ten := "(" + counted(10) + ")"
	for name, src := range map[string]string{
		"length":             strings.Repeat(" ", 1<<20),
		"brackets":           strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200),
		"signs":              strings.Repeat("-", 200) + "1",
		"calls":              strings.Repeat("not(", 200),
		"nested calls":       strings.Repeat("iif(true, ", 200) + "1" + strings.Repeat(")", 200),
		"indexes":            strings.Repeat("a[", 200),
		"operators":          strings.Repeat("1+", 5000) + "1",
		"steps in a row":     strings.Repeat("not().", 5000) + "a",
		"dots":               strings.Repeat("first().", 5000) + "a",
		"doubled string":     grown("'aaaaaaaa'", "$total & $total", 40),
		"doubled collection": grown("1", "$total.combine($total)", 40),
		"replaced":           grown("'aa'", "$total.replace('a', 'aaaaaaaaaa')", 20),
		"replaced by regex":  grown("'aa'", "$total.replaceMatches('a', 'aaaaaaaaaa')", 20),
		"escaped":            grown("'&&&&'", "($total & $total).escape('html')", 40),
		"encoded":            grown("'aaaa'", "$total.encode('hex')", 40),
		"joined":             grown("'aaaa'", "$total.combine($total).join($total)", 40),
		"split":              grown("'aaaa'", "($total & $total).toChars().join()", 40),
		"nested select":      strings.Repeat(ten+".select(", 7) + "$this" + strings.Repeat(")", 7),
		"nested where":       strings.Repeat(ten+".where(", 7) + "true" + strings.Repeat(".exists())", 7),
		"endless repeat":     "1.repeat($this + 1)",
		"growing repeat":     "'a'.repeat($this & 'a' | $this & 'b')",
		"endless types":      "1.repeat($this.toString() & 'a')",
		"regex program":      "'a'.matches('((a{100}){10})" + strings.Repeat("(a{100}){9}", 20) + "')",
		"regex length":       "'a'.matches('" + strings.Repeat("a", 5000) + "')",
		"regex work":         grown("'aaaaaaaaaa'", "iif($total.length() < 500000, $total & $total, iif($total.matches('(a*)*(a|aa|aaa){0,50}b'), $total, $total))", 100),
		"dynamic regexes":    "(" + counted(40) + ").select((" + counted(300) + ").select('a'.matches($this.toString() & 'a{900}')))",
		"descendants":        "descendants().select(%context.descendants().select($this.descendants().select(%context.descendants())))",
	} {
		_, err := evaluate(src, input(t, "patient"), nil)
		var e *fhirpath.Error
		if !errors.As(err, &e) || e.Kind != fhirpath.Limit {
			t.Errorf("%s: error %v, want a limit", name, err)
		}
	}
}

// TestOverflow: numbers that grow too large or too exact are empty, or rounded.
func TestOverflow(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`2147483647 + 1`:                                  ``,
		`-2147483647 - 2`:                                 ``,
		`100000 * 100000`:                                 ``,
		`10.power(10000)`:                                 ``,
		`10.0.power(2000)`:                                ``,
		`0.1.power(-1000)`:                                ``,
		`1000.exp()`:                                      ``,
		`(-1).ln()`:                                       ``,
		`0.log(10)`:                                       ``,
		`@9999-12-31 + 1 day`:                             ``,
		`@0001-01-01 - 1 day`:                             ``,
		`@2020-01-01 + 2147483647 years`:                  ``,
		`@2020-01-01T00:00:00Z + 2147483647 hours`:        ``,
		`@2020-01-01T00:00:00Z + 2147483647 minutes`:      `6103-01-24T02:07:00Z`,
		grown("10.0", "$total * $total", 30):              ``,
		`'` + strings.Repeat("9", 1000) + `'.toDecimal()`: ``,
		`1 div 0`:                                         ``, `1.0 / 0`: ``, `1 mod 0`: ``, `1.0 mod 0.0`: ``, `1.0 div 0.0`: ``,
	} {
		got, err := evaluate(src, fhir.Node{}, nil)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if text := joined(got); text != want {
			t.Errorf("%s gives %q, want %q", src, text, want)
		}
	}
}

func joined(c fhirpath.Collection) string {
	var all []string
	for _, i := range c {
		all = append(all, i.Text())
	}
	return strings.Join(all, ", ")
}

// TestEnvLimits: the limits of the Env count.
func TestEnvLimits(t *testing.T) {
	t.Parallel()
	patient := input(t, "patient")
	for src, env := range map[string]*fhirpath.Env{
		"descendants()":               {Output: 3},
		"'abcd'.toChars()":            {Output: 3},
		"'a,b,c,d'.split(',')":        {Output: 3},
		"1 | 2 | 3 | 4":               {Output: 3},
		"name.given.distinct()":       {Steps: 3},
		"Patient.name.given.exists()": {Steps: 3},
		"%many":                       {Output: 3, Constants: map[string]fhirpath.Collection{"many": make(fhirpath.Collection, 4)}},
	} {
		_, err := evaluate(src, patient, env)
		var e *fhirpath.Error
		if !errors.As(err, &e) || e.Kind != fhirpath.Limit {
			t.Errorf("%s: error %v, want a limit", src, err)
		}
	}
}
