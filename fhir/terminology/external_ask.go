package terminology

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// isRemote reports whether the remote may be asked about a canonical URL.
func (s *Service) isRemote(canonical string) bool {
	return s.config.External != "" && isAskable(canonical)
}

// remoteMember says whether a coding, which has to name its code system, is in a
// value set that is not known here. It is Undecided when the remote does not say. The
// error is that of ctx.
func (s *Service) remoteMember(ctx context.Context, valueSet string, c Coding) (Verdict, error) {
	if !s.isRemote(valueSet) || !isAskable(c.System) || c.Code == "" {
		return Verdict{}, nil
	}
	about := url.Values{"system": {c.System}, "code": {c.Code}}
	setCanonical(about, "url", "valueSetVersion", valueSet)
	if c.Version != "" {
		about.Set("systemVersion", c.Version)
	}
	value, err := s.ask(ctx, question{"ValueSet/$validate-code", about, answerBytes, readValidated, func(v any) bool { return v.(validated).result == In }})
	if value == nil {
		return Verdict{}, ctx.Err()
	}
	if err != nil {
		return Verdict{}, err
	}
	switch v := value.(validated); v.result {
	case In:
		found := Coding{System: c.System, Version: c.Version, Code: c.Code, Display: v.display}
		if found.Version == "" {
			found.Version = v.version
		}
		return Verdict{Result: In, Coding: found}, nil
	case Out:
		return Verdict{Result: Out, Reason: "not-in-value-set", Text: "Use a code of the value set " + valueSet + "."}, nil
	}
	return Verdict{}, nil
}

// setCanonical sets the parameters for a canonical URL and its version.
func setCanonical(about url.Values, name, versionName, canonical string) {
	canonical, version, _ := strings.Cut(canonical, "|")
	about.Set(name, canonical)
	if version != "" {
		about.Set(versionName, version)
	}
}

// remoteExpand returns the codes of a value set that is not known here; nil when the
// remote does not know it either. The error is an Outcome when the remote cannot be
// asked, or there are more than most.
func (s *Service) remoteExpand(ctx context.Context, valueSet string, most int) ([]Coding, error) {
	if !s.isRemote(valueSet) {
		return nil, nil
	}
	about := url.Values{"count": {strconv.Itoa(most + 1)}}
	setCanonical(about, "url", "valueSetVersion", valueSet)
	value, err := s.ask(ctx, question{"ValueSet/$expand", about, expandBytes, readExpanded, func(any) bool { return true }})
	if err != nil {
		return nil, unreached(ctx)
	}
	if value == nil {
		return nil, nil
	}
	e := value.(expanded)
	if len(e.codings) > most || e.total > most {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Name a smaller value set: %s has more than %d codes.", valueSet, most)
	}
	if e.total > len(e.codings) {
		return nil, unreached(ctx) // it has left some out
	}
	return append([]Coding{}, e.codings...), nil
}

// unreached tells a caller that the remote cannot be asked, or that they have gone.
func unreached(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The external terminology server does not answer; try again later.")
}

// A distant is a code system of which only the remote knows codes.
type distant struct {
	service *Service
	h       header
}

// distantSystem returns a code system that is asked at the remote; nil if there is no
// remote for it. Whether the remote knows it shows when it is asked.
func (s *Service) distantSystem(url, version string) system {
	if !s.isRemote(url) {
		return nil
	}
	return &distant{s, header{url: url, version: version, content: "not-present", caseSensitive: true}}
}

func (d *distant) head() *header { return &d.h }

// concept returns a concept. A code that the remote has not is an Outcome: it may be
// that it does not know the code system.
func (d *distant) concept(ctx context.Context, code string) (*concept, error) {
	about := url.Values{"system": {d.h.url}, "code": {code}}
	if d.h.version != "" {
		about.Set("version", d.h.version)
	}
	value, err := d.service.ask(ctx, question{"CodeSystem/$lookup", about, answerBytes, readConcept, func(any) bool { return true }})
	if err != nil {
		return nil, unreached(ctx)
	}
	if value == nil {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Use a code of %s; neither this server nor the one that it asks knows this one.", d.h.url)
	}
	c := *value.(*concept)
	c.code = code
	return &c, nil
}

func (d *distant) subsumes(ctx context.Context, ancestor, descendant string) (bool, error) {
	about := url.Values{"system": {d.h.url}, "codeA": {ancestor}, "codeB": {descendant}}
	if d.h.version != "" {
		about.Set("version", d.h.version)
	}
	value, err := d.service.ask(ctx, question{"CodeSystem/$subsumes", about, answerBytes, readSubsumed, func(any) bool { return true }})
	if err != nil {
		return false, unreached(ctx)
	}
	if value == nil {
		return false, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Use codes of %s; neither this server nor the one that it asks knows these.", d.h.url)
	}
	return value == "subsumes" || value == "equivalent", nil
}

// mostDistant is how many codes the remote is asked about for one answer.
const mostDistant = 100

func (d *distant) pick(ctx context.Context, s selection) ([]concept, int, error) {
	if s.codes == nil || len(s.codes) > mostDistant {
		return nil, 0, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Name at most %d codes of %s: its codes are not listed here.", mostDistant, d.h.url)
	}
	var found []concept
	total, text := 0, wordsOf(s.text)
	for _, code := range s.codes {
		c, err := d.concept(ctx, code)
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unknown {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		ok, err := d.holds(ctx, code, s.filters)
		if err != nil {
			return nil, 0, err
		}
		if !ok || s.active && c.inactive || !text.match(c) {
			continue
		}
		if total >= s.offset && (s.count < 0 || len(found) < s.count) {
			found = append(found, *c)
		}
		total++
	}
	return found, total, nil
}

// holds asks about the hierarchy. Of other filters only the remote knows, which is
// not asked for single ones.
func (d *distant) holds(ctx context.Context, code string, all []filter) (bool, error) {
	for _, f := range all {
		if f.property != "concept" && f.property != "code" {
			return false, d.cannot(f)
		}
		ok, err := d.relates(ctx, code, f)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (d *distant) relates(ctx context.Context, code string, f filter) (bool, error) {
	switch f.op {
	case "=":
		return code == f.value, nil
	case "is-a":
		return d.subsumes(ctx, f.value, code)
	case "descendent-of":
		ok, err := d.subsumes(ctx, f.value, code)
		return ok && code != f.value, err
	case "is-not-a":
		ok, err := d.subsumes(ctx, f.value, code)
		return err == nil && !ok, err
	case "generalizes":
		return d.subsumes(ctx, code, f.value)
	}
	return false, d.cannot(f)
}

func (d *distant) cannot(f filter) error {
	return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Filter %s by the hierarchy: it is not listed here, and %q of %q cannot be asked for.", d.h.url, f.op, f.property)
}
