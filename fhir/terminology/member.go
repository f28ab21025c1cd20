package terminology

import (
	"cmp"
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

const (
	maxDepth = 20     // of value sets in value sets
	maxSteps = 10_000 // clauses that are looked at for one coding
)

// An asking is one question about a coding.
type asking struct {
	*Service
	steps int      // left
	depth int      // left
	used  *sources // where it is noted what was looked at; nil if it need not be
}

func (s *Service) asking() asking { return asking{s, maxSteps, maxDepth, nil} }

// Member says whether one of codings is in a value set, which is named by its
// canonical URL. Displays are not looked at, and codes that are abstract are in.
// A code that is in it but inactive is In, with that as the reason. The error is never
// an Outcome.
func (s *Service) Member(ctx context.Context, valueSet string, codings ...Coding) (Verdict, error) {
	v, err := s.valueSet(ctx, valueSet)
	if err != nil {
		return Verdict{}, fmt.Errorf("find value set: %w", err)
	}
	if v == nil {
		return s.strange(ctx, valueSet, codings)
	}
	return s.member(ctx, v, codings)
}

// strange answers for a value set that is not known here, which the external server
// may know.
func (s *Service) strange(ctx context.Context, valueSet string, codings []Coding) (Verdict, error) {
	unknown := answer{reason: setNotFound, about: valueSet}.verdict(Coding{})
	var out Verdict
	for _, c := range codings {
		v, err := s.remoteMember(ctx, valueSet, c)
		switch {
		case err != nil:
			return Verdict{}, fmt.Errorf("ask about value set: %w", err)
		case v.Result == In:
			return v, nil
		case v.Result == Undecided:
			out = unknown
		case out.Result == Undecided && out.Reason == "":
			out = v
		}
	}
	if len(codings) == 0 {
		return unknown, nil
	}
	return out, nil
}

// MemberOf does so for a value set at hand, such as one that is contained. It is made
// ready once for each Definition, so that the same one should be given again.
func (s *Service) MemberOf(ctx context.Context, valueSet *definition.Definition, codings ...Coding) (Verdict, error) {
	v, err := s.composed(valueSet)
	if err != nil {
		return Verdict{}, fmt.Errorf("read value set: %w", err)
	}
	return s.member(ctx, v, codings)
}

func (s *Service) member(ctx context.Context, v *composed, codings []Coding) (Verdict, error) {
	best, of := answer{result: Out, reason: notIn, about: v.url}, Coding{}
	for i, c := range codings {
		a := s.asking()
		got, err := a.set(ctx, v, c)
		if err != nil {
			return Verdict{}, fmt.Errorf("ask value set: %w", err)
		}
		if got.result == In {
			return got.verdict(c), nil
		}
		if i == 0 || got.result == Undecided && best.result == Out {
			best, of = got, c
		}
	}
	return best.verdict(of), nil
}

// set says whether a coding is in v.
func (a *asking) set(ctx context.Context, v *composed, c Coding) (answer, error) {
	if a.depth == 0 {
		return answer{reason: setTooDeep, about: v.url}, nil
	}
	a.depth--
	defer func() { a.depth++ }()
	best := answer{result: Out, reason: notIn, about: v.url}
	for _, k := range v.includes {
		got, err := a.clause(ctx, v, k, c)
		if err != nil {
			return answer{}, err
		}
		best = either(best, got)
		if best.result == In {
			break
		}
	}
	switch {
	case best.result == Out && v.problem != "":
		return answer{reason: setUnsupported, about: v.problem}, nil
	case best.result == Out:
		return best, nil
	case best.result == In && v.activeOnly && best.inactive():
		return answer{result: Out, reason: notIn, about: v.url}, nil
	}
	return a.without(ctx, v, c, best)
}

// without looks at what v excludes, for a coding that is in it otherwise, or may be.
func (a *asking) without(ctx context.Context, v *composed, c Coding, best answer) (answer, error) {
	for _, k := range v.excludes {
		got, err := a.clause(ctx, v, k, c)
		if err != nil {
			return answer{}, err
		}
		switch {
		case got.result == In:
			return answer{result: Out, reason: notIn, about: v.url}, nil
		case got.result == Undecided && best.result == In:
			best = got
		}
	}
	return best, nil
}

// either returns the answer of two of which one is enough.
func either(a, b answer) answer {
	switch {
	case a.result == In:
		return a
	case b.result == In:
		return b
	case a.result == Undecided:
		return a
	case b.result == Undecided || b.reason == unknownCode:
		return b
	}
	return a
}

// clause says whether a coding is in k, of v.
func (a *asking) clause(ctx context.Context, v *composed, k *clause, c Coding) (answer, error) {
	if a.steps--; a.steps < 0 {
		return answer{reason: setTooDeep, about: v.url}, nil
	}
	got := answer{result: In, system: c.System}
	if k.system == "" && !k.listed && len(k.sets) == 0 {
		return answer{reason: setUnsupported, about: "The value set includes something without saying what."}, nil
	}
	if k.system != "" || k.listed {
		if c.System != "" && c.System != k.system || c.Version != "" && k.version != "" && c.Version != k.version {
			return answer{result: Out, reason: notIn, about: v.url}, nil
		}
		var err error
		if got, err = a.own(ctx, v, k, c); err != nil || got.result == Out {
			return got, err
		}
	}
	for _, url := range k.sets {
		next, err := a.imported(ctx, v, url, c)
		if err != nil || next.result == Out {
			return next, err
		}
		if got.result == In && (next.result != In || got.system == "") {
			got = next
		}
	}
	return got, nil
}

// imported says whether a coding is in a value set that v imports.
func (a *asking) imported(ctx context.Context, v *composed, url string, c Coding) (answer, error) {
	other, err := a.importOf(ctx, v, url)
	if err != nil {
		return answer{}, err
	}
	if other == nil {
		verdict, err := a.strange(ctx, url, []Coding{c})
		found := verdict.Coding
		return answer{verdict.Result, verdict.Reason, url, found.System, &concept{code: found.Code, display: found.Display}, nil}, err
	}
	return a.set(ctx, other, c)
}

// importOf returns a value set that v imports, which may be in the same resource; nil
// when it is not known.
func (a *asking) importOf(ctx context.Context, v *composed, url string) (*composed, error) {
	if d := v.contained[url]; d != nil {
		return a.composed(d)
	}
	other, err := a.valueSet(ctx, url)
	if err == nil && a.used != nil {
		a.used.sets[url] = other
	}
	return other, err
}

// own says whether a coding is among the codes of k, apart from the value sets that k
// imports. It may have no system.
func (a *asking) own(ctx context.Context, v *composed, k *clause, c Coding) (answer, error) {
	sys, err := a.systemOf(ctx, v, k, c.Version)
	if o := fhir.AsOutcome(err); o != nil && k.listed {
		sys = nil
	} else if o != nil {
		return refused(o), nil
	} else if err != nil {
		return answer{}, err
	}
	if k.listed {
		return a.named(ctx, v, k, asked{sys, c.Code})
	}
	if sys == nil {
		return answer{reason: unknownSystem, about: k.system}, nil
	}
	if l, ok := sys.(*listed); ok {
		return k.inList(v, l, c.Code)
	}
	return k.inSystem(ctx, v, asked{sys, c.Code})
}

// refused is the answer when something cannot be asked.
func refused(o *fhir.Outcome) answer {
	return answer{reason: setUnsupported, about: o.Issues[0].Text}
}

// An asked is a code of a code system, which is nil when it is not known.
type asked struct {
	system system
	code   string
}

// named says whether a code is one of those that k names. What a code system in memory
// knows of it is told; another one is asked only if it matters whether it is inactive.
func (a *asking) named(ctx context.Context, v *composed, k *clause, q asked) (answer, error) {
	l, _ := q.system.(*listed)
	item := k.find(q.code, q.system == nil || q.system.head().caseSensitive)
	if item == nil {
		if l != nil && k.system != "" {
			if _, known := l.find(q.code); !known {
				return l.missing(), nil
			}
		}
		return answer{result: Out, reason: notIn, about: v.url}, nil
	}
	got := answer{result: In, system: k.system, item: item}
	switch {
	case l != nil:
		if i, ok := l.find(item.code); ok {
			got.known = &l.all[i]
		}
	case q.system != nil && v.activeOnly:
		known, err := q.system.concept(ctx, item.code)
		if o := fhir.AsOutcome(err); o != nil {
			return refused(o), nil
		} else if err != nil {
			return answer{}, err
		}
		got.known = known
	}
	if k.listed && len(k.filters) > 0 {
		return answer{reason: setUnsupported, about: "The value set names codes and filters at once."}, nil
	}
	return got, nil
}

// missing is the answer for a code that a code system does not have: it decides only
// when that is known as a whole.
func (l *listed) missing() answer { return l.h.missing() }

func (h *header) missing() answer {
	switch h.content {
	case "complete", "":
		return answer{result: Out, reason: unknownCode, about: h.url}
	case "not-present":
		return answer{reason: unknownSystem, about: h.url}
	}
	return answer{reason: unknownCode, about: h.url}
}

// inList says whether a code is in k, whose code system is in memory.
func (k *clause) inList(v *composed, l *listed, code string) (answer, error) {
	i, ok := l.find(code)
	if !ok {
		return l.missing(), nil
	}
	if len(k.filters) > 0 {
		test, err := k.test(l)
		if o := fhir.AsOutcome(err); o != nil {
			return refused(o), nil
		} else if err != nil {
			return answer{}, err
		}
		if !test(i) {
			return answer{result: Out, reason: notIn, about: v.url}, nil
		}
	}
	return answer{result: In, system: k.system, known: &l.all[i]}, nil
}

// inSystem says whether a code is in k, whose code system is not in memory.
func (k *clause) inSystem(ctx context.Context, v *composed, q asked) (answer, error) {
	known, err := q.system.concept(ctx, q.code)
	if err == nil && known == nil {
		return q.system.head().missing(), nil
	}
	ok := true
	if err == nil && len(k.filters) > 0 {
		ok, err = q.system.holds(ctx, known.code, k.filters)
	}
	if o := fhir.AsOutcome(err); o != nil {
		return refused(o), nil
	} else if err != nil {
		return answer{}, err
	}
	if !ok {
		return answer{result: Out, reason: notIn, about: v.url}, nil
	}
	return answer{result: In, system: k.system, known: known}, nil
}

// systemOf returns the code system of a clause of v, in the version that the clause
// names or else in version; nil when it is not known.
func (a *asking) systemOf(ctx context.Context, v *composed, k *clause, version string) (system, error) {
	if k.local != nil {
		return a.defined(ctx, k.local)
	}
	if k.system == "" {
		return nil, nil
	}
	version = cmp.Or(k.version, version)
	sys, err := a.system(ctx, k.system, version)
	if err == nil && a.used != nil {
		a.used.systems[codeSystem{k.system, version}] = sys
	}
	if err != nil || sys == nil || len(v.supplements) == 0 {
		return sys, err
	}
	return a.supplemented(ctx, sys, v.supplements)
}
