package validate

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A profileBinding ties an element to a value set in a profile.
type profileBinding struct {
	valueSet   string
	required   bool
	extensible bool
	most       string // maxValueSet: no code may be from elsewhere
}

// value holds what n is itself against k.
func (c *conformer) value(n fhir.Node, k *constraint) {
	if !k.fixed.IsZero() && !c.matches(n, constant{k.fixed, true}) {
		c.broken(n, k, "fixed-value", "Give "+k.label()+" exactly the value that the profile fixes"+shown(k.fixed)+".")
	}
	if !k.pattern.IsZero() && !c.matches(n, constant{k.pattern, false}) {
		c.broken(n, k, "pattern-value", "Give "+k.label()+" what the pattern of the profile has"+shown(k.pattern)+".")
	}
	if !k.least.IsZero() && relates(n, "<", k.least) {
		c.broken(n, k, "min-value", "Give a larger value: the profile allows none below its minValue"+shown(k.least)+".")
	}
	if !k.most.IsZero() && relates(n, ">", k.most) {
		c.broken(n, k, "max-value", "Give a smaller value: the profile allows none above its maxValue"+shown(k.most)+".")
	}
	if k.length > 0 && utf8.RuneCountInString(n.Text()) > k.length {
		c.broken(n, k, "max-length", fmt.Sprintf("Shorten this: the profile allows %d characters.", k.length))
	}
	if k.binding != nil {
		c.coded(n, k)
	}
	for _, i := range k.invariants {
		c.invariant(n, k, i)
	}
}

// shown returns a primitive value of a profile for a sentence.
func shown(n fhir.Node) string {
	if text := n.Text(); n.Type().Primitive != 0 && text != "" {
		return ", " + clip(text)
	}
	return ""
}

// invariant holds n against an expression of a profile. What is not known breaks none.
func (c *conformer) invariant(n fhir.Node, k *constraint, i *criterion) {
	if i.warning && (!c.Warnings || c.trials > 0) {
		return
	}
	if c.thought > maxThought {
		return
	}
	start := time.Now()
	value, known, err := i.expr.Truth(n, c.expressions())
	if c.thought += time.Since(start); c.thought > maxThought {
		c.tooCostly()
	}
	if err == nil && (value || !known) || err != nil && !c.Warnings {
		return
	}
	is := fhir.At(n)
	switch {
	case err != nil:
		is.Severity, is.Code, is.Detail, is.Rule = fhir.Information, fhir.Processing, "rule-not-evaluated", k.rule
		is.Text = "It could not be found out whether " + clip(i.key) + " of the profile holds; have the profile looked at."
	default:
		is.Code, is.Detail, is.Rule = fhir.Invariant, "invariant", k.rule
		is.Text = "Mend this so that " + clip(i.key) + " of the profile holds: " + strings.TrimRight(clip(i.human), ".") + "."
		if i.warning {
			is.Severity = fhir.Warning
		}
	}
	c.add(is)
}

// coded holds the codes of n against the binding of k.
func (c *conformer) coded(n fhir.Node, k *constraint) {
	b := k.binding
	codings := codingsOf(n)
	if b.most != "" {
		for _, coding := range codings {
			c.judged(n, k, binding{valueSet: b.most, required: true}, coding)
		}
	}
	switch {
	case b.valueSet == "" || !b.required && !(b.extensible && c.Warnings && c.trials == 0):
	case len(codings) > 0:
		c.judged(n, k, binding{valueSet: b.valueSet, required: b.required}, codings...)
	case b.required && !excused(n):
		c.broken(n, k, "code-required", "Give a code from "+b.valueSet+": text alone does not do here.")
	}
}

// judged says whether none of codings is in the value set of b.
func (c *conformer) judged(n fhir.Node, k *constraint, b binding, codings ...terminology.Coding) {
	result := c.member(&b, codings)
	if result == terminology.In || result == terminology.Undecided && (!c.Warnings || c.trials > 0) {
		return
	}
	is := fhir.At(n)
	is.Code, is.Detail, is.Rule = fhir.CodeInvalid, "not-in-value-set", k.rule
	is.Text = "Choose a code from " + b.valueSet + ", which the profile requires here."
	switch {
	case result == terminology.Undecided:
		is.Severity, is.Code, is.Detail = fhir.Warning, fhir.NotSupported, "value-set-undecided"
		is.Text = "Make sure yourself that the code is from " + b.valueSet + ": the value set or the code system is not known here."
	case !b.required:
		is.Severity = fhir.Warning
		is.Text = "Choose a code from " + b.valueSet + ", unless none of it says what is meant."
	}
	c.add(is)
}
