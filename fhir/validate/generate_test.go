package validate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A generator writes resources that are right in structure and random beyond it.
type generator struct {
	*rand.Rand
	out   strings.Builder
	depth int
	dense int // how likely an element that may be left out is there
}

// literals are the strings that the invariants of R4 compare with.
var literals = sync.OnceValue(func() []string {
	seen := map[string]bool{}
	for _, t := range spec.R4().Types() {
		for _, i := range t.Invariants {
			for _, m := range regexp.MustCompile(`'([^'\\\s]+)'`).FindAllStringSubmatch(mustHandle(t, i), -1) {
				seen[m[1]] = true
			}
		}
	}
	return sorted(seen)
})

func mustHandle(t *spec.Type, i spec.Invariant) string {
	source, _, _ := strings.Cut(origin(t, i).Name, ".")
	return handlingOf(source, i).expression
}

// generate returns a random resource of a type.
func generate(t testing.TB, typ *spec.Type, seed uint64) fhir.Node {
	t.Helper()
	for try := range uint64(20) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, try)), dense: int(seed % 4)}
		g.object(typ)
		r, err := fhir.Decode(typ.Name, []byte(g.out.String()))
		if err == nil {
			return r.Root()
		}
		if try == 19 {
			t.Fatalf("%v\n%s", err, g.out.String())
		}
	}
	panic("unreachable")
}

func (g *generator) object(t *spec.Type) {
	g.depth++
	defer func() { g.depth-- }()
	g.out.WriteByte('{')
	first := true
	if t.Kind == spec.KindResource {
		fmt.Fprintf(&g.out, `"resourceType":%q`, t.Name)
		first = false
	}
	for _, e := range t.Elements {
		if !g.wants(e) {
			continue
		}
		if !first {
			g.out.WriteByte(',')
		}
		first = false
		g.element(t, e)
	}
	if first {
		g.out.WriteString(`"id":"x"`)
	}
	g.out.WriteByte('}')
}

func (g *generator) wants(e *spec.Element) bool {
	switch {
	case e.Min > 0:
		return true
	case e.Name == "extension" || e.Name == "modifierExtension" || e.Name == "id":
		return g.IntN(20) == 0 && g.depth < 6
	case e.Name == "contained":
		return g.IntN(3) == 0 && g.depth < 4
	case g.depth > 5:
		return false
	}
	return g.IntN(10) < 4+2*g.dense-2*g.depth
}

func (g *generator) element(t *spec.Type, e *spec.Element) {
	ref := e.Types[g.IntN(len(e.Types))]
	name := e.Name
	if e.Choice {
		name += strings.ToUpper(ref.Type.Name[:1]) + ref.Type.Name[1:]
	}
	n := 1
	if e.Repeats() {
		n = 1 + g.IntN(3)
	}
	companions := ref.Type.Kind == spec.KindPrimitive && ref.Type.Primitive != spec.XHTML && !e.Attribute && g.IntN(15) == 0
	if companions && !e.Repeats() {
		fmt.Fprintf(&g.out, `"_%s":{"extension":[{"url":"http://a","valueBoolean":true}]}`, name)
		return
	}
	fmt.Fprintf(&g.out, "%q:", name)
	if e.Repeats() {
		g.out.WriteByte('[')
	}
	for i := range n {
		if i > 0 {
			g.out.WriteByte(',')
		}
		g.value(t, e, ref.Type)
	}
	if e.Repeats() {
		g.out.WriteByte(']')
	}
}

func (g *generator) value(t *spec.Type, e *spec.Element, typ *spec.Type) {
	switch {
	case typ.Kind == spec.KindPrimitive:
		g.out.WriteString(g.primitive(t, e, typ))
	case typ.Name == "Resource":
		all := spec.R4().Resources()
		g.object(all[g.IntN(len(all))])
	default:
		g.object(typ)
	}
}

func (g *generator) pick(all ...string) string { return all[g.IntN(len(all))] }

func (g *generator) primitive(t *spec.Type, e *spec.Element, typ *spec.Type) string {
	if b := e.Binding; b != nil && b.Set != nil && typ.Primitive == spec.Code {
		return fmt.Sprintf("%q", b.Set.Codes[g.IntN(len(b.Set.Codes))].Code)
	}
	switch typ.Primitive {
	case spec.Boolean:
		return g.pick("true", "false")
	case spec.Integer, spec.UnsignedInt, spec.PositiveInt:
		return g.pick("1", "2", "30")
	case spec.Decimal:
		return g.pick("1", "0.5", "-2", "101", "3.10")
	case spec.Date:
		return g.pick(`"2020"`, `"2020-01"`, `"2020-01-05"`, `"2019-12-31"`)
	case spec.DateTime:
		return g.pick(`"2020"`, `"2020-01-05"`, `"2020-01-05T10:00:00Z"`, `"2020-01-05T10:00:00+01:00"`, `"2020-01-05T09:30:00.5Z"`, `"2019-01-05T09:30:00+01:00"`, `"2020-01-05T10:00:00-05:00"`)
	case spec.Instant:
		return g.pick(`"2020-01-05T10:00:00Z"`, `"2020-01-05T09:30:00.5+01:00"`)
	case spec.Time:
		return g.pick(`"10:00:00"`, `"11:30:00"`)
	case spec.XHTML:
		return `"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"`
	case spec.OID:
		return `"urn:oid:1.2.3"`
	case spec.UUID:
		return `"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`
	case spec.Base64Binary:
		return g.pick(`"AAAA"`, `"YQ=="`)
	case spec.ID:
		return g.pick(`"a"`, `"b"`, `"c"`)
	case spec.Code:
		return g.pick(`"a"`, `"b"`, `"c"`, `"%"`, `"`+g.pick(literals()...)+`"`)
	case spec.URI, spec.URL, spec.Canonical:
		return g.pick(`"#a"`, `"#"`, `"http://a/_history/1"`, `"http://unitsofmeasure.org"`, `"http://b"`, `"`+g.pick(literals()...)+`"`)
	}
	if t.Name == "Reference" && e.Name == "reference" {
		return g.pick(`"#a"`, `"#b"`, `"#"`, `"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`, `"http://example.org/x"`)
	}
	return g.pick(`"a"`, `"b"`, `"Abc_1"`, `"1"`, `"*"`, `"a.b"`)
}
