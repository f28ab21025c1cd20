package terminology

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// mapped decodes a ConceptMap.
func mapped(t *testing.T, url, content string) *definition.Definition {
	t.Helper()
	r, err := fhir.Decode("ConceptMap", []byte(`{"resourceType":"ConceptMap","url":"`+url+`","status":"active",`+content+`}`))
	if err != nil {
		t.Fatal(err)
	}
	return definition.Of(r.Root())
}

const fromAToB = `"sourceUri":"http://vs/a","targetCanonical":"http://vs/b|2","group":[{"source":"http://a","target":"http://b","targetVersion":"7","element":[
	{"code":"1","target":[{"code":"x","display":"X","equivalence":"wider"},{"code":"y","equivalence":"disjoint"}]},
	{"code":"2","target":[{"equivalence":"unmatched"}]},
	{"code":"3"},
	{"code":"4","target":[
		{"code":"left","equivalence":"equal","dependsOn":[{"property":"http://side","system":"http://s","value":"l"}],"product":[{"property":"http://out","value":"o"}]},
		{"code":"right","equivalence":"equal","dependsOn":[{"property":"http://side","value":"r"}]}]}],
	"unmapped":%s}]`

func TestTranslate(t *testing.T) {
	t.Parallel()
	a := func(code string) []Coding { return []Coding{{System: "http://a", Code: code}} }
	side := func(value string) []Dependency {
		return []Dependency{{Element: "http://side", Coding: Coding{System: "http://s", Code: value}}}
	}
	for _, c := range []struct {
		name, unmapped, want string
		ask                  Translation
	}{
		{"two targets", `{"mode":"provided"}`, "true wider http://b|x disjoint http://b|y", Translation{Codings: a("1")}},
		{"unmatched", `{"mode":"provided"}`, "false unmatched |", Translation{Codings: a("2")}},
		{"no target", `{"mode":"provided"}`, "true equal http://b|3", Translation{Codings: a("3")}},
		{"unknown, provided", `{"mode":"provided"}`, "true equal http://b|9", Translation{Codings: a("9")}},
		{"unknown, fixed", `{"mode":"fixed","code":"other","display":"Other"}`, "true relatedto http://b|other", Translation{Codings: a("9")}},
		{"other map", `{"mode":"other-map","url":"http://m/2"}`, "true equivalent http://c|nine", Translation{Codings: a("9")}},
		{"circle of maps", `{"mode":"other-map","url":"http://m/2"}`, "false", Translation{Codings: a("8")}},
		{"map that is not there", `{"mode":"other-map","url":"http://m/none"}`, "false", Translation{Codings: a("9")}},
		{"other system", `{"mode":"provided"}`, "false", Translation{Codings: []Coding{{System: "http://else", Code: "1"}}}},
		{"any system", `{"mode":"provided"}`, "true wider http://b|x disjoint http://b|y", Translation{Codings: []Coding{{Code: "1"}}}},
		{"other target", `{"mode":"provided"}`, "false", Translation{Codings: a("1"), TargetSystem: "http://c"}},
		{"dependency holds", `{"mode":"fixed","code":"other"}`, "true equal http://b|left", Translation{Codings: a("4"), Dependencies: side("l")}},
		{"dependency of any system holds", `{"mode":"fixed","code":"other"}`, "true equal http://b|right", Translation{Codings: a("4"), Dependencies: side("r")}},
		{"no dependency holds", `{"mode":"fixed","code":"other"}`, "true relatedto http://b|other", Translation{Codings: a("4")}},
		{"reverse", `{"mode":"provided"}`, "true narrower http://a|1", Translation{Codings: []Coding{{System: "http://b", Code: "x"}}, Reverse: true}},
		{"reverse, not mapped", `{"mode":"provided"}`, "false", Translation{Codings: []Coding{{System: "http://b", Code: "z"}}, Reverse: true}},
		{"reverse with a product", `{"mode":"provided"}`, "true equal http://a|4", Translation{Codings: []Coding{{System: "http://b", Code: "left"}}, Reverse: true,
			Dependencies: []Dependency{{Element: "http://out", Coding: Coding{Code: "o"}}}}},
		{"two codings", `{"mode":"fixed","code":"other"}`, "true wider http://b|x disjoint http://b|y relatedto http://b|other", Translation{Codings: append(a("1"), append(a("8"), a("9")...)...)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := mapped(t, "http://m/1", fmt.Sprintf(fromAToB, c.unmapped))
			other := mapped(t, "http://m/2", `"group":[{"source":"http://a","target":"http://c","element":[{"code":"9","target":[{"code":"nine","equivalence":"equivalent"}]}],"unmapped":{"mode":"other-map","url":"http://m/1"}}]`)
			ctx := definition.Beside(t.Context(), []*definition.Definition{m, other})
			s := New(Config{Definitions: definition.NewCatalog(nil)})
			for _, ask := range []Translation{withURL(c.ask), withMap(c.ask, m)} {
				got, err := s.Translate(ctx, ask)
				if err != nil || got.text() != c.want || got.Result != (got.Message == "") {
					t.Errorf("%s, %v, %q; want %s", got.text(), err, got.Message, c.want)
				}
			}
		})
	}
}

func withURL(ask Translation) Translation {
	ask.URL = "http://m/1"
	return ask
}

func withMap(ask Translation, m *definition.Definition) Translation {
	ask.Map = m
	return ask
}

func (t Translated) text() string {
	var b strings.Builder
	fmt.Fprint(&b, t.Result)
	for _, m := range t.Matches {
		fmt.Fprintf(&b, " %s %s|%s", m.Equivalence, m.Coding.System, m.Coding.Code)
	}
	return b.String()
}

// TestTranslateBetween finds the map by what it is between.
func TestTranslateBetween(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	m := mapped(t, "http://m/1", fmt.Sprintf(fromAToB, `{"mode":"provided"}`))
	retired := mapped(t, "http://m/old", fmt.Sprintf(fromAToB, `{"mode":"provided"}`))
	retired.Status = "retired"
	list := func(context.Context) ([]*definition.Definition, error) {
		return []*definition.Definition{retired, m}, nil
	}
	one, x := []Coding{{System: "http://a", Code: "1"}}, []Coding{{System: "http://b", Code: "x"}}
	for _, c := range []struct {
		name, want string
		ask        Translation
	}{
		{"target", "true wider http://b|x disjoint http://b|y", Translation{Target: "http://vs/b", Codings: one, Maps: list}},
		{"version of target", "true wider http://b|x disjoint http://b|y", Translation{Target: "http://vs/b|2", Codings: one, Maps: list}},
		{"other version of target", "not-found", Translation{Target: "http://vs/b|3", Codings: one, Maps: list}},
		{"both", "true wider http://b|x disjoint http://b|y", Translation{Source: "http://vs/a", Target: "http://vs/b", Codings: one, Maps: list}},
		{"the wrong way", "not-found", Translation{Source: "http://vs/b", Target: "http://vs/a", Codings: one, Maps: list}},
		{"reverse", "true narrower http://a|1", Translation{Source: "http://vs/b", Target: "http://vs/a", Codings: x, Reverse: true, Maps: list}},
		{"system", "true wider http://b|x disjoint http://b|y", Translation{TargetSystem: "http://b", Codings: one, Maps: list}},
		{"system, reverse", "true narrower http://a|1", Translation{TargetSystem: "http://a", Codings: x, Reverse: true, Maps: list}},
		{"other system", "not-found", Translation{TargetSystem: "http://c", Codings: one, Maps: list}},
		{"nothing named", "required", Translation{Codings: one, Maps: list}},
		{"no code", "required", Translation{TargetSystem: "http://b", Maps: list}},
		{"empty code", "required", Translation{TargetSystem: "http://b", Codings: []Coding{{System: "http://a"}}, Maps: list}},
		{"unknown map", "not-found", Translation{URL: "http://m/none", Codings: one}},
	} {
		got, err := s.Translate(t.Context(), c.ask)
		text := got.text()
		if o := fhir.AsOutcome(err); o != nil {
			text = string(o.Issues[0].Code)
		}
		if text != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, text, err, c.want)
		}
	}
}

// TestTranslateMany does not ask maps again that all say to ask each other.
func TestTranslateMany(t *testing.T) {
	t.Parallel()
	var all []*definition.Definition
	group := func(to int) string {
		return fmt.Sprintf(`{"source":"http://a","target":"http://b","element":[{"code":"1"}],"unmapped":{"mode":"other-map","url":"http://m/%d"}}`, to)
	}
	for n := range 40 {
		var groups []string
		for to := range 40 {
			groups = append(groups, group(to))
		}
		all = append(all, mapped(t, fmt.Sprintf("http://m/%d", n), `"group":[`+strings.Join(groups, ",")+`]`))
	}
	s := New(Config{Definitions: definition.NewCatalog(nil)})
	got, err := s.Translate(definition.Beside(t.Context(), all), Translation{URL: "http://m/0", Codings: []Coding{{System: "http://a", Code: "9"}}})
	if err != nil || got.Result || len(got.Matches) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
