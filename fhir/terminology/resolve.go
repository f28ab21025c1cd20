package terminology

import (
	"context"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// defaultLarge is from how many concepts on a code system is kept in tables.
const defaultLarge = 10_000

// canonicalOf puts a canonical URL together. An empty version leaves it out.
func canonicalOf(url, version string) string {
	if version == "" {
		return url
	}
	return url + "|" + version
}

// find returns a definition; nil when there is none.
func (s *Service) find(ctx context.Context, typ, canonical string) (*definition.Definition, error) {
	if s.config.Definitions == nil || canonical == "" {
		return nil, nil
	}
	return s.config.Definitions.Find(ctx, typ, canonical)
}

// system returns a code system; nil when it is not known. The error is an Outcome when
// it is one that cannot be asked.
func (s *Service) system(ctx context.Context, url, version string) (system, error) {
	if b := builtin(url); b != nil {
		return b, nil
	}
	d, err := s.find(ctx, "CodeSystem", canonicalOf(url, version))
	if err != nil {
		return nil, err
	}
	if d == nil {
		return s.distantSystem(url, version), nil
	}
	return s.defined(ctx, d)
}

// defined returns the code system of a CodeSystem.
func (s *Service) defined(ctx context.Context, d *definition.Definition) (system, error) {
	l, err := s.list(ctx, d)
	if err != nil {
		return nil, err
	}
	switch {
	case l.h.content == "supplement":
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Name the code system that %s adds to; a supplement has no codes of its own.", l.h.url)
	case l.h.content == "not-present":
		if other := s.distantSystem(l.h.url, ""); other != nil {
			return other, nil
		}
	case l.large:
		return s.tabled(ctx, d)
	}
	return l, nil
}

// list returns the code system of a CodeSystem in memory, without its concepts if
// they are many and there are tables for them. One that is only asked about, and not
// stored, is no reason to write anything.
func (s *Service) list(ctx context.Context, d *definition.Definition) (*listed, error) {
	return s.lists.Get(d, func() (*listed, error) {
		// To decode a large one takes seconds, and what is in the tables need not be.
		if t, err := s.tabledBefore(ctx, d); t != nil || err != nil {
			return t, err
		}
		root, err := d.Root()
		if err != nil {
			return nil, err
		}
		l := listOf(d, root)
		if s.config.DB != nil && d.Number > 0 && len(l.all) >= s.large() {
			return &listed{h: l.h, large: true}, nil
		}
		return l, nil
	})
}

// tabledBefore returns a large code system without its concepts if it was read into the
// tables at some time; nil if not.
func (s *Service) tabledBefore(ctx context.Context, d *definition.Definition) (*listed, error) {
	if s.config.DB == nil || d.Number == 0 || d.Key.ID == "" {
		return nil, nil
	}
	t, err := s.open(ctx, s.config.DB, origin{source: d.Key.String(), number: d.Number})
	if t == nil || err != nil {
		return nil, err
	}
	return &listed{h: t.h, large: true}, nil
}

func (s *Service) large() int {
	if s.config.Large > 0 {
		return s.config.Large
	}
	return defaultLarge
}

// isAbsent reports whether a code system is not known, or nothing but its name is.
func isAbsent(sys system) bool {
	l, ok := sys.(*listed)
	return sys == nil || ok && l.h.content == "not-present"
}

// valueSet returns a value set; nil when it is not known.
func (s *Service) valueSet(ctx context.Context, canonical string) (*composed, error) {
	d, err := s.find(ctx, "ValueSet", canonical)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return implicit(canonical), nil
	}
	return s.composed(d)
}

// listable returns a value set whose codes are to be listed, which the external server
// may know; nil when it is not known.
func (s *Service) listable(ctx context.Context, canonical string) (*composed, error) {
	v, err := s.valueSet(ctx, canonical)
	if v != nil || err != nil {
		return v, err
	}
	codings, err := s.remoteExpand(ctx, canonical, maxUnpaged)
	if codings == nil || err != nil {
		return nil, err
	}
	v = &composed{url: canonical}
	for _, c := range codings {
		v.run(c.System, c.Version).add(concept{code: c.Code, display: c.Display})
	}
	return v, nil
}

func (s *Service) composed(d *definition.Definition) (*composed, error) {
	return s.sets.Get(d, func() (*composed, error) { return compose(d) })
}

// Prepare makes a code system ready, named by its canonical URL, in the background: who
// asks it first does not wait for a large one to be read in. One is made ready at a
// time; others are when they are asked.
func (s *Service) Prepare(canonical string) {
	if !s.preparing.TryAcquire(1) {
		return
	}
	go func() {
		defer s.preparing.Release(1)
		url, version, _ := strings.Cut(canonical, "|")
		ctx, cancel := context.WithTimeout(context.Background(), readingFor)
		defer cancel()
		// A panic here would be the end of the server; who asks meets it again and is
		// told, as of any error.
		defer func() { _ = recover() }()
		_, _ = s.system(ctx, url, version)
	}()
}
