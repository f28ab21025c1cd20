package terminology

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// A Translation is a question about what codes are in another code system or value
// set. https://hl7.org/fhir/R4/conceptmap-operation-translate.html
type Translation struct {
	URL string                 // canonical URL of the ConceptMap; may be empty
	Map *definition.Definition // the ConceptMap itself; may be nil

	// Where no map is named, these choose among those that Maps lists. Reverse swaps
	// the meaning of Source and Target.
	Source       string // value set of the codes, by its canonical URL
	Target       string // value set to translate to
	TargetSystem string // code system to translate to
	Maps         func(context.Context) ([]*definition.Definition, error)

	Codings      []Coding // at least one; a code without a system is looked for in all of a map
	Dependencies []Dependency
	Reverse      bool
}

// A Dependency is a value of another element that a mapping depends on, or that comes
// with it.
type Dependency struct {
	Element string // URI
	Coding  Coding // the value; a text is its Code
}

// A Translated is the answer to a Translation.
type Translated struct {
	Result  bool   // whether there is a match that is neither unmatched nor disjoint
	Message string // why not; empty if so
	Matches []Match
}

// A Match is a code that another one translates to.
type Match struct {
	Equivalence string // of https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html, read from the code asked for to this one
	Coding      Coding // without a Code if it is said that there is none
	Products    []Dependency
	Source      string // canonical URL of the ConceptMap
	Comment     string // may be empty
}

// The bounds of a translation.
const (
	mostMatches = 1000
	mostMaps    = 1000
	mostAsked   = 20 // of them for one code, because one says to ask the next
)

// Translate translates codes. The error is an Outcome when no map can be found for
// them, or nothing is asked.
func (s *Service) Translate(ctx context.Context, ask Translation) (Translated, error) {
	if len(ask.Codings) == 0 {
		return Translated{}, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Name a code to translate: code with system, coding, or codeableConcept.")
	}
	for _, c := range ask.Codings {
		if c.Code == "" {
			return Translated{}, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Give every coding that is to be translated a code.")
		}
	}
	maps, err := s.mapsFor(ctx, ask)
	if err != nil {
		return Translated{}, err
	}
	t := translator{service: s, ask: ask}
	for _, m := range maps {
		for _, c := range ask.Codings {
			t.asked = nil
			if err := t.translate(ctx, m, c); err != nil {
				return Translated{}, err
			}
		}
	}
	if !t.answer.Result {
		t.answer.Message = "No map that was asked has a match for this code."
	}
	return t.answer, nil
}

// mapsFor returns the maps that ask is for.
func (s *Service) mapsFor(ctx context.Context, ask Translation) ([]*conceptMap, error) {
	d := ask.Map
	if d == nil && ask.URL != "" {
		var err error
		if d, err = s.find(ctx, "ConceptMap", ask.URL); err != nil {
			return nil, err
		}
		if d == nil {
			return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Name a ConceptMap that is here; %s is not.", ask.URL)
		}
	}
	if d != nil {
		m, err := s.mapOf(d)
		return []*conceptMap{m}, err
	}
	if ask.Maps == nil || ask.Source == "" && ask.Target == "" && ask.TargetSystem == "" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Name the ConceptMap with url, or say what to translate to with target or targetsystem.")
	}
	return s.candidates(ctx, ask)
}

// candidates returns those of all maps that fit ask.
func (s *Service) candidates(ctx context.Context, ask Translation) ([]*conceptMap, error) {
	all, err := ask.Maps(ctx)
	if err != nil {
		return nil, err
	}
	var fitting []*conceptMap
	for _, d := range all[:min(len(all), mostMaps)] {
		if d.Status == "retired" {
			continue
		}
		m, err := s.mapOf(d)
		if err != nil {
			return nil, err
		}
		if m.fits(ask) {
			fitting = append(fitting, m)
		}
	}
	if len(fitting) == 0 {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "No ConceptMap that is here is for these value sets and code systems; store one, or name one with url.")
	}
	return fitting, nil
}

// fits reports whether m is between the value sets and code systems of ask.
func (m *conceptMap) fits(ask Translation) bool {
	source, target := m.source, m.target
	if ask.Reverse {
		source, target = target, source
	}
	if !sameCanonical(ask.Source, source) || !sameCanonical(ask.Target, target) {
		return false
	}
	for _, g := range m.groups {
		for _, c := range ask.Codings {
			if g.takes(c, ask) {
				return true
			}
		}
	}
	return false
}

// sameCanonical reports whether a canonical URL is one that is asked for, in any
// version if none is asked for. Nothing asked for is every one.
func sameCanonical(asked, has string) bool {
	if asked == "" || asked == has {
		return true
	}
	has, _, _ = strings.Cut(has, "|")
	return asked == has
}

// takes reports whether g may translate c to what is asked for.
func (g *mapGroup) takes(c Coding, ask Translation) bool {
	source, target := g.source, g.target
	if ask.Reverse {
		source, target = target, source
	}
	return (c.System == "" || source.System == "" || c.System == source.System) &&
		(c.Version == "" || source.Version == "" || c.Version == source.Version) &&
		(ask.TargetSystem == "" || ask.TargetSystem == target.System)
}

// A translator gathers the answer to a Translation.
type translator struct {
	service *Service
	ask     Translation
	answer  Translated
	asked   []*conceptMap // for the code at hand
}

// translate adds the matches of m for c, unless it was asked already.
func (t *translator) translate(ctx context.Context, m *conceptMap, c Coding) error {
	if slices.Contains(t.asked, m) || len(t.asked) >= mostAsked {
		return nil
	}
	t.asked = append(t.asked, m)
	for _, g := range m.groups {
		if !g.takes(c, t.ask) {
			continue
		}
		if t.mapped(m, g, c) || t.ask.Reverse {
			continue
		}
		if err := t.unmapped(ctx, m, g, c); err != nil {
			return err
		}
	}
	return nil
}

// mapped adds what g says of c, and reports whether it says anything.
func (t *translator) mapped(m *conceptMap, g *mapGroup, c Coding) bool {
	all := g.forth[c.Code]
	if t.ask.Reverse {
		all = g.back[c.Code]
	}
	said := false
	for _, x := range all {
		if t.ask.Reverse {
			x = x.reversed()
		}
		if x.holds(t.ask.Dependencies) {
			said = true
			t.add(m, x)
		}
	}
	return said
}

// add adds a match, unless it is there already.
func (t *translator) add(m *conceptMap, x mapping) {
	if len(t.answer.Matches) >= mostMatches {
		return
	}
	found := Match{Equivalence: x.equivalence, Coding: x.target, Products: x.product, Source: m.canonical, Comment: x.comment}
	if x.target.Code == "" {
		found.Coding = Coding{}
	}
	for _, known := range t.answer.Matches {
		if known.Coding == found.Coding && known.Equivalence == found.Equivalence && known.Source == found.Source && len(known.Products)+len(found.Products) == 0 {
			return
		}
	}
	t.answer.Matches = append(t.answer.Matches, found)
	t.answer.Result = t.answer.Result || x.isMatch()
}

// unmapped does what a group says is to be done with codes that it does not map.
// https://hl7.org/fhir/R4/conceptmap-definitions.html#ConceptMap.group.unmapped.mode
func (t *translator) unmapped(ctx context.Context, m *conceptMap, g *mapGroup, c Coding) error {
	switch u := g.unmapped; u.mode {
	case "provided":
		same := Coding{System: cmp.Or(g.target.System, c.System), Version: g.target.Version, Code: c.Code, Display: c.Display}
		t.add(m, mapping{target: same, equivalence: "equal"})
	case "fixed":
		t.add(m, mapping{target: u.coding, equivalence: "relatedto"})
	case "other-map":
		d, err := t.service.find(ctx, "ConceptMap", u.url)
		if d == nil || err != nil {
			return err
		}
		other, err := t.service.mapOf(d)
		if err != nil {
			return err
		}
		return t.translate(ctx, other, c)
	}
	return nil
}
