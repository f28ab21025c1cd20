// Package validate says whether a resource is what it says it is, beyond its
// structure: invariants, bindings, profiles, extensions.
//
// [fhir.Decode] has refused by then what is structurally wrong. One walk over the
// nodes of a resource holds every element against the rules of its type, which are
// compiled once: the invariants of R4, in Go where they are met often and as
// FHIRPath otherwise, the value sets that bind its codes, and what the text of R4
// demands without an invariant. testdata/invariants.txt says of each invariant how
// it is held.
package validate

import (
	"context"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// Config is what a Validator works with.
type Config struct {
	Definitions *definition.Catalog
	Terms       *terminology.Service // nil leaves undecided what needs it
	Mandatory   map[string][]string  // profiles that every resource of a type has to conform to, by type
}

// A Validator checks resources. It may be used by several goroutines at once.
type Validator struct {
	config Config
	rules  *program
	shapes shapes // what was compiled of profiles
}

// New returns a Validator.
func New(c Config) *Validator { return &Validator{config: c, rules: r4()} }

// Options say what is looked at.
type Options struct {
	Warnings bool      // also what does not refuse: warnings, best practice, extensible bindings, unknown extensions
	Profiles []string  // that the resource has to conform to, beside those of its meta.profile and the mandatory ones
	Now      time.Time // by which expressions go; zero is now

	// Resolve loads what a reference points to, for resolve() and discriminators
	// through references; nil knows only what is contained or in the same Bundle.
	Resolve func(ctx context.Context, reference string) (fhir.Node, bool)
}

// Check returns what is wrong with a resource that was decoded, in the order of the
// resource, and of the rules where one element breaks several. Of more than 100
// issues the first that refuse are listed, and a last issue counts the rest. The error is that of a fault of ours.
func (v *Validator) Check(ctx context.Context, root fhir.Node, o Options) ([]fhir.Issue, error) {
	if issues := tooVaried(root, o.Profiles); issues != nil {
		return issues, nil
	}
	c := newChecker(ctx, v, root, o)
	if err := c.base(); err != nil {
		return nil, err
	}
	if err := c.profiles(root, slices.Concat(v.config.Mandatory[root.Type().Name], o.Profiles)); err != nil {
		return nil, err
	}
	more, err := v.extensions(ctx, root, o)
	if err != nil {
		return nil, err
	}
	for _, is := range more {
		c.add(is)
	}
	return shorten(arrange(root, c.issues), c.errors+c.milder-len(c.issues)), nil
}

// profiles holds n, a resource, and the resources in it against the profiles that
// each names, and n against more beside. Those that are profiles are looked at as such.
func (c *checker) profiles(n fhir.Node, more []string) error {
	for p := range n.Child("meta").Each("profile") {
		more = append(more, p.Text())
	}
	for i, profile := range more {
		if profile == "" || slices.Contains(more[:i], profile) {
			continue
		}
		issues, err := c.conform(c.ctx, n, profile, c.Options)
		if err != nil {
			return err
		}
		for _, is := range issues {
			c.add(is)
		}
	}
	if c.Warnings {
		flaws, err := c.flawsIn(c.ctx, n)
		if err != nil {
			return err
		}
		for _, is := range flaws {
			c.add(is)
		}
	}
	return c.profilesWithin(n)
}

// profilesWithin does so for what is in the entries of a Bundle and in Parameters.
func (c *checker) profilesWithin(n fhir.Node) error {
	switch n.Type().Name {
	case "Bundle", "Bundle.entry", "Parameters", "Parameters.parameter":
	default:
		return nil
	}
	for child := range n.Children() {
		within := c.profilesWithin
		if child.Type().Is("Resource") {
			within = func(r fhir.Node) error { return c.profiles(r, nil) }
		}
		if err := within(child); err != nil {
			return err
		}
	}
	return nil
}
