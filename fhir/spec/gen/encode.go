package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/openconsult/openconsult/fhir/spec"
)

// writer writes varints; decode.go of package spec has the layout.
type writer struct{ b []byte }

func (w *writer) uint(n int) { w.b = binary.AppendUvarint(w.b, uint64(n)) }

func (w *writer) flag(v bool) {
	if v {
		w.uint(1)
		return
	}
	w.uint(0)
}

// pool numbers distinct items by first appearance.
type pool struct {
	numbers map[string]int
	items   []string
}

func (p *pool) number(item string) int {
	n, ok := p.numbers[item]
	if !ok {
		if p.numbers == nil {
			p.numbers = make(map[string]int)
		}
		n = len(p.items)
		p.numbers[item] = n
		p.items = append(p.items, item)
	}
	return n
}

// appendTo writes the pool as a list.
func (p *pool) appendTo(w *writer) {
	w.uint(len(p.items))
	for _, item := range p.items {
		w.b = append(w.b, item...)
	}
}

// encoder collects what is pooled while it writes the rest.
type encoder struct {
	m              *model
	text           pool
	bindings       pool
	invariants     pool
	invariantLists pool
	targetLists    pool
	typeLists      pool
	types          map[string]int
	valueSets      map[string]int
	elements       int
}

func encode(m *model) ([]byte, error) {
	e := &encoder{m: m, types: make(map[string]int), valueSets: make(map[string]int)}
	e.text.number("")
	sorted := m.sortedTypes()
	for i, t := range sorted {
		e.types[t.name] = i
	}
	for i, v := range m.valueSets {
		e.valueSets[v.URL] = i
	}
	var types, body writer
	for _, t := range sorted {
		e.typ(&types, t)
	}
	e.terminology(&body)
	for _, p := range []*pool{&e.bindings, &e.invariants, &e.invariantLists, &e.targetLists} {
		p.appendTo(&body)
	}
	body.uint(len(sorted))
	e.typeLists.appendTo(&body)
	body.uint(e.elements)
	body.b = append(body.b, types.b...)
	e.rest(&body)
	return compress(e.header(body.b))
}

// header puts magic and string table before the body.
func (e *encoder) header(body []byte) []byte {
	w := &writer{b: []byte(spec.Magic)}
	w.uint(len(e.text.items))
	for _, s := range e.text.items {
		w.uint(len(s))
	}
	for _, s := range e.text.items {
		w.b = append(w.b, s...)
	}
	return append(w.b, body...)
}

func compress(payload []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("open zstd encoder: %w", err)
	}
	return z.EncodeAll(payload, nil), nil
}

func (e *encoder) str(w *writer, s string) { w.uint(e.text.number(s)) }

func (e *encoder) strs(w *writer, list []string) {
	w.uint(len(list))
	for _, s := range list {
		e.str(w, s)
	}
}

func (e *encoder) typ(w *writer, t *typ) {
	e.str(w, t.name)
	w.uint(int(t.kind))
	w.flag(t.abstract)
	base := 0
	if t.base != "" {
		base = e.types[t.base] + 1
	}
	w.uint(base)
	w.uint(int(t.primitive))
	w.uint(e.invariantList(t.invariants))
	w.uint(len(t.elements))
	e.elements += len(t.elements)
	for _, x := range t.elements {
		e.element(w, x)
	}
}

func (e *encoder) element(w *writer, x *element) {
	e.str(w, x.path)
	w.uint(x.min)
	w.uint(x.max + 1)
	w.uint(flags(x))
	w.uint(e.binding(x))
	w.uint(e.invariantList(x.invariants))
	w.uint(e.typeList(x.types))
	var names []string
	for _, ref := range x.types {
		names = append(names, "_"+x.variant(ref))
	}
	e.strs(w, names)
}

func flags(x *element) int {
	n := 0
	for _, f := range []struct {
		bit int
		set bool
	}{
		{spec.FlagChoice, x.choice},
		{spec.FlagSummary, x.summary},
		{spec.FlagModifier, x.modifier},
		{spec.FlagAttribute, x.attribute},
	} {
		if f.set {
			n |= f.bit
		}
	}
	return n
}

// binding returns the number of the binding of x plus one, or 0 without one.
func (e *encoder) binding(x *element) int {
	if x.strength == 0 {
		return 0
	}
	var w writer
	w.uint(int(x.strength))
	e.str(&w, x.valueSet)
	set := 0
	if v := e.m.bindings[x.valueSet]; v != nil && x.strength == spec.Required {
		set = e.valueSets[v.URL] + 1
	}
	w.uint(set)
	return e.bindings.number(string(w.b)) + 1
}

func (e *encoder) invariantList(list []spec.Invariant) int {
	var w writer
	w.uint(len(list))
	for _, x := range list {
		var item writer
		e.str(&item, x.Key)
		item.flag(x.Warning)
		e.str(&item, x.Human)
		e.str(&item, x.Expression)
		w.uint(e.invariants.number(string(item.b)))
	}
	return e.invariantLists.number(string(w.b))
}

func (e *encoder) typeList(refs []typeRef) int {
	var w writer
	w.uint(len(refs))
	for _, ref := range refs {
		var targets writer
		e.strs(&targets, ref.targets)
		w.uint(e.types[ref.name])
		w.uint(e.targetLists.number(string(targets.b)))
	}
	return e.typeLists.number(string(w.b))
}

func (e *encoder) terminology(w *writer) {
	e.str(w, e.m.version)
	w.uint(len(e.m.codeSystems))
	for _, c := range e.m.codeSystems {
		e.str(w, c.URL)
		e.str(w, c.Version)
		w.flag(c.CaseSensitive)
		w.uint(len(c.Concepts))
		for _, x := range c.Concepts {
			e.str(w, x.Code)
			e.str(w, x.Display)
			w.uint(x.Parent + 1)
		}
	}
	w.uint(len(e.m.valueSets))
	for _, v := range e.m.valueSets {
		e.str(w, v.URL)
		e.str(w, v.Version)
		w.uint(len(v.Codes))
		for _, x := range v.Codes {
			e.str(w, x.System)
			e.str(w, x.Code)
		}
	}
}

// rest writes what follows the types.
func (e *encoder) rest(w *writer) {
	w.uint(len(e.m.aliases))
	for _, alias := range slices.Sorted(maps.Keys(e.m.aliases)) {
		e.str(w, alias)
		w.uint(e.types[e.m.aliases[alias]])
	}
	w.uint(len(e.m.parameters))
	for _, p := range e.m.parameters {
		for _, s := range []string{p.URL, p.Code, p.Type} {
			e.str(w, s)
		}
		e.strs(w, p.Base)
		e.str(w, p.Expression)
		e.strs(w, p.Targets)
		w.uint(len(p.Components))
		for _, c := range p.Components {
			e.str(w, c.Definition)
			e.str(w, c.Expression)
		}
	}
	w.uint(len(e.m.compartments))
	for _, c := range e.m.compartments {
		e.str(w, c.Code)
		w.uint(len(c.Resource))
		for _, r := range c.Resource {
			e.str(w, r.Code)
			e.strs(w, r.Param)
		}
	}
}
