package terminology

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// A conceptMap is a ConceptMap made ready to be asked.
// https://hl7.org/fhir/R4/conceptmap.html
type conceptMap struct {
	canonical      string
	source, target string // canonical URLs of value sets
	groups         []*mapGroup
}

// A mapGroup maps codes of one code system to those of another.
type mapGroup struct {
	source, target Coding // without codes
	forth          map[string][]mapping
	back           map[string][]mapping
	unmapped       unmapped
}

// A mapping is one target of a source code.
type mapping struct {
	source, target Coding
	equivalence    string
	comment        string
	dependsOn      []Dependency
	product        []Dependency
}

// An unmapped says what becomes of codes that are not mapped.
type unmapped struct {
	mode   string // "provided", "fixed", "other-map"; empty when nothing is said
	coding Coding
	url    string
}

// mapOf makes the ConceptMap d ready.
func (s *Service) mapOf(d *definition.Definition) (*conceptMap, error) {
	return s.maps.Get(d, func() (*conceptMap, error) {
		root, err := d.Root()
		if err != nil {
			return nil, err
		}
		m := &conceptMap{canonical: d.Canonical(), source: root.Child("source").Text(), target: root.Child("target").Text()}
		for n := range root.Each("group") {
			m.groups = append(m.groups, groupOf(n))
		}
		return m, nil
	})
}

func groupOf(n fhir.Node) *mapGroup {
	g := &mapGroup{
		source: Coding{System: n.Child("source").Text(), Version: n.Child("sourceVersion").Text()},
		target: Coding{System: n.Child("target").Text(), Version: n.Child("targetVersion").Text()},
		forth:  map[string][]mapping{}, back: map[string][]mapping{},
	}
	for element := range n.Each("element") {
		for target := range element.Each("target") {
			g.add(element, target)
		}
	}
	if u := n.Child("unmapped"); !u.IsZero() {
		g.unmapped = unmapped{mode: u.Child("mode").Text(), coding: g.target, url: u.Child("url").Text()}
		g.unmapped.coding.Code, g.unmapped.coding.Display = u.Child("code").Text(), u.Child("display").Text()
	}
	return g
}

func (g *mapGroup) add(element, target fhir.Node) {
	m := mapping{
		source: g.source, target: g.target, equivalence: target.Child("equivalence").Text(), comment: target.Child("comment").Text(),
		dependsOn: dependenciesOf(target, "dependsOn"), product: dependenciesOf(target, "product"),
	}
	m.source.Code, m.source.Display = element.Child("code").Text(), element.Child("display").Text()
	m.target.Code, m.target.Display = target.Child("code").Text(), target.Child("display").Text()
	g.forth[m.source.Code] = append(g.forth[m.source.Code], m)
	if m.target.Code != "" {
		g.back[m.target.Code] = append(g.back[m.target.Code], m)
	}
}

func dependenciesOf(n fhir.Node, name string) []Dependency {
	var all []Dependency
	for d := range n.Each(name) {
		all = append(all, Dependency{Element: d.Child("property").Text(), Coding: Coding{
			System: d.Child("system").Text(), Code: d.Child("value").Text(), Display: d.Child("display").Text()}})
	}
	return all
}

// reversed returns m the other way round.
func (m mapping) reversed() mapping {
	m.source, m.target = m.target, m.source
	m.dependsOn, m.product = m.product, m.dependsOn
	switch m.equivalence {
	case "wider":
		m.equivalence = "narrower"
	case "narrower":
		m.equivalence = "wider"
	case "subsumes":
		m.equivalence = "specializes"
	case "specializes":
		m.equivalence = "subsumes"
	}
	return m
}

// isMatch reports whether m says that there is something to translate to.
func (m *mapping) isMatch() bool {
	return m.target.Code != "" && m.equivalence != "unmatched" && m.equivalence != "disjoint"
}

// holds reports whether everything that m depends on is among given.
func (m *mapping) holds(given []Dependency) bool {
	for _, d := range m.dependsOn {
		if !d.isAmong(given) {
			return false
		}
	}
	return true
}

func (d Dependency) isAmong(given []Dependency) bool {
	for _, g := range given {
		if g.Element == d.Element && g.Coding.Code == d.Coding.Code && (d.Coding.System == "" || g.Coding.System == "" || g.Coding.System == d.Coding.System) {
			return true
		}
	}
	return false
}
