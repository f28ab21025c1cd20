package validate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	maxBases       = 16     // profiles below a profile
	maxConstraints = 20_000 // of a profile
	maxDepth       = 64     // of an element in a profile
	maxSlices      = 1000   // of an element
)

// shapes keeps what was compiled.
type shapes struct {
	memo definition.Memo[*holder]
}

// A holder is the shape of one definition, made anew when a profile below it changes.
type holder struct{ current atomic.Pointer[shape] }

// shape returns the profile with a canonical URL, nil when it is not known. The error
// is that of a fault of ours.
func (v *Validator) shape(ctx context.Context, canonical string) (*shape, error) {
	d, err := v.profile(ctx, canonical)
	if d == nil || err != nil {
		return nil, err
	}
	h, err := v.shapes.memo.Get(d, func() (*holder, error) { return &holder{}, nil })
	if err != nil {
		return nil, err
	}
	if s := h.current.Load(); s != nil {
		fresh, err := v.isCurrent(ctx, s)
		if fresh || err != nil {
			return s, err
		}
	}
	root, err := d.Root()
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", canonical, err)
	}
	s, err := v.compile(ctx, root)
	if err == nil {
		h.current.Store(s)
	}
	return s, err
}

func (v *Validator) profile(ctx context.Context, canonical string) (*definition.Definition, error) {
	if v.config.Definitions == nil {
		return nil, nil
	}
	d, err := v.config.Definitions.Find(ctx, "StructureDefinition", canonical)
	if err != nil {
		return nil, fmt.Errorf("find profile: %w", err)
	}
	return d, nil
}

// isCurrent reports whether the profiles below s are still those it was made from.
func (v *Validator) isCurrent(ctx context.Context, s *shape) (bool, error) {
	for _, l := range s.links {
		d, err := v.profile(ctx, l.canonical)
		if d != l.found || err != nil {
			return false, err
		}
	}
	return true, nil
}

// A compiler makes one shape.
type compiler struct {
	*shape
	made int // constraints
}

// compile makes the shape of a StructureDefinition.
func (v *Validator) compile(ctx context.Context, root fhir.Node) (*shape, error) {
	url := root.Child("url").Text()
	c := &compiler{shape: &shape{url: url}}
	name := root.Child("type").Text()
	name = strings.TrimPrefix(name, definitions)
	if t := spec.R4().Type(name); t != nil && t.Name == name {
		c.typ = t
	}
	if c.typ == nil {
		c.flaw(root.Child("type"), "profile-type-unknown", "Name a type of R4: what this profile constrains is none.")
		return c.shape, nil
	}
	c.root = c.add(nil, name, "")
	c.root.kinds = []*spec.Type{c.typ}
	chain, err := v.chain(ctx, root, c)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(chain) {
		c.apply(r)
	}
	c.refer()
	c.root.mark()
	if c.typ.Name == "Extension" {
		c.extension = c.asExtension(root)
	}
	return c.shape, nil
}

// chain returns root and the profiles that it is based on, itself first.
func (v *Validator) chain(ctx context.Context, root fhir.Node, c *compiler) ([]fhir.Node, error) {
	chain := []fhir.Node{root}
	seen := map[string]bool{c.url: true}
	for {
		base := root.Child("baseDefinition")
		if baseType(base.Text()) != nil || isSnapshot(elementsOf(root)) {
			return chain, nil
		}
		if !base.HasValue() {
			c.flaw(root, "profile-base-unknown", "Give baseDefinition: it is not known what this profile is based on.")
			return chain, nil
		}
		url, _, _ := strings.Cut(base.Text(), "|")
		if seen[url] || len(chain) > maxBases {
			c.flaw(base, "profile-base-cyclic", "Base the profile on another one: it is based on itself, or on too many.")
			return chain, nil
		}
		seen[url] = true
		d, err := v.profile(ctx, base.Text())
		if err != nil {
			return nil, err
		}
		c.links = append(c.links, link{base.Text(), d})
		if d == nil {
			if snapshot := root.Child("snapshot"); !snapshot.IsZero() {
				chain[len(chain)-1] = snapshot
			} else {
				c.flaw(base, "profile-base-unknown", "Store the profile that this one is based on: it is not known here.")
			}
			return chain, nil
		}
		if root, err = d.Root(); err != nil {
			return nil, fmt.Errorf("read base of profile %s: %w", c.url, err)
		}
		chain = append(chain, root)
	}
}

// elementsOf returns the part of a StructureDefinition that has its elements: the
// differential, or the snapshot when there is none. A part stands for itself.
func elementsOf(root fhir.Node) fhir.Node {
	if isSnapshot(root) {
		return root
	}
	if d := root.Child("differential"); !d.Child("element").IsZero() {
		return d
	}
	return root.Child("snapshot")
}

func isSnapshot(n fhir.Node) bool { return !n.IsZero() && n.Name() == "snapshot" }

func (c *compiler) flaw(at fhir.Node, detail, text string) {
	if len(c.flaws) < maxIssues {
		c.flaws = append(c.flaws, flaw{at: at, detail: detail, text: text})
	}
}

// add makes a constraint on an element of up, or on a slice of up.
func (c *compiler) add(up *constraint, name, slice string) *constraint {
	k := &constraint{name: name, slice: slice, min: unset, max: unset, up: up, shape: c.shape}
	c.made++
	switch {
	case up == nil:
		k.id = name
	case slice == "":
		k.id = up.id + "." + name
		up.children = append(up.children, k)
	default:
		k.kinds = up.kinds
		k.id = up.whole().id + ":" + slice
		up.slices = append(up.slices, k)
	}
	k.rule = c.url + "#" + k.id
	return k
}

// apply lays the elements of a StructureDefinition over what is there.
func (c *compiler) apply(root fhir.Node) {
	w := walker{compiler: c}
	for e := range elementsOf(root).Each("element") {
		if c.made > maxConstraints {
			c.flaw(e, "profile-too-large", "Divide the profile: it has too many elements.")
			return
		}
		k := w.locate(e)
		if k == nil {
			continue
		}
		k.from = e
		c.read(k, e)
	}
}
