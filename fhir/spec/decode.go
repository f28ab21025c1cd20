package spec

import (
	"errors"
	"slices"
	"strings"
)

// The digest is one zstd frame. Its payload is a sequence of unsigned varints,
// the bytes of the string table apart; a flag is a varint of 0 or 1, a string is
// its number in the string table, and a list is its length followed by its items.
// Lists that recur (the invariants, types and targets of an element) are pooled:
// written once, then referred to by number. In order:
//
//	magic           the 5 bytes of Magic, the last of which numbers the layout
//	string table    list of byte lengths, then all the bytes; string 0 is ""
//	version         string
//	code systems    list of {url, version, caseSensitive, list of {code, display, parent+1}}
//	value sets      list of {url, version, list of {system, code}}
//	bindings        list of {strength, valueSet, value set+1}
//	invariants      list of {key, warning, human, expression}
//	invariant lists list of lists of invariants
//	target lists    list of lists of strings
//	type count      how many types follow further down, sorted by name
//	type lists      list of lists of {type, target list}
//	element count   the elements of all types together
//	types           for each {name, kind, abstract, base+1, primitive, invariant list, list of elements}
//	aliases         list of {name, type}
//	search          list of {url, code, type, bases, expression, targets, list of {definition, expression}}
//	compartments    list of {name, list of {resource type, list of parameter codes}}
//
// An element is {path, min, max+1, flags, binding+1, invariant list, type list,
// property names}: one companion name ("_birthDate") or, for a choice, one for
// each of its types. The name without a companion is the same string less its
// first byte, and the name of the element is the end of its path.

// Magic begins the unpacked digest. It is exported for the generator.
const Magic = "ocfs\x01"

// The flags of an element in the digest. They are exported for the generator.
const (
	FlagChoice = 1 << iota
	FlagSummary
	FlagModifier
	FlagAttribute
)

var errDigest = errors.New("digest is damaged")

// pools are the parts of a digest that types refer to by number.
type pools struct {
	bindings   []*Binding
	invariants [][]Invariant
	typeLists  [][]TypeRef
	types      []Type
	elements   []Element // not yet given out
	pointers   []*Element
}

func decode(payload []byte) (*Definitions, error) {
	rest, ok := strings.CutPrefix(string(payload), Magic)
	if !ok {
		return nil, errDigest
	}
	c := &cursor{s: rest}
	c.readStrings()
	d := &Definitions{Version: c.str()}
	d.CodeSystems = list(c, readCodeSystem)
	d.ValueSets = list(c, readValueSet)
	p := readPools(c, d)
	d.types = make(map[string]*Type, len(p.types)+2)
	names := make([][]string, 0, len(p.elements))
	for i := range p.types {
		names = readType(c, p, &p.types[i], names)
		d.types[p.types[i].Name] = &p.types[i]
	}
	for range c.count() {
		name := c.str()
		d.types[name] = pointerTo(c, p.types)
	}
	d.SearchParameters = list(c, readSearchParameter)
	d.compartments = readCompartments(c)
	if c.bad || c.s != "" {
		return nil, errDigest
	}
	d.list(p.types)
	link(p.types, names)
	return d, nil
}

// list fills the lists that are ordered by name, as p is.
func (d *Definitions) list(types []Type) {
	d.all = make([]*Type, len(types))
	for i := range types {
		t := &types[i]
		d.all[i] = t
		if t.Kind == KindResource && !t.Abstract {
			d.resources = append(d.resources, t)
		}
	}
	d.resources = slices.Clip(d.resources)
}

func readPools(c *cursor, d *Definitions) *pools {
	p := &pools{}
	p.bindings = list(c, func(c *cursor) *Binding {
		b := &Binding{Strength: Strength(c.uint()), ValueSet: c.str()}
		if n := c.uint(); n > 0 {
			b.Set = at(c, d.ValueSets, n-1)
		}
		return b
	})
	all := list(c, func(c *cursor) Invariant {
		return Invariant{Key: c.str(), Warning: c.flag(), Human: c.str(), Expression: c.str()}
	})
	p.invariants = list(c, func(c *cursor) []Invariant {
		return list(c, func(c *cursor) Invariant { return at(c, all, c.uint()) })
	})
	targets := list(c, readStrings)
	p.types = make([]Type, c.count())
	p.typeLists = list(c, func(c *cursor) []TypeRef {
		return list(c, func(c *cursor) TypeRef {
			return TypeRef{Type: pointerTo(c, p.types), Targets: at(c, targets, c.uint())}
		})
	})
	n := c.count()
	p.elements, p.pointers = make([]Element, n), make([]*Element, n)
	return p
}

func readType(c *cursor, p *pools, t *Type, names [][]string) [][]string {
	t.Name = c.str()
	t.Kind = Kind(c.uint())
	t.Abstract = c.flag()
	if n := c.uint(); n > 0 {
		t.Base = index(c, p.types, n-1)
	}
	t.Primitive = Primitive(c.uint())
	t.Invariants = at(c, p.invariants, c.uint())
	n := c.count()
	if n > len(p.elements) {
		c.bad = true
		return names
	}
	t.Elements, p.pointers = p.pointers[:n:n], p.pointers[n:]
	for i := range t.Elements {
		e := &p.elements[i]
		t.Elements[i] = e
		e.Order = i
		names = append(names, readElement(c, p, e))
	}
	p.elements = p.elements[n:]
	return names
}

func readElement(c *cursor, p *pools, e *Element) []string {
	e.Path = c.str()
	e.Min = c.uint()
	e.Max = c.uint() - 1
	flags := c.uint()
	e.Choice = flags&FlagChoice != 0
	e.Summary = flags&FlagSummary != 0
	e.Modifier = flags&FlagModifier != 0
	e.Attribute = flags&FlagAttribute != 0
	if n := c.uint(); n > 0 {
		e.Binding = at(c, p.bindings, n-1)
	}
	e.Invariants = at(c, p.invariants, c.uint())
	e.Types = at(c, p.typeLists, c.uint())
	e.Name = strings.TrimSuffix(e.Path[strings.LastIndexByte(e.Path, '.')+1:], "[x]")
	names := readStrings(c)
	want := 1
	if e.Choice {
		want = len(e.Types)
	}
	if len(names) != want || len(e.Types) == 0 || slices.Contains(names, "") {
		c.bad = true
	}
	return names
}

func readCodeSystem(c *cursor) *CodeSystem {
	return &CodeSystem{
		URL:           c.str(),
		Version:       c.str(),
		CaseSensitive: c.flag(),
		Concepts: list(c, func(c *cursor) Concept {
			return Concept{Code: c.str(), Display: c.str(), Parent: c.uint() - 1}
		}),
	}
}

func readValueSet(c *cursor) *ValueSet {
	v := &ValueSet{URL: c.str(), Version: c.str()}
	v.Codes = list(c, func(c *cursor) Coding { return Coding{System: c.str(), Code: c.str()} })
	v.codes = make(map[string]struct{}, len(v.Codes))
	for _, x := range v.Codes {
		v.codes[x.Code] = struct{}{}
	}
	return v
}

func readSearchParameter(c *cursor) *SearchParameter {
	return &SearchParameter{
		URL:        c.str(),
		Code:       c.str(),
		Type:       c.str(),
		Base:       readStrings(c),
		Expression: c.str(),
		Targets:    readStrings(c),
		Components: list(c, func(c *cursor) Component {
			return Component{Definition: c.str(), Expression: c.str()}
		}),
	}
}

func readCompartments(c *cursor) map[string]map[string][]string {
	n := c.count()
	m := make(map[string]map[string][]string, n)
	for range n {
		name, k := c.str(), c.count()
		params := make(map[string][]string, k)
		for range k {
			code := c.str()
			params[code] = readStrings(c)
		}
		m[name] = params
	}
	return m
}

func readStrings(c *cursor) []string { return list(c, (*cursor).str) }
