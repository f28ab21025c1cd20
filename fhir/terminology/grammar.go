package terminology

import (
	"context"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/ucum"
)

// maxGrammarCode is how long a code of a grammar may be.
const maxGrammarCode = 1000

// A grammar is a code system whose codes are made by rules.
type grammar struct {
	h     header
	valid func(code string) bool
	// also says whether a filter holds that is about something else than the code;
	// known is false when there is no such filter. It may be nil.
	also func(f filter, code string) (holds, known bool)
}

func (g *grammar) head() *header { return &g.h }

func (g *grammar) concept(_ context.Context, code string) (*concept, error) {
	if len(code) > maxGrammarCode || !g.valid(code) {
		return nil, nil
	}
	return &concept{code: code}, nil
}

func (g *grammar) subsumes(_ context.Context, ancestor, descendant string) (bool, error) {
	return g.same(ancestor, descendant) && g.valid(ancestor), nil
}

func (g *grammar) same(a, b string) bool {
	return a == b || !g.h.caseSensitive && strings.EqualFold(a, b)
}

func (g *grammar) holds(_ context.Context, code string, all []filter) (bool, error) {
	for _, f := range all {
		ok, err := g.one(f, code)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (g *grammar) one(f filter, code string) (bool, error) {
	if g.also != nil {
		if ok, known := g.also(f, code); known {
			return ok, nil
		}
	}
	same := func(w string) bool { return g.same(strings.TrimSpace(w), code) }
	if f.property == "code" || f.property == "concept" {
		switch f.op {
		case "=", "is-a", "generalizes":
			return same(f.value), nil
		case "is-not-a":
			return !same(f.value), nil
		case "descendent-of":
			return false, nil
		case "in":
			return slices.ContainsFunc(strings.Split(f.value, ","), same), nil
		case "not-in":
			return !slices.ContainsFunc(strings.Split(f.value, ","), same), nil
		case "regex":
			pattern, err := compilePattern(f.value)
			return err == nil && pattern.MatchString(code), err
		}
	}
	return false, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Filter %s by its codes alone; %q with %q is not supported.", g.h.url, f.property, f.op)
}

func (g *grammar) pick(ctx context.Context, s selection) ([]concept, int, error) {
	if s.codes == nil {
		return nil, 0, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Name the codes of %s that are meant; it has a grammar and no list of codes.", g.h.url)
	}
	var found []concept
	total, text := 0, wordsOf(s.text)
	for _, code := range s.codes {
		c, err := g.concept(ctx, code)
		if err != nil || c == nil || !text.match(c) {
			continue
		}
		ok, err := g.holds(ctx, code, s.filters)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if total >= s.offset && (s.count < 0 || len(found) < s.count) {
			found = append(found, *c)
		}
		total++
	}
	return found, total, nil
}

// builtin returns a code system that comes as a grammar or a table; nil for any other.
func builtin(system string) system {
	switch system {
	case "http://unitsofmeasure.org":
		return &unitCodes
	case "urn:ietf:bcp:47":
		return &languageTags
	case "urn:ietf:bcp:13":
		return &mediaTypes
	case "urn:ietf:rfc:3986":
		return &identifiers
	case "urn:iso:std:iso:3166:-2":
		return &subdivisions
	case "urn:iso:std:iso:3166":
		return countries()
	case "urn:iso:std:iso:4217":
		return currencies()
	case "https://www.iana.org/time-zones":
		return zones()
	}
	return nil
}

// unitCodes are the units of UCUM. https://ucum.org/ucum
var unitCodes = grammar{
	h:     header{url: "http://unitsofmeasure.org", name: "UCUM", title: "Unified Code for Units of Measure", content: "complete", caseSensitive: true},
	valid: ucum.Valid,
	also: func(f filter, code string) (bool, bool) {
		if f.property != "canonical" || f.op != "=" {
			return false, false
		}
		return ucum.Comparable(code, f.value), true
	},
}

// languageTags are those of BCP 47 whose parts are registered.
// https://www.rfc-editor.org/info/bcp47
var languageTags = grammar{
	h:     header{url: "urn:ietf:bcp:47", name: "BCP47", title: "Tags for identifying languages", content: "complete"},
	valid: validLanguage,
}

// tagShape is the grammar of a language tag, as far as it is in use: extended
// languages follow those that have some, and no language has more than three letters.
// Tags that were registered before there was a grammar are apart. https://www.rfc-editor.org/rfc/rfc5646#section-2.1
var tagShape = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(([a-z]{2,3}|(ar|kok|lv|ms|sgn|sw|uz|zh)-[a-z]{3})(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(-[0-9a-wy-z](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?|x(-[a-z0-9]{1,8})+)$`)
})

func validLanguage(code string) bool {
	if len(code) > 100 {
		return false
	}
	switch strings.ToLower(code) {
	case "en-gb-oed", "i-ami", "i-bnn", "i-default", "i-enochian", "i-hak", "i-klingon", "i-lux", "i-mingo", "i-navajo",
		"i-pwn", "i-tao", "i-tay", "i-tsu", "sgn-be-fr", "sgn-be-nl", "sgn-ch-de",
		"art-lojban", "cel-gaulish", "no-bok", "no-nyn", "zh-guoyu", "zh-hakka", "zh-min", "zh-min-nan", "zh-xiang":
		return true
	}
	if !tagShape().MatchString(code) {
		return false
	}
	_, err := language.Raw.Parse(code)
	return err == nil
}

// mediaTypes are well-formed media types, with and without parameters, and the short
// names of formats that R4 lets stand in their place.
// https://www.rfc-editor.org/info/bcp13 https://hl7.org/fhir/R4/http.html#mime-type
var mediaTypes = grammar{
	h:     header{url: "urn:ietf:bcp:13", name: "MimeTypes", title: "Media types", content: "complete"},
	valid: validMediaType,
}

var restrictedName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/([a-z0-9][a-z0-9!#$&^_.+-]{0,126})$`)
})

func validMediaType(code string) bool {
	switch code {
	case "json", "xml", "ttl":
		return true
	}
	name, _, err := mime.ParseMediaType(code)
	return err == nil && restrictedName().MatchString(name)
}

// identifiers are URIs as codes. https://www.rfc-editor.org/rfc/rfc3986
var identifiers = grammar{
	h: header{url: "urn:ietf:rfc:3986", name: "URI", title: "Uniform Resource Identifiers", content: "complete", caseSensitive: true},
	valid: func(code string) bool {
		u, err := url.Parse(code)
		return err == nil && u.Scheme != "" && len(u.Scheme)+1 < len(code)
	},
}

// subdivisions are ISO 3166-2 codes of countries that there are. Which subdivisions
// these have is not known. https://www.iso.org/iso-3166-country-codes.html
var subdivisions = grammar{
	h:     header{url: "urn:iso:std:iso:3166:-2", name: "ISO3166-2", title: "Codes of the subdivisions of countries", content: "complete"},
	valid: validSubdivision,
}

func validSubdivision(code string) bool {
	country, part, ok := strings.Cut(code, "-")
	if !ok || len(country) != 2 || len(part) < 1 || len(part) > 3 {
		return false
	}
	for _, r := range part {
		if (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') {
			return false
		}
	}
	_, known := countries().find(country)
	return known
}
