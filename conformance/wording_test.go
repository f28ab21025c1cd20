package conformance_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// about returns a criterion that asks for a value of v, and perhaps for others.
func (a *inquirer) about(v *volume, e search.Entry) search.Parameter {
	modifier, text := a.wording(e)
	a.note(kindOf(e.Param, modifier))
	name := e.Param.Code
	if modifier != "" {
		name += ":" + modifier
	}
	values := []string{text}
	for range a.IntN(3) * a.IntN(2) {
		other := a.like(v.index.Key.Type)
		for _, e2 := range other.index.Entries {
			if m, text := a.wording(e2); e2.Param == e.Param && m == modifier {
				values = append(values, text)
				break
			}
		}
	}
	if len(values) > 1 {
		a.note("alternatives")
	}
	return search.Parameter{Name: name, Value: strings.Join(values, ",")}
}

// kindOf says what a criterion is, for the count.
func kindOf(p *search.Param, modifier string) string {
	switch {
	case modifier == "":
		return string(p.Type)
	case modifier[0] >= 'A' && modifier[0] <= 'Z':
		modifier = "[type]"
	}
	return string(p.Type) + " :" + modifier
}

// wording asks for one value, in one of the ways in which that can be done.
func (a *inquirer) wording(e search.Entry) (modifier, text string) {
	switch value := e.Value.(type) {
	case search.Token:
		return a.token(e.Param, value)
	case search.String:
		return a.string(value)
	case search.Reference:
		return a.reference(e.Param, value)
	case search.URI:
		return a.uri(value)
	case search.Range:
		return "", a.rangeText(e.Param, value)
	case search.Quantity:
		return "", a.quantity(value)
	case search.Composite:
		return "", a.composite(e.Param, value)
	}
	return "", ""
}

func (a *inquirer) token(p *search.Param, t search.Token) (modifier, text string) {
	switch n := a.IntN(12); {
	case (n < 2 || t.Code == "") && len(t.Texts) > 0:
		return "text", escapedValue(a.beginning(t.Texts[a.IntN(len(t.Texts))]))
	case n < 4 && len(t.Kinds) > 0:
		kind := t.Kinds[a.IntN(len(t.Kinds))]
		return "of-type", escapedValue(kind.System) + "|" + escapedValue(kind.Code) + "|" + escapedValue(t.Code)
	case n == 4, n == 5:
		return "not", a.coded(t)
	case n == 7 && t.System != "" && !p.Bare:
		return a.pick("", "not"), escapedValue(t.System) + "|"
	case n == 8 && t.System != "":
		if modifier, text := a.hierarchy(t); text != "" {
			return modifier, text
		}
	}
	return "", a.coded(t)
}

// coded writes a token without a modifier.
func (a *inquirer) coded(t search.Token) string {
	code := t.Code
	if t.Folded && a.oneIn(3) {
		code = strings.ToUpper(code)
	}
	code = escapedValue(code)
	switch {
	case code == "":
		return escapedValue(t.System) + "|"
	case a.oneIn(3):
		return code
	case a.oneIn(15):
		return "http://example.org/none|" + code
	}
	return escapedValue(t.System) + "|" + code
}

// hierarchy asks by a value set or a code system that has t.
func (a *inquirer) hierarchy(t search.Token) (modifier, text string) {
	for _, set := range spec.R4().ValueSets {
		if slices.Contains(set.Codes, spec.Coding{System: t.System, Code: t.Code}) && a.oneIn(2) {
			return a.pick("in", "not-in"), escapedValue(set.URL)
		}
	}
	for _, system := range spec.R4().CodeSystems {
		if system.URL == t.System {
			return a.pick("above", "below"), t.System + "|" + t.Code
		}
	}
	return "", ""
}

// beginning cuts s somewhere, most often.
func (a *inquirer) beginning(s string) string {
	runes := []rune(s)
	n := len(runes)
	if n > 1 && !a.oneIn(3) {
		n = 1 + a.IntN(min(n, 40)-1)
	}
	if s = strings.TrimSpace(string(runes[:min(n, 300)])); s == "" {
		return "x"
	}
	return s
}

func (a *inquirer) string(s search.String) (modifier, text string) {
	if s.Folded == "" {
		return "exact", escapedValue(s.Text)
	}
	switch a.IntN(6) {
	case 0:
		if len(s.Text) < 400 {
			return "exact", escapedValue(s.Text)
		}
	case 1, 2:
		runes := []rune(s.Folded)
		return "contains", escapedValue(a.beginning(string(runes[a.IntN(len(runes)):])))
	case 3:
		return "", escapedValue(strings.ToUpper(a.beginning(s.Folded)))
	}
	return "", escapedValue(a.beginning(s.Text))
}

func (a *inquirer) reference(p *search.Param, r search.Reference) (modifier, text string) {
	switch {
	case r.Identifier != nil && (a.oneIn(3) || r.Key.ID == "" && r.URL == ""):
		return "identifier", a.coded(*r.Identifier)
	case r.Key.ID == "" && r.Version != "" && a.oneIn(3):
		return "below", escapedValue(r.URL) + "|" + escapedValue(r.Version[:1+a.IntN(len(r.Version))])
	case r.Key.ID == "" && r.Version != "" && a.oneIn(2):
		return "", escapedValue(r.URL) + "|" + escapedValue(r.Version)
	case r.Key.ID == "":
		return "", escapedValue(r.URL)
	}
	switch a.IntN(4) {
	case 0:
		return "", r.Key.ID
	case 1:
		return r.Key.Type, r.Key.ID
	case 2:
		return "", a.registry.Base + "/" + r.Key.String()
	}
	return "", r.Key.String()
}

func (a *inquirer) uri(u search.URI) (modifier, text string) {
	n := a.IntN(4)
	switch {
	case n == 0 && len(u.Text) > 8:
		return "below", escapedValue(u.Text[:8+a.IntN(len(u.Text)-7)])
	case n == 1:
		return "above", escapedValue(u.Text + a.pick("", "/x", "/x/y", "x"))
	case n == 2 && u.Version != "":
		return "", escapedValue(u.Text) + "|" + escapedValue(u.Version)
	}
	return "", escapedValue(u.Text)
}

// prefix returns a prefix, or none.
func (a *inquirer) prefix() string {
	prefix := a.pick("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "", "")
	a.note("prefix " + prefix)
	return prefix
}

// rangeText asks for a date or a number that is near one end of r.
func (a *inquirer) rangeText(p *search.Param, r search.Range) string {
	at := r.Lo
	if math.IsInf(at, 0) || a.oneIn(3) && !math.IsInf(r.Hi, 0) {
		at = r.Hi
	}
	if p.Type == search.DateType {
		return a.prefix() + a.moment(at)
	}
	return a.prefix() + a.number(at)
}

// moment writes a time, given in microseconds, in some precision and zone.
func (a *inquirer) moment(at float64) string {
	zone := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -8*3600)}[a.IntN(3)]
	layout := a.pick("2006", "2006-01", "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000Z07:00", "2006-01-02")
	moved := at + []float64{0, 0, 0, -1, 1, 3600e6, -86400e6}[a.IntN(7)]
	return time.UnixMicro(int64(moved)).In(zone).Format(layout)
}

// number writes a number to some digits.
func (a *inquirer) number(v float64) string {
	digits := a.pick("", "", "1", "2", "3")
	if digits == "" {
		return strconv.FormatFloat(v, byte(a.pick("g", "f")[0]), -1, 64)
	}
	n, _ := strconv.Atoi(digits)
	return strconv.FormatFloat(v, byte(a.pick("g", "e")[0]), n, 64)
}

func (a *inquirer) quantity(q search.Quantity) string {
	r, system, code := q.Range, q.System, q.Code
	switch {
	case q.Base != "" && a.oneIn(4):
		r, code = q.Canonical, q.Base
		a.note("quantity in another unit")
	case q.Unit != "" && a.oneIn(4):
		system, code = "", q.Unit
	case a.oneIn(5):
		system = ""
	}
	at := r.Lo
	if math.IsInf(at, 0) || a.oneIn(3) && !math.IsInf(r.Hi, 0) {
		at = r.Hi
	}
	text := a.prefix() + a.number(at)
	switch {
	case system == "" && code == "", a.oneIn(5):
		return text
	case code == "":
		return text + "|" + escapedValue(system)
	}
	return text + "|" + escapedValue(system) + "|" + escapedValue(code)
}

func (a *inquirer) composite(p *search.Param, c search.Composite) string {
	parts := make([]string, len(c))
	for i, value := range c {
		e := search.Entry{Param: p.Parts[i].Param, Value: value}
		modifier, text := a.wording(e)
		for range 20 {
			if modifier == "" {
				break
			}
			modifier, text = a.wording(e)
		}
		if modifier != "" {
			text = "x"
		}
		parts[i] = text
	}
	return strings.Join(parts, "$")
}

// filters asks by _filter, and where that is possible, in other words as well.
func (a *inquirer) filters(q *inquiry, v *volume) {
	a.note("_filter")
	var texts []string
	q.same = slices.Clone(q.params) // _type
	same := true
	for range 1 + a.IntN(3) {
		text, p := a.term(v)
		if text == "" {
			continue
		}
		texts = append(texts, text)
		q.same = append(q.same, p)
		same = same && p.Name != ""
	}
	joint := " and "
	if len(texts) > 1 && a.oneIn(3) {
		joint, same = " or ", false
		a.note("_filter or")
	}
	text := strings.Join(texts, joint)
	if len(texts) == 0 {
		a.criteria(q, v)
		q.same = nil
		return
	}
	if a.oneIn(4) {
		text, same = "not ("+text+")", false
		a.note("_filter not")
	}
	q.params = append(q.params, search.Parameter{Name: "_filter", Value: text})
	if !same {
		q.same = nil
	}
}

// term returns a comparison of a _filter, and a parameter that means the same if
// there is one.
func (a *inquirer) term(v *volume) (text string, same search.Parameter) {
	if len(v.index.Entries) == 0 {
		return "", same
	}
	if a.oneIn(12) {
		operator := a.pick("ge", "lt", "ne")
		a.note("_filter _lastUpdated")
		at := a.moment(float64(v.index.Updated.UnixMicro()))
		return "_lastUpdated " + operator + " " + at, search.Parameter{Name: "_lastUpdated", Value: operator + at}
	}
	if cites := v.cites(); len(cites) > 0 && a.oneIn(4) {
		return a.chainTerm(cites[a.IntN(len(cites))])
	}
	e := a.entry(v)
	if a.oneIn(6) {
		return a.presence(e)
	}
	same.Name = e.Param.Code
	switch value := e.Value.(type) {
	case search.Token:
		if value.Code == "" {
			return "", same
		}
		if a.oneIn(5) {
			return a.compared(e, "ne", a.coded(value)), search.Parameter{}
		}
		same.Value = a.coded(value)
		return a.compared(e, "eq", same.Value), same
	case search.String:
		return a.textTerm(e, value)
	case search.Reference:
		if value.Key.ID == "" {
			return "", same
		}
		same.Value = value.Key.String()
		return a.compared(e, a.pick("eq", "re"), same.Value), same
	case search.URI:
		same.Value = escapedValue(value.Text)
		return a.compared(e, "eq", strings.ReplaceAll(value.Text, "|", `\|`)), same
	case search.Range, search.Quantity:
		return a.rangeTerm(e)
	}
	return "", same
}

// chainTerm returns one of what a reference leads to.
func (a *inquirer) chainTerm(c citation) (text string, same search.Parameter) {
	link := c.param.Code + ":" + c.from.index.Key.Type
	if text, same = a.term(c.from); text == "" {
		return "", same
	}
	a.note("_filter chain")
	if same.Name != "" {
		same.Name = link + "." + same.Name
	}
	return link + "." + text, same
}

// presence asks whether there is a value.
func (a *inquirer) presence(e search.Entry) (text string, same search.Parameter) {
	a.note("_filter pr")
	if e.Param.Type == search.CompositeType { // which :missing is not for
		return e.Param.Code + a.pick(" pr true", " pr false"), same
	}
	there := a.oneIn(2)
	return fmt.Sprintf("%s pr %t", e.Param.Code, there), search.Parameter{Name: e.Param.Code + ":missing", Value: strconv.FormatBool(!there)}
}

// rangeTerm compares a date, a number or a quantity.
func (a *inquirer) rangeTerm(e search.Entry) (text string, same search.Parameter) {
	_, value := a.wording(e)
	operator, number := "eq", value
	if value[0] >= 'a' && value[0] <= 'z' {
		operator, number = value[:2], value[2:]
	}
	if e.Param.Type == search.DateType && a.oneIn(8) {
		return a.compared(e, "po", number), same
	}
	return a.compared(e, operator, number), search.Parameter{Name: e.Param.Code, Value: value}
}

// textTerm compares a string.
func (a *inquirer) textTerm(e search.Entry, s search.String) (text string, same search.Parameter) {
	operator := a.pick("sw", "co", "eq", "ne", "ew")
	part := a.beginning(s.Folded)
	switch operator {
	case "sw":
		same = search.Parameter{Name: e.Param.Code, Value: escapedValue(part)}
	case "co":
		same = search.Parameter{Name: e.Param.Code + ":contains", Value: escapedValue(part)}
	case "ew":
		part = strings.TrimSpace(part[len(part)-min(len(part), 5):])
	case "eq":
		part = s.Text
	}
	if part == "" || !utf8.ValidString(part) {
		return "", same
	}
	return a.compared(e, operator, part), same
}

func (a *inquirer) compared(e search.Entry, operator, value string) string {
	a.note("_filter " + string(e.Param.Type) + " " + operator)
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return e.Param.Code + " " + operator + " " + value
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return e.Param.Code + " " + operator + " " + string(quoted)
}
