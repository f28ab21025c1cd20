package questionnaire

import (
	"context"
	"encoding/base64"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// An about is the value that is being checked.
type about struct {
	item  *item
	value fhir.Node
	sent  fhir.Node
}

// value checks the value of an answer.
func (c *checker) value(ctx context.Context, it *item, a answer) {
	at := about{it, a.value, a.sent}
	if v := a.sent.Child("value"); !v.IsZero() {
		at.sent = v
	}
	typ := a.value.Type()
	if !it.takes(typ.Name) {
		c.report(at.sent, it, "wrong-answer-type", "an answer cannot be a "+typ.Name+"; give it the type that the form says")
		return
	}
	c.choice(ctx, at)
	c.bounds(at)
	if typ.Kind == spec.KindPrimitive {
		c.text(at)
	}
	switch typ.Name {
	case "decimal":
		c.decimals(at, a.value.Text())
	case "Quantity":
		c.decimals(at, a.value.Child("value").Text())
		c.unit(ctx, at)
	case "Reference":
		c.reference(at)
	case "Attachment":
		c.attachment(at)
	}
}

// choice checks whether a value is one of those that the form offers.
func (c *checker) choice(ctx context.Context, at about) {
	it := at.item
	if it.options == nil && it.valueSet == nil || it.kind == "open-choice" && at.value.Type().Name == "string" {
		return
	}
	if _, offered := it.options[valueKey(at.value)]; offered {
		return
	}
	if it.valueSet == nil || at.value.Type().Name != "Coding" {
		c.report(at.sent, it, "not-an-answer-option", "this is none of the options of the form; choose one of them")
		return
	}
	switch c.member(ctx, it.valueSet, termOf(at.value)) {
	case terminology.Out:
		c.report(at.sent, it, "not-in-value-set", "this code is not in the value set "+short(it.valueSet.canonical)+"; choose one that is")
	case terminology.Undecided:
		c.undecided(at, it.valueSet)
	}
}

func (c *checker) undecided(at about, set *valueSet) {
	c.warn(at.sent, at.item, "answer-not-checked", "whether this code is in the value set "+short(set.canonical)+" cannot be found out here")
}

// maxVerdicts is how many different codes are looked up for one response.
const maxVerdicts = 2_000

// A verdictKey names a code that was looked up.
type verdictKey struct {
	set  *valueSet
	code terminology.Coding
}

// member says whether a code is in a value set.
func (c *checker) member(ctx context.Context, set *valueSet, code terminology.Coding) terminology.Result {
	if code.Code == "" {
		return terminology.Out
	}
	if c.env.Terms == nil || c.err != nil {
		return terminology.Undecided
	}
	code.Display = ""
	key := verdictKey{set, code}
	if r, known := c.verdicts[key]; known {
		return r
	}
	if len(c.verdicts) == maxVerdicts {
		c.tooCostly("The response has too many different codes to look them all up; divide it")
		return terminology.Undecided
	}
	var v terminology.Verdict
	if set.contained != nil {
		v, c.err = c.env.Terms.MemberOf(ctx, set.contained, code)
	} else {
		v, c.err = c.env.Terms.Member(ctx, set.canonical, code)
	}
	c.verdicts[key] = v.Result
	return v.Result
}

// bounds checks the least and the greatest value.
func (c *checker) bounds(at about) {
	for _, b := range at.item.bounds {
		below, above, known := compareValues(at.value, b.value)
		limit := b.value.Text()
		if b.value.Type().Name == "Quantity" {
			limit = b.value.Child("value").Text() + " " + b.value.Child("unit").Text()
			if !known && at.value.Child("value").HasValue() {
				c.report(at.sent, at.item, "unit-not-allowed", "this cannot be compared with the limit "+limit+"; use its unit")
				return
			}
		}
		switch {
		case !known:
		case b.upper && above:
			c.report(at.sent, at.item, "out-of-range", "the answer is above the maximum "+limit)
			return
		case !b.upper && below:
			c.report(at.sent, at.item, "out-of-range", "the answer is below the minimum "+limit)
			return
		}
	}
}

// text checks the length of a value, and its pattern.
func (c *checker) text(at about) {
	it, text := at.item, at.value.Text()
	length := utf8.RuneCountInString(text)
	if it.maxLength > 0 && length > it.maxLength {
		c.report(at.sent, it, "answer-too-long", fmt.Sprintf("the answer has %d characters; %d are allowed", length, it.maxLength))
	}
	if length < it.minLength {
		c.report(at.sent, it, "answer-too-short", fmt.Sprintf("the answer has %d characters; give at least %d", length, it.minLength))
	}
	if it.pattern == nil {
		return
	}
	switch matches, ok := it.pattern.matches(text); {
	case !ok:
		c.report(at.sent, it, "too-costly", "the answer is too long to hold it against the pattern of the form; shorten it")
	case !matches:
		c.report(at.sent, it, "pattern-mismatch", "the answer does not have the format that is asked for"+formatOf(it))
	}
}

// formatOf returns the format that the form shows for answers.
func formatOf(it *item) string {
	if format := it.node.Extension(coreURL + "entryFormat").Child("value").Text(); format != "" {
		return ": " + short(format)
	}
	return ""
}

// decimals checks the decimal places of a number.
func (c *checker) decimals(at about, text string) {
	if at.item.decimals < 0 || text == "" {
		return
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	shift, _ := strconv.Atoi(exponent)
	if len(fraction)-shift > at.item.decimals {
		c.report(at.sent, at.item, "too-many-decimal-places", fmt.Sprintf("give at most %d decimal places", at.item.decimals))
	}
}

// unit checks the unit of a quantity.
func (c *checker) unit(ctx context.Context, at about) {
	it := at.item
	if it.units == nil && it.unitSet == nil {
		return
	}
	code := termOf(at.value)
	switch {
	case it.units["Coding\x00"+code.System+"\x00"+code.Code]:
		return
	case it.unitOpen == "optionsOrType" && code.Code != "", it.unitOpen == "optionsOrString" && code.Code == "":
		return
	}
	if it.unitSet != nil {
		switch c.member(ctx, it.unitSet, code) {
		case terminology.In:
			return
		case terminology.Undecided:
			c.undecided(at, it.unitSet)
			return
		}
	}
	c.report(at.sent, it, "unit-not-allowed", "the form does not offer this unit; give the code and system of one that it does")
}

// reference checks what type of resource is referred to.
func (c *checker) reference(at about) {
	text := at.value.Child("reference").Text()
	r, ok := fhir.ParseReference(text)
	if text != "" && (!ok || strings.ContainsAny(text, " \t\r\n")) {
		c.report(at.sent, at.item, "reference-type", "this is no reference to a resource")
		return
	}
	typ := r.Key.Type
	if typ == "" {
		typ = at.value.Child("type").Text()
	}
	if typ == "" && r.Fragment != "" {
		typ = containedType(at.value, r.Fragment)
	}
	if len(at.item.targets) == 0 || slices.Contains(at.item.targets, typ) {
		return
	}
	allowed := short(strings.Join(at.item.targets, ", "))
	if typ == "" {
		c.report(at.sent, at.item, "reference-type", "say in type what the reference is to; allowed are "+allowed)
		return
	}
	c.report(at.sent, at.item, "reference-type", "a reference to a "+short(typ)+" is not allowed; allowed are "+allowed)
}

func containedType(n fhir.Node, id string) string {
	for !n.Parent().IsZero() {
		n = n.Parent()
	}
	for r := range n.Each("contained") {
		if r.Child("id").Text() == id {
			return r.Type().Name
		}
	}
	return ""
}

// attachment checks the type and the size of an attachment, as far as it says them.
func (c *checker) attachment(at about) {
	it := at.item
	if len(it.mimeTypes) > 0 && !offers(it.mimeTypes, at.value.Child("contentType").Text()) {
		c.report(at.sent, it, "attachment-type", "give contentType; allowed are "+short(strings.Join(it.mimeTypes, ", ")))
	}
	size, stated := decimalOf(at.value.Child("size"))
	if data := at.value.Child("data"); data.HasValue() {
		actual := apd.New(int64(sizeOf(data.Text())), 0)
		if stated && size.Cmp(actual) != 0 {
			c.report(at.sent, it, "attachment-size", "size is not that of data; correct it or leave it out")
		}
		size, stated = actual, true
	}
	if it.maxBytes == nil {
		return
	}
	if !stated {
		c.warn(at.sent, it, "attachment-size-unknown", "the attachment does not say its size, so that was not checked; give size")
		return
	}
	if size.Cmp(it.maxBytes) > 0 {
		c.report(at.sent, it, "attachment-too-large", "the attachment may have at most "+it.maxBytes.Text('f')+" bytes")
	}
}

// offers reports whether a media type is one of those allowed, which may be image/*.
func offers(allowed []string, contentType string) bool {
	typ, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		typ, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	}
	main, _, _ := strings.Cut(typ, "/")
	return typ != "" && (slices.Contains(allowed, typ) || slices.Contains(allowed, main+"/*") || slices.Contains(allowed, "*/*"))
}

// sizeOf returns how many bytes base64 stands for.
func sizeOf(data string) int {
	n := 0
	for i := range len(data) {
		switch data[i] {
		case ' ', '\t', '\r', '\n', '=':
		default:
			n++
		}
	}
	return base64.RawStdEncoding.DecodedLen(n)
}
