package terminology

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

const (
	maxUnpaged = 10_000  // codes of an expansion without a count
	maxFilter  = 500     // bytes of the words that are looked for
	maxKept    = 100_000 // codes of all expansions that are kept for the next page
)

// An ExpandRequest is what $expand is asked.
// https://hl7.org/fhir/R4/valueset-operation-expand.html
type ExpandRequest struct {
	URL      string                 // canonical URL of the value set, with or without |version
	ValueSet *definition.Definition // given in the request; it goes before URL
	Filter   string                 // words that all begin a word of a display, a designation or the code
	Offset   int                    // codes that are left out at the beginning
	Count    *int                   // codes at most; nil is all, 0 asks for the total alone

	ActiveOnly          bool     // without the codes that are inactive
	IncludeDesignations bool     // with the designations
	Designations        []string // only those: a language, or "system|code" of a use; nil is all
	DisplayLanguage     string   // of the displays, where there is a designation in it
}

// An Expansion is a page of the codes of a value set.
type Expansion struct {
	Identifier string // "urn:uuid:…", another one each time
	Timestamp  time.Time
	Total      int // of all pages
	Offset     int
	Unclosed   bool // a code system that it draws on has codes that are not known here
	Parameters []Parameter
	Contains   []Contained

	valueSet fhir.Node // zero for one that a code system defines by its URL alone
	url      string
}

// A Parameter is something by which an Expansion was made.
type Parameter struct {
	Name  string
	Kind  string // type of the value: "uri", "string", "code", "boolean", "integer"
	Value string
}

// A Contained is one code of an Expansion.
type Contained struct {
	Coding
	Abstract     bool
	Inactive     bool
	Designations []Designation
}

// A Designation is another word for a code.
type Designation struct {
	Language string // may be empty
	Use      Coding // zero when it is not said
	Value    string
}

// Expand lists the codes of a value set, or a page of them: in the order of its
// includes, and within them in that of their lists or of the code system, each code
// once. The list is flat. lockedDate is not looked at; a parameter says so. A code
// system of which only a part is known gives what is known of it, and the expansion
// says that it is unclosed. The error is an Outcome when the value set is not known
// (fhir.Unknown), when something it draws on is not known, or when there are more
// than 10,000 codes without a count or more than 100,000 to be looked at (too-costly).
func (s *Service) Expand(ctx context.Context, r ExpandRequest) (*Expansion, error) {
	v, err := s.requested(ctx, r.URL, r.ValueSet)
	if err != nil {
		return nil, err
	}
	if r.Offset < 0 || r.Count != nil && *r.Count < 0 {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "Give an offset and a count that are not negative.")
	}
	if len(r.Filter) > maxFilter {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.TooLong, "", "Give a filter of at most %d bytes.", maxFilter)
	}
	if r.DisplayLanguage != "" && !validLanguage(r.DisplayLanguage) {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "Give one language tag of BCP 47 as displayLanguage, such as en-GB.")
	}
	p, err := s.page(ctx, v, r)
	if err != nil {
		return nil, fmt.Errorf("expand value set: %w", err)
	}
	e := &Expansion{
		Identifier: newUUID(), Timestamp: s.now(), Total: p.total, Offset: r.Offset, Unclosed: len(p.parts) > 0,
		Parameters: append(r.parameters(), p.parameters(v)...), valueSet: v.root, url: v.url,
		Contains: make([]Contained, len(p.members)),
	}
	for i, m := range p.members {
		e.Contains[i] = r.contained(m, p.languages[m.system])
	}
	return e, nil
}

// requested returns the value set of a request. The error is an Outcome when it is not
// known.
func (s *Service) requested(ctx context.Context, url string, given *definition.Definition) (*composed, error) {
	if given != nil {
		return s.composed(given)
	}
	v, err := s.listable(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("find value set: %w", err)
	}
	if v == nil {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Name a value set that is known here; %q is not.", url)
	}
	return v, nil
}

// A page is what an expansion is made of.
type page struct {
	members   []memberOf
	total     int
	used      *sources
	parts     map[string]bool
	languages map[string]string // of the displays of code systems, by URL
}

func (s *Service) page(ctx context.Context, v *composed, r ExpandRequest) (*page, error) {
	if v.isSelection() {
		return s.direct(ctx, v, r)
	}
	p, err := s.all(ctx, computedKey{v, strings.Join(wordsOf(r.Filter), " "), r.ActiveOnly})
	if err != nil {
		return nil, err
	}
	if r.Count == nil && p.total-r.Offset > maxUnpaged {
		return nil, tooLong()
	}
	cut := *p
	from := min(r.Offset, len(p.members))
	to := len(p.members)
	if r.Count != nil {
		to = min(to-from, *r.Count) + from
	}
	cut.members = p.members[from:to]
	return &cut, nil
}

// isSelection reports whether v is a part of one code system and nothing else.
func (v *composed) isSelection() bool {
	if len(v.includes) != 1 || len(v.excludes) > 0 || v.problem != "" {
		return false
	}
	k := v.includes[0]
	return k.system != "" && !k.listed && len(k.sets) == 0
}

func tooLong() *fhir.Outcome {
	return fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Ask for pages with offset and count, or narrow it down with filter; there are more than %d codes.", maxUnpaged)
}

// direct lists a value set that is a part of one code system and nothing else: the
// code system has only the page to find.
func (s *Service) direct(ctx context.Context, v *composed, r ExpandRequest) (*page, error) {
	g, k := s.gathering(computedKey{}, 0), v.includes[0]
	sys, err := g.systemOf(ctx, v, k, "")
	if err != nil {
		return nil, fmt.Errorf("find code system: %w", err)
	}
	if isAbsent(sys) {
		return nil, notLoaded(k)
	}
	if !g.afford(k, sys) {
		return nil, tooMuch(v)
	}
	want := selection{filters: k.filters, text: r.Filter, active: r.ActiveOnly || v.activeOnly, offset: r.Offset, count: maxUnpaged + 1}
	if r.Count != nil {
		want.count = min(*r.Count, maxGathered)
	}
	found, total, err := sys.pick(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("list code system: %w", err)
	}
	if r.Count == nil && len(found) > maxUnpaged {
		return nil, tooLong()
	}
	h := sys.head()
	if isPart(h) {
		g.parts[canonicalOf(k.system, h.version)] = true
	}
	p := &page{total: total, used: g.used, parts: g.parts, languages: languagesOf(g.used), members: make([]memberOf, len(found))}
	for i, c := range found {
		p.members[i] = memberOf{c, k.system, h.version}
	}
	return p, nil
}

// A computedKey names a list of codes that was computed.
type computedKey struct {
	of     *composed
	text   string
	active bool
}

// all lists all codes of a value set. The list is kept for the next page, as long as
// nothing that it draws on changes.
func (s *Service) all(ctx context.Context, key computedKey) (*page, error) {
	if p, ok := s.computed.get(key); ok {
		current, err := s.current(ctx, p.used)
		if err != nil || current {
			return p, err
		}
	}
	g := s.gathering(key, maxGathered)
	if err := g.set(ctx, key.of, g.add); err != nil {
		return nil, err
	}
	p := &page{members: g.found, total: len(g.found), used: g.used, parts: g.parts, languages: languagesOf(g.used)}
	s.computed.put(key, p, 1+len(g.found))
	return p, nil
}

// current reports whether what a list draws on is what it was.
func (s *Service) current(ctx context.Context, used *sources) (bool, error) {
	for name, before := range used.systems {
		now, err := s.system(ctx, name.url, name.version)
		if err != nil || now != before {
			return false, err
		}
	}
	for url, before := range used.sets {
		now, err := s.valueSet(ctx, url)
		if err != nil || now != before {
			return false, err
		}
	}
	return true, nil
}

func languagesOf(used *sources) map[string]string {
	languages := map[string]string{}
	for name, sys := range used.systems {
		if sys != nil {
			languages[name.url] = sys.head().language
		}
	}
	return languages
}

// parameters returns those of the request that shape the expansion.
func (r *ExpandRequest) parameters() []Parameter {
	var all []Parameter
	add := func(given bool, name, kind, value string) {
		if given {
			all = append(all, Parameter{name, kind, strings.Map(printable, value)})
		}
	}
	add(r.Filter != "", "filter", "string", r.Filter)
	add(r.Offset > 0, "offset", "integer", fmt.Sprint(r.Offset))
	if r.Count != nil {
		add(true, "count", "integer", fmt.Sprint(*r.Count))
	}
	add(r.ActiveOnly, "activeOnly", "boolean", "true")
	add(r.IncludeDesignations, "includeDesignations", "boolean", "true")
	for _, d := range r.Designations {
		add(true, "designation", "string", d)
	}
	add(r.DisplayLanguage != "", "displayLanguage", "code", r.DisplayLanguage)
	return append(all, Parameter{"excludeNested", "boolean", "true"})
}

// printable replaces what a string of FHIR may not hold.
func printable(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// parameters returns the versions of what the expansion draws on, and what it could
// not heed.
func (p *page) parameters(v *composed) []Parameter {
	var all []Parameter
	versions := map[string]bool{}
	for name, sys := range p.used.systems {
		if sys != nil && sys.head().version != "" {
			versions[canonicalOf(name.url, sys.head().version)] = true
		}
	}
	for _, url := range slices.Sorted(maps.Keys(versions)) {
		all = append(all, Parameter{"version", "uri", url})
	}
	for _, url := range slices.Sorted(maps.Keys(p.parts)) {
		all = append(all, Parameter{"fragment", "uri", url})
	}
	if v.dated {
		all = append(all, Parameter{"warning", "string", "The date that the value set is locked to was not looked at."})
	}
	return all
}

func (r *ExpandRequest) contained(m memberOf, language string) Contained {
	c := Contained{Coding: Coding{m.system, m.version, m.code, displayIn(&m.concept, r.DisplayLanguage, language)}, Abstract: m.abstract, Inactive: m.inactive}
	if !r.IncludeDesignations && len(r.Designations) == 0 {
		return c
	}
	for _, d := range m.designations {
		if r.wants(d) {
			c.Designations = append(c.Designations, Designation{d.language, d.use, d.value})
		}
	}
	return c
}

func (r *ExpandRequest) wants(d designation) bool {
	return len(r.Designations) == 0 || slices.ContainsFunc(r.Designations, func(token string) bool {
		system, code, use := strings.Cut(token, "|")
		if use && system != "urn:ietf:bcp:47" {
			return d.use.Code == code && (system == "" || d.use.System == system)
		}
		return d.language != "" && inLanguage(d.language, cmp.Or(code, system))
	})
}

// displayIn returns the display of c in a language, or the one it has.
func displayIn(c *concept, wanted, has string) string {
	if wanted == "" || inLanguage(has, wanted) {
		return c.display
	}
	for _, d := range c.designations {
		if inLanguage(d.language, wanted) {
			return d.value
		}
	}
	return c.display
}

// inLanguage reports whether a language is the wanted one, or a kind of it.
func inLanguage(language, wanted string) bool {
	return len(language) >= len(wanted) && wanted != "" && strings.EqualFold(language[:len(wanted)], wanted) &&
		(len(language) == len(wanted) || language[len(wanted)] == '-')
}

func (s *Service) now() time.Time {
	if s.config.Now != nil {
		return s.config.Now()
	}
	return time.Now()
}

// newUUID returns a random identifier. https://www.rfc-editor.org/rfc/rfc9562#section-5.4
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
