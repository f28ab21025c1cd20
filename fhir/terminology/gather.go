package terminology

import (
	"cmp"
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
)

const (
	maxGathered = 100_000   // codes that are looked at for one expansion
	maxWork     = 5_000_000 // clauses and concepts that are looked at for one expansion
)

// A memberOf is one code of a value set.
type memberOf struct {
	concept
	system  string
	version string // of the code system; may be empty
}

type codeOf struct{ system, code string }

// A gathering lists the codes of a value set. It asks for each code that an include
// has what [asking] asks, so that both agree.
type gathering struct {
	asking
	text   words
	active bool
	most   int // codes that may be found
	looked int // at so many codes

	seen  map[codeOf]struct{}
	found []memberOf
	parts map[string]bool // code systems that are not known as a whole, by canonical URL
}

// A codeSystem names one.
type codeSystem struct{ url, version string }

// The sources of an expansion are what was looked at for it; nil what is not known.
type sources struct {
	systems map[codeSystem]system
	sets    map[string]*composed // by canonical URL
}

func (s *Service) gathering(key computedKey, most int) *gathering {
	used := &sources{map[codeSystem]system{}, map[string]*composed{}}
	return &gathering{
		asking: asking{s, maxWork, maxDepth, used}, text: wordsOf(key.text), active: key.active, most: most,
		seen: map[codeOf]struct{}{}, parts: map[string]bool{},
	}
}

// add is where the codes of the value set itself go.
func (g *gathering) add(_ context.Context, m memberOf) error {
	if g.active && m.inactive || !g.text.match(&m.concept) {
		return nil
	}
	key := codeOf{m.system, m.code}
	if _, twice := g.seen[key]; twice {
		return nil
	}
	if len(g.found) == g.most {
		return tooMany(fhir.Unprocessable, g.most)
	}
	g.seen[key] = struct{}{}
	g.found = append(g.found, m)
	return nil
}

// A sink takes the codes that are found, some of them twice.
type sink func(ctx context.Context, m memberOf) error

// set hands all codes of v on.
func (g *gathering) set(ctx context.Context, v *composed, to sink) error {
	if v.problem != "" {
		return unlistable("%s", v.problem)
	}
	if g.depth == 0 {
		return unlistable("The value set %s includes itself, or too many others; make it simpler.", v.url)
	}
	if g.steps--; g.steps < 0 {
		return tooMuch(v)
	}
	g.depth--
	defer func() { g.depth++ }()
	kept := func(ctx context.Context, m memberOf) error {
		if v.activeOnly && m.inactive {
			return nil
		}
		out, err := g.excluded(ctx, v, m)
		if err != nil || out {
			return err
		}
		return to(ctx, m)
	}
	for _, k := range v.includes {
		if err := g.include(ctx, v, k, kept); err != nil {
			return err
		}
	}
	return nil
}

func unlistable(format string, args ...any) *fhir.Outcome {
	return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", format, args...)
}

// excluded reports whether v excludes a code.
func (g *gathering) excluded(ctx context.Context, v *composed, m memberOf) (bool, error) {
	for _, k := range v.excludes {
		got, err := g.clause(ctx, v, k, Coding{System: m.system, Code: m.code})
		if err != nil {
			return false, err
		}
		if got.result == Undecided {
			return false, unlistable("%s", got.sentence())
		}
		if got.result == In {
			return true, nil
		}
	}
	return false, nil
}

// include hands all codes of k on that are in all value sets it imports.
func (g *gathering) include(ctx context.Context, v *composed, k *clause, to sink) error {
	sets := k.sets
	source := func(to sink) error { return g.own(ctx, v, k, to) }
	if k.system == "" && !k.listed {
		if len(sets) == 0 {
			return unlistable("Say what is included; an include of %s is empty.", v.url)
		}
		first, err := g.imported(ctx, v, sets[0])
		if err != nil {
			return err
		}
		sets = sets[1:]
		source = func(to sink) error { return g.set(ctx, first, to) }
	}
	return source(func(ctx context.Context, m memberOf) error {
		if g.looked++; g.looked > maxGathered {
			return tooMany(fhir.Unprocessable, maxGathered)
		}
		for _, url := range sets {
			got, err := g.asking.imported(ctx, v, url, Coding{System: m.system, Code: m.code})
			if err != nil || got.result == Out {
				return err
			}
			if got.result == Undecided {
				return unlistable("%s", got.sentence())
			}
		}
		return to(ctx, m)
	})
}

func (g *gathering) imported(ctx context.Context, v *composed, url string) (*composed, error) {
	other, err := g.importOf(ctx, v, url)
	if err != nil {
		return nil, fmt.Errorf("find value set: %w", err)
	}
	if other == nil {
		// What only the external server knows is asked for anew each time.
		other, err = g.listable(ctx, url)
		g.used.sets[url] = other
	}
	if err != nil {
		return nil, fmt.Errorf("ask for value set: %w", err)
	}
	if other == nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotFound, "", "Have the value set %s loaded; it is imported and not known here.", url)
	}
	return other, nil
}

// own hands the codes of k on, apart from the value sets that it imports.
func (g *gathering) own(ctx context.Context, v *composed, k *clause, to sink) error {
	sys, err := g.systemOf(ctx, v, k, "")
	if err != nil && (fhir.AsOutcome(err) == nil || !k.listed) {
		return fmt.Errorf("find code system: %w", err)
	}
	if k.listed {
		return g.named(ctx, k, sys, to)
	}
	if isAbsent(sys) {
		return notLoaded(k)
	}
	if !g.afford(k, sys) {
		return tooMuch(v)
	}
	all, total, err := sys.pick(ctx, selection{filters: k.filters, count: maxGathered - g.looked})
	if err != nil {
		return fmt.Errorf("list code system: %w", err)
	}
	if total > len(all) {
		return tooMany(fhir.Unprocessable, maxGathered)
	}
	version := sys.head().version
	if isPart(sys.head()) {
		g.parts[canonicalOf(k.system, version)] = true
	}
	for _, c := range all {
		if err := to(ctx, memberOf{c, k.system, version}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// afford counts the work of looking at all concepts of a code system in memory, and
// reports whether it may be done.
func (g *gathering) afford(k *clause, sys system) bool {
	l, ok := sys.(*listed)
	if !ok {
		return true
	}
	cost := 1
	for _, f := range k.filters {
		cost += f.cost()
	}
	g.steps -= len(l.all) * cost
	return g.steps >= 0
}

func tooMuch(v *composed) *fhir.Outcome {
	return fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Make the value set %s simpler; it includes too much to be listed.", v.url)
}

func notLoaded(k *clause) *fhir.Outcome {
	return fhir.Errorf(fhir.Unprocessable, fhir.NotFound, "", "Have the code system %s loaded; it is not known here.", canonicalOf(k.system, k.version))
}

// isPart reports whether a code system has codes that are not known here.
func isPart(h *header) bool { return h.content == "fragment" || h.content == "example" }

// named hands on the codes that k names. What the code system says of them counts,
// apart from what the value set says itself.
func (g *gathering) named(ctx context.Context, k *clause, sys system, to sink) error {
	if len(k.filters) > 0 {
		return unlistable("Name codes or filters in an include, and not both.")
	}
	known, err := details(ctx, k, sys)
	if err != nil {
		return fmt.Errorf("look up codes: %w", err)
	}
	version := k.version
	if sys != nil {
		version = cmp.Or(sys.head().version, version)
	}
	for _, item := range k.codes {
		c := item
		if full, ok := known[item.code]; ok {
			c = full
			c.display = cmp.Or(item.display, full.display)
			c.designations = append(item.designations[:len(item.designations):len(item.designations)], full.designations...)
			c.inactive, c.abstract = full.inactive || item.inactive, full.abstract || item.abstract
		}
		c.code = item.code
		if err := to(ctx, memberOf{c, k.system, version}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// details returns what a code system knows of the codes that k names, by the code as k
// writes it. An external server is not asked for each of them.
func details(ctx context.Context, k *clause, sys system) (map[string]concept, error) {
	if _, distant := sys.(*distant); sys == nil || distant {
		return nil, nil
	}
	codes := make([]string, len(k.codes))
	for i, c := range k.codes {
		codes[i] = c.code
	}
	all, _, err := sys.pick(ctx, selection{codes: codes, count: -1})
	if err != nil {
		return nil, err
	}
	known := make(map[string]concept, len(all))
	for _, c := range all {
		if item := k.find(c.code, sys.head().caseSensitive); item != nil {
			known[item.code] = c
		}
	}
	return known, nil
}
