package typed

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
)

// A mutation changes one thing in a resource.
type mutation func(r *rand.Rand, root *tree)

var mutations = []mutation{
	renameProperty, duplicateProperty, dropMember, dropMember, changeKind, wrap, unwrap, putNull, appendNull, putEmpty,
	changeString, changeString, changeString, changeNumber, changeChoice, addChoice, addProperty, addProperty, swapMembers,
	moveSubtree, changeCode, changeReference, changeTime, changeResourceType, addCompanion,
	changeContent, changeNumber,
}

// mutate returns a copy of root with one or two changes.
func mutate(r *rand.Rand, root *tree) *tree {
	v := root.clone()
	mutations[r.IntN(len(mutations))](r, v)
	if r.IntN(4) == 0 {
		mutations[r.IntN(len(mutations))](r, v)
	}
	return v
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// somewhere returns a random place below root for which want holds.
func somewhere(r *rand.Rand, root *tree, want func(in *tree, e entry) bool) (place, bool) {
	places := root.places(want)
	if len(places) == 0 {
		return place{}, false
	}
	return pick(r, places), true
}

func anything(*tree, entry) bool        { return true }
func isProperty(in *tree, _ entry) bool { return in.open == '{' }
func isScalar(_ *tree, e entry) bool    { return e.value.open == 0 }
func isArray(_ *tree, e entry) bool     { return e.value.open == '[' }
func isObject(_ *tree, e entry) bool    { return e.value.open == '{' }
func isString(_ *tree, e entry) bool    { return strings.HasPrefix(e.value.text, `"`) }
func isNumber(_ *tree, e entry) bool {
	return e.value.text != "" && strings.Contains("-0123456789", e.value.text[:1])
}
func isReference(_ *tree, e entry) bool { return e.name == "reference" && e.value.open == 0 }
func isContent(_ *tree, e entry) bool   { return contentLike.MatchString(e.name) && e.value.open == 0 }
func isTime(_ *tree, e entry) bool      { return timeLike.MatchString(e.value.text) }
func isWord(_ *tree, e entry) bool      { return wordLike.MatchString(e.value.text) }
func isChoice(_ *tree, e entry) bool    { return choiceLike.MatchString(e.name) }
func isTypeName(_ *tree, e entry) bool  { return e.name == "resourceType" }
func isPlain(in *tree, e entry) bool {
	return in.open == '{' && e.value.open == 0 && e.name != "resourceType"
}
func property(name, json string) entry { return entry{name, leaf(json)} }
func (p place) insert(e entry)         { p.in.members = append(p.in.members, e) }
func (p place) set(json string)        { p.entry().value = leaf(json) }
func (p place) remove()                { p.in.members = append(p.in.members[:p.i:p.i], p.in.members[p.i+1:]...) }
func upperFirst(s string) string       { return strings.ToUpper(s[:1]) + s[1:] }
func quote(s string) string            { return `"` + s + `"` }
func unquote(s string) string          { return strings.Trim(s, `"`) }

var (
	timeLike    = regexp.MustCompile(`^"\d{4}(-\d\d(-\d\d(T.*)?)?)?"$`)
	contentLike = regexp.MustCompile(`^(data|hash|description|comment|purpose|copyright|usage|valueBase64Binary|valueMarkdown)$`)
	wordLike    = regexp.MustCompile(`^"[a-z][a-z-]*"$`)
	choiceLike  = regexp.MustCompile(`^_?(value|onset|effective|deceased|multipleBirth|medication|content|occurrence|performed|timing|answer|asNeeded|dose|item|product|serviced|rate)[A-Z]`)
)

// leaf returns text, JSON of any sort or something close to it, as a tree.
func leaf(text string) *tree {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if v, err := readTree(d); err == nil && v.open != 0 {
		return v
	}
	return &tree{text: text}
}

func renameProperty(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, isProperty)
	if !ok || p.entry().name == "" {
		return
	}
	e := p.entry()
	switch r.IntN(7) {
	case 0:
		e.name = upperFirst(e.name)
	case 1:
		e.name = strings.ToLower(e.name)
	case 2:
		e.name += "x"
	case 3:
		e.name = "_" + strings.TrimPrefix(e.name, "_")
	case 4:
		e.name = strings.TrimPrefix(e.name, "_")
	case 5:
		other, _ := somewhere(r, root, isProperty)
		e.name = other.entry().name
	default:
		e.name = `\u00` + hex(e.name[0]) + e.name[1:]
	}
}

func hex(c byte) string { return string([]byte{"0123456789abcdef"[c>>4], "0123456789abcdef"[c&15]}) }

func duplicateProperty(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		p.insert(entry{p.entry().name, p.entry().value.clone()})
	}
}

func dropMember(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		p.remove()
	}
}

func changeKind(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, anything)
	if !ok {
		return
	}
	p.set(pick(r, []string{`"a"`, `"1"`, `"true"`, `1`, `-1`, `1.5`, `true`, `false`, `{"id":"a"}`, `{"text":"a"}`, `["a"]`, `[1]`, `[{"text":"a"}]`, `[["a"]]`}))
}

func wrap(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		p.entry().value = &tree{open: '[', members: []entry{{"", p.entry().value}}}
	}
}

func unwrap(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isArray); ok && len(p.entry().value.members) > 0 {
		p.entry().value = p.entry().value.members[0].value
	}
}

func putNull(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		p.set(`null`)
	}
}

func appendNull(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isArray); ok {
		place{p.entry().value, 0}.insert(property("", `null`))
	}
}

func putEmpty(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		p.set(pick(r, []string{`""`, `{}`, `[]`, `[{}]`, `" "`}))
	}
}

// The strings that changeString puts anywhere.
var strangeStrings = []string{
	`a`, `a b`, ` a`, `a `, `a  b`, `A`, `\u0041`, `\u0000`, `\u001f`, `\t`, `a\nb`, `a\/b`, `\ud83d\ude00`, `\ud83d`, `é`, `a_b`, `1`, `%zz`, `http://a/%zz`,
	`http://a b`, `http://a.example/b?c#d`, `http://[::1`, `:a`, `urn:oid:1.2.3`, `urn:oid:1.02`, `urn:oid:3.1`, `urn:uuid:c757873d-ec9a-4326-a141-556f43239520`,
	`urn:uuid:C757873D-EC9A-4326-A141-556F43239520`, `1.2.3`, `YQ==`, `YQ=`, `YQ`, `YW Jj`, `YW\nJj`, `YR==`, `\/+A=`, `a-_b`,
	`<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>`, `<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>a</script></div>`, `<div>a</div>`,
	`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`,
}

func changeString(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isString); ok {
		p.set(quote(pick(r, strangeStrings)))
	}
}

// changeContent puts in strings that only base64 and markdown are tried by.
func changeContent(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, isContent)
	if !ok {
		return
	}
	p.set(quote(pick(r, []string{`YQ==`, `YQ`, `YW Jj`, `YW\nJj`, `YR==`, `\/+A=`, `a-_b`, `\u0000`, `a\u0007`, `a\nb`, `# a`, ` `})))
}

func changeNumber(r *rand.Rand, root *tree) {
	want := isNumber
	if r.IntN(4) == 0 {
		want = isScalar
	}
	if p, ok := somewhere(r, root, want); ok {
		p.set(pick(r, []string{
			`0`, `-0`, `-0`, `-1`, `1`, `1.0`, `1.50`, `-1.5e3`, `1E+2`, `1e-2`, `1e999`, `1e1000`, `2147483647`, `2147483648`, `-2147483648`, `-2147483649`,
			`4294967296`, `18446744073709551616`, `01`, `+1`, `.5`, `1.`, `NaN`, `"1"`, `0.` + strings.Repeat("1", 63), strings.Repeat("1", 65),
		}))
	}
}

func changeChoice(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isChoice); ok {
		stem := choiceLike.FindStringSubmatch(p.entry().name)[1]
		p.entry().name = stem + pick(r, choiceTypes)
	}
}

var choiceTypes = []string{"", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Period", "Quantity", "CodeableConcept", "Reference", "Coding", "Uri", "Code", "Foo", "string"}

func addChoice(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, isChoice)
	if !ok {
		return
	}
	stem := choiceLike.FindStringSubmatch(p.entry().name)[1]
	p.insert(pick(r, []entry{
		property(stem+"Boolean", `true`), property(stem+"String", `"a"`), property(stem+"DateTime", `"2020"`),
		property("_"+stem+"String", `{"id":"a"}`), property("_"+stem+"Boolean", `{"extension":[{"url":"http://a","valueCode":"b"}]}`),
		property(stem+"Period", `{"start":"2020"}`),
	}))
}

func addProperty(r *rand.Rand, root *tree) {
	target := root
	if p, ok := somewhere(r, root, isObject); ok && r.IntN(4) > 0 {
		target = p.entry().value
	}
	place{target, 0}.insert(pick(r, []entry{
		property("foo", `1`), property("id", `"a"`), property("id", `"a b"`), property("resourceType", `"Patient"`), property("text", `"a"`), property("value", `"a"`),
		property("extension", `[{"url":"http://a","valueString":"b"}]`), property("extension", `[{"url":"http://a","valueFoo":"b"}]`),
		property("extension", `[{"valueString":"b"}]`), property("extension", `{"url":"http://a","valueString":"b"}`),
		property("modifierExtension", `[{"url":"http://a","valueBoolean":true}]`), property("language", `"en"`), property("implicitRules", `"http://a"`),
		property("contained", `[{"resourceType":"Basic","code":{"text":"a"}}]`), property("contained", `[{"resourceType":"Basic"}]`),
		property("contained", `[{"id":"a"}]`), property("contained", `[{"resourceType":"Foo"}]`), property("fhir_comments", `["a"]`), property("meta", `{"lastUpdated":"2020"}`),
		property("fragment", `"a"`), property("uri", `"a"`), property("patientId", `"a"`), property("valueUs", `1`), property("", `1`),
	}))
}

func swapMembers(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, anything); ok {
		j := r.IntN(len(p.in.members))
		p.in.members[p.i], p.in.members[j] = p.in.members[j], p.in.members[p.i]
	}
}

func moveSubtree(r *rand.Rand, root *tree) {
	from, ok := somewhere(r, root, anything)
	if !ok {
		return
	}
	to, _ := somewhere(r, root, anything)
	to.entry().value = from.entry().value.clone()
}

func changeCode(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, isWord)
	if !ok {
		return
	}
	text := p.entry().value.text
	switch r.IntN(5) {
	case 0:
		p.set(strings.ToUpper(text))
	case 1:
		p.set(strings.ReplaceAll(text, "-", "_"))
	case 2:
		p.set(quote(upperFirst(unquote(text))))
	case 3:
		other, _ := somewhere(r, root, isWord)
		p.set(other.entry().value.text)
	default:
		p.set(pick(r, []string{`"unknown"`, `"final"`, `"active"`, `"completed"`, `"no-such-code"`, `"INVALID_UNINITIALIZED"`, `"="`, `"<"`}))
	}
}

func changeReference(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isReference); ok {
		p.set(quote(pick(r, []string{
			`Patient/1`, `Practitioner/1`, `Observation/1`, `Patient/1/_history/2`, `Patient/1/_history/a b`, `Foo/1`, `patient/1`, `Patient/a_b`, `Patient/`, `Patient`, `Patient/1/2`,
			`#a`, `#`, `http://a.example/Patient/1`, `http://a.example/Medium/1`, `urn:uuid:c757873d-ec9a-4326-a141-556f43239520`, `Patient?identifier=a`, `/Patient/1`, `Patient/1#a`,
		})))
	}
}

func changeTime(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isTime); ok {
		p.set(quote(pick(r, []string{
			`2020`, `2020-02`, `2020-02-29`, `2019-02-29`, `2020-02-30`, `2020-13`, `2020-00`, `2020-01-00`, `0000`, `-2020`, `20`, `2020-1-1`, `2020-01-01T00:00:00Z`, `2020-01-01T00:00:00+14:00`,
			`2020-01-01T00:00:00+14:30`, `2020-01-01T00:00:00-00:00`, `2020-01-01T00:00:00`, `2020-01-01T24:00:00Z`, `2016-12-31T23:59:60Z`, `2020-01-01T00:00Z`, `2020-01-01T00:00:00.1234567890Z`,
			`2020-01-01T00:00:00.Z`, `2020-01-01 00:00:00Z`, `2020-01-01t00:00:00z`, `12:30:00`, `12:30:00Z`, `12:30`, `23:59:60`,
		})))
	}
}

func changeResourceType(r *rand.Rand, root *tree) {
	if p, ok := somewhere(r, root, isTypeName); ok {
		p.set(pick(r, []string{`"Patient"`, `"patient"`, `"Foo"`, `"HumanName"`, `"DomainResource"`, `1`, `null`, `""`, `"Basic"`, `"Bas\u0069c"`}))
	}
}

func addCompanion(r *rand.Rand, root *tree) {
	p, ok := somewhere(r, root, isPlain)
	if !ok {
		return
	}
	p.insert(property("_"+p.entry().name, pick(r, []string{
		`{"id":"a"}`, `{"extension":[{"url":"http://a","valueCode":"b"}]}`, `{"extension":[{"url":"http://a"}]}`, `{}`, `null`, `"a"`, `[null]`, `{"foo":1}`, `{"value":"a"}`,
	})))
}
