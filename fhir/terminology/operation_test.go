package terminology

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

func TestValidateInValueSet(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, set("urn:all", `{"include":[{"system":"urn:animals"}]}`), set("urn:list", `{"include":[{"system":"urn:animals","concept":[{"code":"dog","display":"Doggy"}]},{"system":"urn:nowhere","concept":[{"code":"n"}]}]}`), set("urn:lost", `{"include":[{"system":"urn:nowhere"}]}`))
	no := false
	tests := []struct {
		name    string
		r       ValidateRequest
		result  bool
		display string
		message string // part of it
	}{
		{"a code", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "dog"}}}, true, "Dog", ""},
		{"without a system", ValidateRequest{URL: "urn:all", Codings: []Coding{{Code: "dog"}}}, true, "Dog", ""},
		{"its display", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "dog", Display: " dOG "}}}, true, "Dog", ""},
		{"a designation", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "dog", Display: "Hund"}}}, true, "Dog", ""},
		{"the display of the value set", ValidateRequest{URL: "urn:list", Codings: []Coding{{System: "urn:animals", Code: "dog", Display: "Doggy"}}}, true, "Dog", ""},
		{"another display", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "dog", Display: "Cat"}}}, false, "Dog", `use "Dog"`},
		{"any display where there is none", ValidateRequest{URL: "urn:list", Codings: []Coding{{System: "urn:nowhere", Code: "n", Display: "Cat"}}}, true, "", ""},
		{"in another language", ValidateRequest{URL: "urn:all", Language: "de", Codings: []Coding{{System: "urn:animals", Code: "dog"}}}, true, "Hund", ""},
		{"another code", ValidateRequest{URL: "urn:list", Codings: []Coding{{System: "urn:animals", Code: "bat"}}}, false, "", "value set urn:list"},
		{"no code", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "cat"}}}, false, "", "code system urn:animals"},
		{"inactive", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "dodo"}}}, true, "Dodo", "not in use"},
		{"abstract", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:animals", Code: "animal"}}}, true, "Animal", ""},
		{"abstract where it must not be", ValidateRequest{URL: "urn:all", Abstract: &no, Codings: []Coding{{System: "urn:animals", Code: "animal"}}}, false, "Animal", "abstract"},
		{"one of several", ValidateRequest{URL: "urn:all", Codings: []Coding{{System: "urn:x", Code: "1"}, {System: "urn:animals", Code: "dog"}}}, true, "Dog", ""},
		{"undecided", ValidateRequest{URL: "urn:lost", Codings: []Coding{{System: "urn:nowhere", Code: "1"}}}, false, "", "not known here"},
		{"given", ValidateRequest{Given: decode(t, set("urn:given", `{"include":[{"system":"urn:animals","concept":[{"code":"bat"}]}]}`)), Codings: []Coding{{System: "urn:animals", Code: "bat"}}}, true, "Bat", ""},
	}
	for _, tt := range tests {
		got, err := s.ValidateInValueSet(ctx, tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Result != tt.result || got.Display != tt.display || !strings.Contains(got.Message, tt.message) || (tt.message == "") != (got.Message == "") || got.Result != (got.Coding.Code != "") {
			t.Errorf("%s: %+v", tt.name, *got)
		}
	}
	for _, r := range []ValidateRequest{{URL: "urn:all"}, {URL: "urn:unheard", Codings: []Coding{{Code: "x"}}}} {
		if _, err := s.ValidateInValueSet(ctx, r); fhir.AsOutcome(err) == nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestValidateInCodeSystem(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, part, gone)
	tests := []struct {
		r    ValidateRequest
		want bool
	}{
		{ValidateRequest{URL: "urn:animals", Codings: []Coding{{Code: "dog"}}}, true},
		{ValidateRequest{URL: "urn:animals|2", Codings: []Coding{{Code: "dog"}}}, true},
		{ValidateRequest{Codings: []Coding{{System: "urn:animals", Code: "dog", Display: "Dog"}}}, true},
		{ValidateRequest{URL: "urn:animals", Codings: []Coding{{Code: "dog", Display: "Cat"}}}, false},
		{ValidateRequest{URL: "urn:animals", Codings: []Coding{{Code: "cat"}}}, false},
		{ValidateRequest{URL: "urn:animals", Codings: []Coding{{System: "urn:part", Code: "A"}}}, false},
		{ValidateRequest{URL: "urn:part", Codings: []Coding{{System: "urn:part", Code: "z"}}}, false},
		{ValidateRequest{Given: decode(t, part), Codings: []Coding{{Code: "b"}}}, true},
		{ValidateRequest{URL: "http://unitsofmeasure.org", Codings: []Coding{{Code: "mg", Display: "milligram"}}}, true},
	}
	for _, tt := range tests {
		got, err := s.ValidateInCodeSystem(ctx, tt.r)
		if err != nil || got.Result != tt.want || !tt.want && got.Message == "" {
			t.Errorf("%+v: %+v, %v", tt.r, got, err)
		}
	}
	for _, r := range []ValidateRequest{{URL: "urn:animals"}, {Codings: []Coding{{Code: "x"}}}, {URL: "urn:animals|7", Codings: []Coding{{Code: "x"}}}, {URL: "urn:gone", Codings: []Coding{{Code: "x"}}}} {
		if _, err := s.ValidateInCodeSystem(ctx, r); fhir.AsOutcome(err) == nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, gone)
	tests := []struct {
		r    LookupRequest
		want string
	}{
		{LookupRequest{Coding: Coding{System: "urn:animals", Code: "dog"}}, "Animals 2 dog Dog; It barks.; de:Hund nl-BE:Hond; legs=4 eats=fish parent=mammal"},
		{LookupRequest{Coding: Coding{System: "urn:animals", Code: "dog"}, Language: "de", Properties: []string{"legs", "lang.de"}}, "Animals 2 dog Hund; ; de:Hund; legs=4"},
		{LookupRequest{Coding: Coding{System: "urn:animals", Code: "dodo"}, Properties: []string{"inactive"}}, "Animals 2 dodo Dodo; ; ; inactive=true"},
		{LookupRequest{Coding: Coding{System: "urn:animals", Code: "bird"}, Properties: []string{"parent", "child"}}, "Animals 2 bird Bird; ; ; parent=animal child=dodo child=duck"},
		{LookupRequest{Coding: Coding{System: "urn:animals", Code: "duck"}}, "Animals 2 duck Mallard duck; ; ; legs=2 kin=urn:x|goose parent=bird parent=flyer"},
		{LookupRequest{Coding: Coding{System: "http://unitsofmeasure.org", Code: "mg"}}, "UCUM  mg mg; ; ; "},
	}
	for _, tt := range tests {
		c, err := s.Lookup(ctx, tt.r)
		if err != nil {
			t.Errorf("%+v: %v", tt.r, err)
			continue
		}
		var words, properties []string
		for _, d := range c.Designations {
			words = append(words, d.Language+":"+d.Value)
		}
		for _, p := range c.Properties {
			value := p.Value
			if p.Kind == "Coding" {
				value = p.Coding.System + "|" + p.Coding.Code
			}
			properties = append(properties, p.Code+"="+value)
		}
		got := fmt.Sprintf("%s %s %s %s; %s; %s; %s", c.Name, c.Version, c.Code, c.Display, c.Definition, strings.Join(words, " "), strings.Join(properties, " "))
		if got != tt.want {
			t.Errorf("%+v\ngot  %s\nwant %s", tt.r, got, tt.want)
		}
	}
	for _, c := range []Coding{{System: "urn:animals", Code: "cat"}, {System: "urn:nobody", Code: "x"}, {System: "urn:gone", Code: "x"}} {
		if _, err := s.Lookup(ctx, LookupRequest{Coding: c}); fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unknown {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestSubsumes(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals)
	for pair, want := range map[string]string{"dog dog": "equivalent", "animal duck": "subsumes", "flyer duck": "subsumes", "bat flyer": "subsumed-by", "dog bat": "not-subsumed", "mammal duck": "not-subsumed"} {
		a, b, _ := strings.Cut(pair, " ")
		got, err := s.Subsumes(ctx, Coding{System: "urn:animals", Code: a}, Coding{System: "urn:animals", Code: b})
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", pair, got, err)
		}
	}
	for _, pair := range [][2]Coding{
		{{System: "urn:animals", Code: "dog"}, {System: "urn:x", Code: "dog"}}, {{System: "urn:animals", Code: "dog"}, {System: "urn:animals", Code: "cat"}},
		{{System: "urn:x", Code: "dog"}, {System: "urn:x", Code: "dog"}}, {{Code: "dog"}, {Code: "dog"}},
	} {
		if _, err := s.Subsumes(ctx, pair[0], pair[1]); fhir.AsOutcome(err) == nil {
			t.Errorf("%v: %v", pair, err)
		}
	}
}

func TestBelowAndAbove(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals)
	tests := []struct {
		ask  func(context.Context, Coding, int) ([]spec.Coding, error)
		code string
		want string
	}{
		{s.Below, "bird", "bird dodo duck"}, {s.Below, "dog", "dog"}, {s.Below, "cat", "cat"},
		{s.Above, "duck", "animal bird duck flyer"}, {s.Above, "animal", "animal"},
	}
	for _, tt := range tests {
		got, err := tt.ask(ctx, Coding{System: "urn:animals", Code: tt.code}, 4)
		if err != nil {
			t.Errorf("%s: %v", tt.code, err)
		}
		var codes []string
		for _, c := range got {
			codes = append(codes, c.Code)
			if c.System != "urn:animals" {
				t.Errorf("%v", c)
			}
		}
		if strings.Join(codes, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.code, codes, tt.want)
		}
	}
	for _, c := range []Coding{{System: "urn:animals", Code: "animal"}, {System: "urn:nobody", Code: "x"}} {
		if _, err := s.Below(ctx, c, 4); fhir.AsOutcome(err) == nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	got, err := s.Below(ctx, Coding{System: "http://unitsofmeasure.org", Code: "mg"}, 4)
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}
