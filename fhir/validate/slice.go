package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// slicing says how the values of an element are divided into slices.
// https://hl7.org/fhir/R4/profiling.html#slicing
type slicing struct {
	by      []discriminator
	closed  bool
	atEnd   bool // what is in no slice comes last
	ordered bool
}

// isByType reports whether only the types of the values tell the slices apart.
func (s *slicing) isByType() bool {
	return len(s.by) == 1 && s.by[0].kind == "type" && len(s.by[0].path) == 0
}

// A discriminator says what tells slices apart.
type discriminator struct {
	kind string // value, pattern, exists, type, profile
	path []hop
}

// A hop is one step of the path of a discriminator.
type hop struct {
	kind hopKind
	name string // of the child, the type, or the URL of the extension
}

type hopKind uint8

const (
	hopChild hopKind = iota
	hopExtension
	hopType
	hopResolve
)

func (c *compiler) readSlicing(k *constraint, n fhir.Node) {
	s := &slicing{}
	if k.slicing != nil {
		s.by = k.slicing.by
	}
	var by []discriminator
	for d := range n.Each("discriminator") {
		path, ok := parseHops(d.Child("path").Text())
		if !ok {
			c.flaw(d, "profile-discriminator-invalid", "Mend the path of the discriminator: it may have names, $this, extension('url'), ofType(Type) and resolve().")
			continue
		}
		by = append(by, discriminator{d.Child("type").Text(), path})
	}
	if by != nil {
		s.by = by
	}
	rules := n.Child("rules").Text()
	s.closed, s.atEnd = rules == "closed", rules == "openAtEnd"
	s.ordered = n.Child("ordered").Text() == "true"
	k.slicing = s
}

// parseHops reads the path of a discriminator.
// https://hl7.org/fhir/R4/profiling.html#discriminator
func parseHops(path string) (hops []hop, ok bool) {
	for path != "" {
		var word string
		if i := strings.IndexAny(path, ".("); i < 0 || path[i] == '.' {
			word, path = cutAt(path, i)
			if word == "$this" {
				continue
			}
			if word == "" || strings.ContainsAny(word, " $'\"%") {
				return nil, false
			}
			hops = append(hops, hop{hopChild, strings.TrimSuffix(word, "[x]")})
			continue
		}
		end := strings.IndexByte(path, ')')
		if end < 0 || end+1 < len(path) && path[end+1] != '.' {
			return nil, false
		}
		word, path = cutAt(path, end+1)
		h, ok := parseCall(word)
		if !ok {
			return nil, false
		}
		hops = append(hops, h)
	}
	return hops, len(hops) <= maxDepth
}

// cutAt cuts s at i, where a point may stand; all of it if i is outside.
func cutAt(s string, i int) (before, after string) {
	if i < 0 || i >= len(s) {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func parseCall(word string) (hop, bool) {
	name, argument, _ := strings.Cut(strings.TrimSuffix(word, ")"), "(")
	argument = strings.TrimSpace(argument)
	switch name {
	case "resolve":
		return hop{kind: hopResolve}, argument == ""
	case "ofType":
		return hop{hopType, strings.TrimPrefix(argument, "FHIR.")}, argument != ""
	case "extension":
		url := strings.Trim(argument, `'"`)
		return hop{hopExtension, url}, url != "" && len(url)+2 == len(argument)
	}
	return hop{}, false
}
