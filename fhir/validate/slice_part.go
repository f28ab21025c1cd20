package validate

import (
	"slices"
	"strings"
)

// partsOf returns the slices that layers have, each with what all layers say of it.
func partsOf(layers []layer) [][]layer {
	var parts [][]layer
	for _, l := range layers {
		for _, s := range l.slices {
			same := func(p []layer) bool { return p[0].slice == s.slice }
			if i := slices.IndexFunc(parts, same); i >= 0 {
				parts[i] = append(parts[i], layer{s, l.quiet})
				continue
			}
			parts = append(parts, []layer{{s, l.quiet}})
		}
	}
	return parts
}

// slicingOf returns how the values of layers are divided: as one of them says, by url
// for extensions, by type for a choice, and for the slices of a slice as that is. It is
// nil when nothing says how.
func slicingOf(own, all []layer) *slicing {
	for _, l := range own {
		if l.slicing != nil {
			return completed(l.constraint, l.slicing)
		}
	}
	k := own[0].constraint
	for _, l := range own {
		if slices.ContainsFunc(l.slices, func(s *constraint) bool { return s.spelled }) {
			return &slicing{by: byType(), closed: true}
		}
	}
	if by := implied(k); by != nil {
		return &slicing{by: by}
	}
	for _, l := range all {
		if l.slicing != nil {
			return &slicing{by: l.slicing.by}
		}
	}
	return nil
}

// completed returns s with the discriminators that go without saying.
func completed(k *constraint, s *slicing) *slicing {
	if len(s.by) > 0 {
		return s
	}
	full := *s
	if full.by = implied(k); full.by == nil {
		full.by = []discriminator{{kind: "value"}}
	}
	return &full
}

func byType() []discriminator { return []discriminator{{kind: "type"}} }

// implied returns the discriminators that every slicing of this element has.
func implied(k *constraint) []discriminator {
	switch {
	case k.name == "extension", k.name == "modifierExtension":
		return []discriminator{{kind: "value", path: []hop{{hopChild, "url"}}}}
	case strings.HasSuffix(k.whole().id, "[x]"):
		return byType()
	}
	return nil
}
