package questionnaire

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
)

// whole returns the value of an integer, 0 without one or when it is negative.
func whole(n fhir.Node) int {
	i, err := strconv.Atoi(n.Text())
	if err != nil {
		return 0
	}
	return max(i, 0)
}

// megabyte is what maxSize counts in, which R4 does not say.
const megabyte = 1_000_000

// extension reads an extension of an item that restricts its answers. Those with
// expressions are read later.
func (c *compiler) extension(it *item, n fhir.Node) {
	url := n.Child("url").Text()
	v := n.Child("value")
	if name, is := strings.CutPrefix(url, coreURL); is && v.HasValue() {
		c.core(it, n, name)
	}
	if name, is := strings.CutPrefix(url, sdcURL); is && v.HasValue() {
		switch name {
		case "minQuantity", "maxQuantity":
			c.bound(it, n, name == "maxQuantity")
		case "unitOpen":
			it.unitOpen = v.Text()
		}
	}
	c.remark(n)
}

// core reads an extension of R4's own.
func (c *compiler) core(it *item, n fhir.Node, name string) {
	v := n.Child("value")
	switch name {
	case "minValue", "maxValue":
		c.bound(it, n, name == "maxValue")
	case "minLength":
		it.minLength = whole(v)
	case "maxDecimalPlaces":
		it.decimals = whole(v)
	case "regex":
		c.regex(it, v)
	case "mimeType":
		it.mimeTypes = append(it.mimeTypes, strings.ToLower(v.Text()))
	case "maxSize":
		c.maxSize(it, v)
	case "questionnaire-minOccurs":
		it.least = whole(v)
	case "questionnaire-maxOccurs":
		it.most = whole(v)
	case "questionnaire-unitOption":
		if it.units == nil {
			it.units = map[string]bool{}
		}
		it.units[valueKey(v)] = true
	case "questionnaire-unitValueSet":
		it.unitSet = c.valueSet(v)
	case "questionnaire-referenceResource":
		it.targets = append(it.targets, v.Text())
	}
}

func (c *compiler) maxSize(it *item, v fhir.Node) {
	size, ok := decimalOf(v)
	if !ok {
		return
	}
	bytes := new(apd.Decimal)
	if _, err := exact().Mul(bytes, size, apd.New(megabyte, 0)); err == nil {
		it.maxBytes = bytes
	}
}

func (c *compiler) regex(it *item, v fhir.Node) {
	p, err := newPattern(v.Text())
	if err != nil {
		c.report(v, fhir.Warning, "pattern-unsupported", "The pattern is not enforced: %v.", err)
		return
	}
	if c.cost += p.cost; c.cost > maxPatternsCost {
		c.report(v, fhir.Warning, "pattern-unsupported", "The pattern is not enforced: those before it are costly enough.")
		return
	}
	it.pattern = p
}

// maxBounds is how many bounds of a question are enforced.
const maxBounds = 4

// bound reads an inclusive bound.
func (c *compiler) bound(it *item, n fhir.Node, upper bool) {
	v := n.Child("value")
	want, typ := answerType(it.kind), v.Type().Name
	switch {
	case len(it.bounds) == maxBounds:
		c.report(n, fhir.Warning, "bound-type", "The question has more bounds than are enforced.")
	case typ == want, isNumber(typ) && isNumber(want), isDated(typ) && isDated(want):
		it.bounds = append(it.bounds, bound{v, upper})
	default:
		c.report(n, fhir.Warning, "bound-type", "A bound of type %s cannot be enforced on a question of type %s.", typ, it.kind)
	}
}

// remark says so when an extension asks for something that nobody here enforces.
func (c *compiler) remark(n fhir.Node) {
	url := n.Child("url").Text()
	if what := notEnforced(url); what != "" {
		c.report(n, fhir.Information, "not-enforced", "%s not enforced here.", what)
		return
	}
	v := n.Child("value")
	if restricts(url) && !v.IsZero() && !v.HasValue() {
		c.report(n, fhir.Information, "not-enforced", "Bounds that are not written as a value are not enforced here.")
	}
}

func restricts(url string) bool {
	switch url {
	case coreURL + "minValue", coreURL + "maxValue", coreURL + "minLength", coreURL + "regex", coreURL + "maxSize",
		coreURL + "questionnaire-minOccurs", coreURL + "questionnaire-maxOccurs", coreURL + "maxDecimalPlaces":
		return true
	}
	return false
}

// notEnforced returns what an extension asks for that is not enforced, as the beginning
// of a sentence, or "".
func notEnforced(url string) string {
	switch url {
	case sdcURL + "answerExpression":
		return "Answer options that an expression gives are"
	case sdcURL + "answerOptionsToggleExpression":
		return "Expressions that switch answer options on and off are"
	case sdcURL + "unitSupplementalSystem":
		return "The code system of further units is"
	case sdcURL + "subQuestionnaire":
		return "Forms inside forms have to be assembled before; what they ask is"
	case sdcURL + "questionnaireAdaptive":
		return "The order of questions that an adaptive form depends on is"
	case coreURL + "questionnaire-referenceProfile":
		return "Profiles of what is referred to are"
	case coreURL + "questionnaire-referenceFilter":
		return "Filters of what is referred to are"
	case coreURL + "questionnaire-signatureRequired":
		return "Signatures are"
	case coreURL + "cqf-library", sdcURL + "library":
		return "Expressions of libraries are"
	}
	return ""
}
