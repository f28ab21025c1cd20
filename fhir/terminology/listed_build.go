package terminology

import (
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// standardProperties begins the URI of a property that means the same in every code
// system. https://hl7.org/fhir/R4/codesystem-concept-properties.html
const standardProperties = "http://hl7.org/fhir/concept-properties#"

// headerOf returns what a CodeSystem says of itself.
func headerOf(d *definition.Definition, root fhir.Node) header {
	h := header{
		url: d.URL, version: d.Version,
		name:          root.Child("name").Text(),
		title:         root.Child("title").Text(),
		content:       root.Child("content").Text(),
		caseSensitive: root.Child("caseSensitive").Text() == "true",
		hierarchy:     root.Child("hierarchyMeaning").Text(),
		language:      root.Child("language").Text(),
		supplements:   root.Child("supplements").Text(),
	}
	h.count, _ = strconv.Atoi(root.Child("count").Text())
	return h
}

// listOf makes a code system that is kept in memory of a CodeSystem.
func listOf(d *definition.Definition, root fhir.Node) *listed {
	b := builder{meanings: meanings(root)}
	b.concepts(root, "")
	l := newListed(headerOf(d, root), b.all)
	for p := range root.Each("property") {
		l.allowed[p.Child("code").Text()] = true
	}
	return l
}

// newListed makes a code system of concepts that name their parents. Of concepts with
// the same code the first counts.
func newListed(h header, all []concept) *listed {
	l := &listed{h: h, exact: make(map[string]int32, len(all)), allowed: map[string]bool{}}
	l.all = slices.DeleteFunc(all, func(c concept) bool {
		if _, twice := l.exact[c.code]; twice || c.code == "" {
			return true
		}
		l.exact[c.code] = int32(len(l.exact))
		return false
	})
	l.h.count = len(l.all)
	if !h.caseSensitive {
		l.fold()
	}
	l.connect()
	return l
}

// fold lets codes be found in any case. Of those that differ in nothing else the
// first is found.
func (l *listed) fold() {
	l.folded = make(map[string]int32, len(l.all))
	for i, c := range l.all {
		low := strings.ToLower(c.code)
		if _, twice := l.folded[low]; !twice {
			l.folded[low] = int32(i)
		}
	}
}

// connect makes the hierarchy of what concepts say of their parents and children.
func (l *listed) connect() {
	l.up, l.down = make([][]int32, len(l.all)), make([][]int32, len(l.all))
	for i := range l.all {
		c := &l.all[i]
		for _, code := range c.parents {
			l.edge(code, c.code)
		}
		for _, p := range c.properties {
			l.allowed[p.code] = true
			switch p.code {
			case "parent":
				l.edge(p.value, c.code)
			case "child":
				l.edge(c.code, p.value)
			}
		}
	}
	for i := range l.all {
		l.all[i].parents = make([]string, 0, len(l.up[i]))
		for _, p := range l.up[i] {
			l.all[i].parents = append(l.all[i].parents, l.all[p].code)
		}
	}
}

func (l *listed) edge(parent, child string) {
	p, ok := l.find(parent)
	if !ok {
		return
	}
	c, ok := l.find(child)
	if !ok || c == p || slices.Contains(l.up[c], p) {
		return
	}
	l.up[c] = append(l.up[c], p)
	l.down[p] = append(l.down[p], c)
}

// A builder collects the concepts of a CodeSystem.
type builder struct {
	meanings map[string]string // standard property by the code it has here
	all      []concept
}

// meanings finds the standard properties that a code system has given codes of its
// own.
func meanings(root fhir.Node) map[string]string {
	found := map[string]string{}
	for p := range root.Each("property") {
		if standard, ok := strings.CutPrefix(p.Child("uri").Text(), standardProperties); ok {
			found[p.Child("code").Text()] = standard
		}
	}
	return found
}

// concepts collects those below n, each before its children.
func (b *builder) concepts(n fhir.Node, parent string) {
	for child := range n.Each("concept") {
		c := concept{code: child.Child("code").Text(), display: child.Child("display").Text(), definition: child.Child("definition").Text()}
		if parent != "" {
			c.parents = []string{parent}
		}
		for d := range child.Each("designation") {
			c.designations = append(c.designations, designationOf(d))
		}
		for p := range child.Each("property") {
			b.property(&c, p)
		}
		b.all = append(b.all, c)
		b.concepts(child, c.code)
	}
}

func (b *builder) property(c *concept, n fhir.Node) {
	v := n.Child("value")
	if v.IsZero() {
		return
	}
	p := property{code: n.Child("code").Text(), kind: v.Type().Name, value: v.Text()}
	if p.kind == "Coding" {
		p.value = v.Child("system").Text() + "|" + v.Child("code").Text()
	}
	meaning := p.code
	if standard, ok := b.meanings[p.code]; ok {
		meaning = standard
		if standard == "parent" || standard == "child" {
			p.code = standard
		}
	}
	c.properties = append(c.properties, p)
	c.state(meaning, p.value)
}

// state takes over what a property says of whether a concept may be used. What is
// deprecated may be.
func (c *concept) state(property, value string) {
	switch property {
	case "inactive", "retired":
		c.inactive = c.inactive || value != "false"
	case "status":
		c.inactive = c.inactive || value == "retired" || value == "inactive" || value == "withdrawn"
	case "notSelectable", "abstract":
		c.abstract = c.abstract || value == "true"
	}
}

func designationOf(n fhir.Node) designation {
	return designation{language: n.Child("language").Text(), use: codingOf(n.Child("use")), value: n.Child("value").Text()}
}

func codingOf(n fhir.Node) Coding {
	return Coding{System: n.Child("system").Text(), Version: n.Child("version").Text(), Code: n.Child("code").Text(), Display: n.Child("display").Text()}
}
