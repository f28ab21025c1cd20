package auth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

const all = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch

// known are the parameters that a scope may name in these tests.
func known(typ, param string) bool {
	return typ != "*" && slices.Contains([]string{"category", "code", "patient", "_id", "_has", "_include", "_sort", "_count", "_filter", "clinical-status", "category:in", "patient.name"}, param)
}

func TestParseScopes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]access.Scope{
		"patient/Observation.rs":               {Context: access.ForPatient, Type: "Observation", Allows: access.MayRead | access.MaySearch},
		"patient/Observation.r":                {Context: access.ForPatient, Type: "Observation", Allows: access.MayRead},
		"user/*.cruds":                         {Context: access.ForUser, Type: "*", Allows: all},
		"user/Task.cud":                        {Context: access.ForUser, Type: "Task", Allows: access.MayCreate | access.MayUpdate | access.MayDelete},
		"system/*.read":                        {Context: access.ForSystem, Type: "*", Allows: access.MayRead | access.MaySearch},
		"system/Task.write":                    {Context: access.ForSystem, Type: "Task", Allows: access.MayCreate | access.MayUpdate | access.MayDelete},
		"patient/*.*":                          {Context: access.ForPatient, Type: "*", Allows: all},
		"patient/Observation.rs?category=lab":  {Context: access.ForPatient, Type: "Observation", Allows: access.MayRead | access.MaySearch, Where: []access.Argument{{Param: "category", Value: "lab"}}},
		"patient/Observation.rs?code=a&code=b": {Context: access.ForPatient, Type: "Observation", Allows: access.MayRead | access.MaySearch, Where: []access.Argument{{Param: "code", Value: "a"}, {Param: "code", Value: "b"}}},
		"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory": {Context: access.ForPatient, Type: "Observation", Allows: access.MayRead | access.MaySearch,
			Where: []access.Argument{{Param: "category", Value: "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"}}},
		"patient/Condition.r?clinical-status=active,recurrence": {Context: access.ForPatient, Type: "Condition", Allows: access.MayRead, Where: []access.Argument{{Param: "clinical-status", Value: "active,recurrence"}}},
	} {
		s, refused := auth.ParseScopes(text, known)
		if len(refused) > 0 || len(s.Resource) != 1 {
			t.Errorf("%s: %v, refused %q", text, s.Resource, refused)
			continue
		}
		if d := cmp.Diff(auth.Scope{Scope: want, Text: text}, s.Resource[0]); d != "" || s.String() != text {
			t.Errorf("%s: %s, spelled %s", text, d, s)
		}
	}
}

// TestRefusedScopes: what other servers took for more than it says is refused.
func TestRefusedScopes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no permission":              "patient/Observation.",
		"no dot":                     "patient/Observation",
		"dot alone":                  "patient/.",
		"letters out of order":       "patient/Observation.dus",
		"letters out of order, few":  "patient/Observation.sr",
		"a letter twice":             "patient/Observation.rrs",
		"unknown letter":             "patient/Observation.rx",
		"all and a letter":           "patient/Observation.*s",
		"upper case letters":         "patient/Observation.RS",
		"trailing junk":              "patient/Observation.read-only",
		"two words":                  "patient/Observation.readwrite",
		"two dots":                   "patient/Observation.r.s",
		"another slash":              "patient/Observation.rs/x",
		"condition without a value":  "patient/Observation.rs?active",
		"empty value":                "patient/Observation.rs?category=",
		"no condition":               "patient/Observation.rs?",
		"empty condition":            "patient/Observation.rs?category=a&",
		"empty name":                 "patient/Observation.rs?=a",
		"same condition twice":       "patient/Observation.rs?category=a&category=a",
		"percent slash":              "patient%2fObservation.rs",
		"percent slash, upper":       "patient%2FObservation.rs",
		"percent in a value":         "patient/Observation.rs?category=a%7Cb",
		"modifier":                   "patient/Observation.rs?category:in=a",
		"chain":                      "patient/Observation.rs?patient.name=a",
		"reverse chain":              "patient/Observation.rs?_has=a",
		"reverse chain, whole":       "patient/Observation.rs?_has:Condition:patient:code=a",
		"include":                    "patient/Observation.rs?_include=Observation:patient",
		"sort":                       "patient/Observation.rs?_sort=date",
		"count":                      "patient/Observation.rs?_count=1",
		"filter":                     "patient/Observation.rs?_filter=a",
		"unknown parameter":          "patient/Observation.rs?status=final",
		"condition on all types":     "patient/*.rs?category=a",
		"unknown type":               "patient/Observations.rs",
		"type in another case":       "patient/observation.rs",
		"abstract type":              "patient/DomainResource.rs",
		"data type":                  "patient/HumanName.rs",
		"no type":                    "patient/.rs",
		"part of a type":             "patient/Obs*.rs",
		"unknown context":            "practitioner/Observation.rs",
		"context in another case":    "Patient/Observation.rs",
		"no context":                 "/Observation.rs",
		"context alone":              "patient/",
		"all contexts":               "*/*.*",
		"quote":                      `patient/Observation.rs?category="a"`,
		"backslash":                  `patient/Observation.rs?category=a\,b`,
		"tab":                        "patient/Observation.rs\tuser/*.cruds",
		"line break":                 "patient/Observation.rs\nuser/*.cruds",
		"null":                       "patient/Observation.rs\x00",
		"no-break space":             "patient/Observation.rs\u00a0user/*.cruds",
		"letter that looks the same": "patient/Оbservation.rs",
		"not UTF-8":                  "patient/Observation.rs?category=\xff",
		"identity, in another case":  "fhiruser",
		"role of a launch":           "launch/location?role=x",
		"launch and more":            "launch/patient/1",
		"unknown":                    "admin",
	} {
		s, refused := auth.ParseScopes(text, known)
		if len(s.Resource) > 0 || s.String() != "" || len(refused) != 1 || refused[0] != text {
			t.Errorf("%s: %s gives %v, refuses %q", name, text, s.Resource, refused)
		}
		if s, _ := auth.ParseScopes("openid "+text+" patient/Task.r", known); s.String() != "openid patient/Task.r" {
			t.Errorf("%s: among others it gives %s", name, s)
		}
	}
}

func TestParseScopesTogether(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want, refused string }{
		"nothing":        {"", "", ""},
		"blanks":         {"   ", "", ""},
		"identity":       {"fhirUser  openid profile", "openid fhirUser profile", ""},
		"launch":         {"launch/encounter launch/patient launch offline_access online_access", "launch launch/patient launch/encounter offline_access online_access", ""},
		"twice":          {"patient/Task.r patient/Task.r openid openid", "openid patient/Task.r", ""},
		"both versions":  {"patient/Task.read patient/Task.rs", "patient/Task.read patient/Task.rs", ""},
		"order is kept":  {"user/Task.r patient/Task.r openid", "openid user/Task.r patient/Task.r", ""},
		"system alone":   {"system/Task.r system/Patient.r", "system/Task.r system/Patient.r", ""},
		"system, user":   {"system/Task.r user/Task.r", "user/Task.r", "system/Task.r"},
		"system, others": {"patient/Task.r x system/*.cruds", "patient/Task.r", "x system/*.cruds"},
		"system, bad":    {"system/Task.r user/Task.sr", "system/Task.r", "user/Task.sr"},
		"too many":       {strings.Repeat("openid ", 301), "", strings.Repeat("openid ", 301)},
		"too long":       {"openid " + strings.Repeat("x", 17000), "", "openid " + strings.Repeat("x", 17000)},
		"conditions":     {"patient/Task.r?" + strings.TrimSuffix(strings.Repeat("code=x&", 11), "&"), "", "patient/Task.r?" + strings.TrimSuffix(strings.Repeat("code=x&", 11), "&")},
	} {
		s, refused := auth.ParseScopes(tt.text, known)
		if s.String() != tt.want || strings.Join(refused, " ") != tt.refused {
			t.Errorf("%s: %s, refused %q", name, s, refused)
		}
	}
	if s, refused := auth.ParseScopes("patient/Task.r?code=x", nil); s.String() != "" || len(refused) != 1 {
		t.Errorf("without a registry: %s, refused %q", s, refused)
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ asked, allowed, want string }{
		"same":                         {"openid patient/Task.rs", "patient/Task.rs openid fhirUser", "openid patient/Task.rs"},
		"nothing asked":                {"", "openid user/*.cruds", ""},
		"nothing allowed":              {"openid user/*.cruds", "", ""},
		"another context":              {"user/Task.r", "patient/Task.r", ""},
		"another type":                 {"user/Task.r", "user/Patient.r", ""},
		"another permission":           {"user/Task.r", "user/Task.cuds", ""},
		"type of all":                  {"user/Task.r", "user/*.cruds", "user/Task.r"},
		"all of types":                 {"user/*.rs", "user/Task.rs user/Patient.r user/Basic.d", "user/Task.rs user/Patient.r"},
		"permissions":                  {"user/Task.cruds", "user/Task.rs", "user/Task.rs"},
		"spelling of SMART 1":          {"user/Task.read user/*.*", "user/*.cruds", "user/Task.read user/*.*"},
		"narrowed SMART 1":             {"user/*.*", "user/Task.rs user/Patient.cud user/Basic.r", "user/Task.read user/Patient.write user/Basic.r"},
		"SMART 1 allows":               {"user/Task.rs", "user/*.read", "user/Task.rs"},
		"two allow together":           {"user/Task.rs", "user/Task.r user/Task.s", "user/Task.rs"},
		"one allows more":              {"user/Task.rs", "user/*.rs user/Task.r", "user/Task.rs"},
		"one allows more, later":       {"user/Task.rs", "user/Task.r user/*.rs", "user/Task.rs"},
		"granular stays":               {"user/Observation.rs?category=a", "user/Observation.rs", "user/Observation.rs?category=a"},
		"granular of all":              {"user/Observation.rs?category=a", "user/*.cruds", "user/Observation.rs?category=a"},
		"becomes granular":             {"user/Observation.rs", "user/Observation.rs?category=a user/Observation.r?category=b", "user/Observation.rs?category=a user/Observation.r?category=b"},
		"all becomes granular":         {"user/*.read", "user/Observation.rs?category=a", "user/Observation.read?category=a"},
		"both granular":                {"user/Observation.rs?category=a", "user/Observation.rs?category=b", "user/Observation.rs?category=a&category=b"},
		"same granular":                {"user/Observation.rs?code=c&category=a", "user/Observation.rs?category=a", "user/Observation.rs?code=c&category=a"},
		"granular and not":             {"user/Observation.rs", "user/Observation.rs?category=a user/Observation.rs", "user/Observation.rs"},
		"granular and not, each other": {"user/Observation.rs", "user/Observation.rs?category=a user/Observation.r", "user/Observation.rs?category=a user/Observation.r"},
	} {
		asked, _ := auth.ParseScopes(tt.asked, known)
		allowed, _ := auth.ParseScopes(tt.allowed, known)
		if got := asked.Within(allowed).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// shows reports whether scopes give what is asked, a permission for a resource of
// a type in a context, if the resource has some categories.
func shows(s auth.Scopes, asked access.Scope, categories []string) bool {
	return slices.ContainsFunc(s.Resource, func(r auth.Scope) bool {
		return r.Context == asked.Context && (r.Type == "*" || r.Type == asked.Type) && r.Allows&asked.Allows != 0 &&
			!slices.ContainsFunc(r.Where, func(a access.Argument) bool { return !slices.Contains(categories, a.Value) })
	})
}

// TestWithinIsBoth: what is within gives exactly what both give.
func TestWithinIsBoth(t *testing.T) {
	t.Parallel()
	types := []string{"Task", "Observation"}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) auth.Scopes {
			var words []string
			for range rapid.IntRange(0, 4).Draw(t, label) {
				typ := rapid.SampledFrom(append(types, "*")).Draw(t, "type")
				w := rapid.SampledFrom([]string{"patient/", "user/"}).Draw(t, "context") + typ +
					rapid.SampledFrom([]string{".r", ".s", ".rs", ".cud", ".cruds", ".read", ".write", ".*"}).Draw(t, "permissions")
				if typ != "*" {
					w += rapid.SampledFrom([]string{"", "", "?category=a", "?category=b", "?category=a&code=b"}).Draw(t, "condition")
				}
				words = append(words, w)
			}
			s, refused := auth.ParseScopes(strings.Join(words, " "), known)
			if len(refused) > 0 {
				t.Fatalf("%q refused", refused)
			}
			return s
		}
		a, b := draw("asked"), draw("allowed")
		both := a.Within(b)
		if again, refused := auth.ParseScopes(both.String(), known); len(refused) > 0 || again.String() != both.String() {
			t.Fatalf("%s is read as %s, without %q", both, again, refused)
		}
		for _, c := range []access.Context{access.ForPatient, access.ForUser} {
			for _, typ := range append(types, "Patient") {
				for p := access.MayCreate; p <= access.MaySearch; p <<= 1 {
					for _, is := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}} {
						asked := access.Scope{Context: c, Type: typ, Allows: p}
						want := shows(a, asked, is) && shows(b, asked, is)
						if got := shows(both, asked, is); got != want {
							t.Fatalf("%s within %s is %s: gives %d on %s %v: %v", a, b, both, p, typ, is, got)
						}
					}
				}
			}
		}
	})
}

// TestSpelled: a scope that nobody asked for is spelled so that it can be read.
func TestSpelled(t *testing.T) {
	t.Parallel()
	s := auth.Scopes{Resource: []auth.Scope{{Scope: access.Scope{Context: access.ForUser, Type: "Observation", Allows: access.MayRead | access.MaySearch, Where: []access.Argument{{Param: "category", Value: "a"}, {Param: "code", Value: "b"}}}}}}
	if got, want := s.String(), "user/Observation.rs?category=a&code=b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzParseScopes: what is understood is spelled as it was sent, once, is read the
// same again, and is within itself and within nothing.
func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{
		"", "openid fhirUser launch/patient patient/*.rs", "patient/Observation.rs?category=a|b user/*.cruds", "system/*.* x", "patient/Observation. patient/Observation.dus",
		"patient%2fObservation.rs", "patient/Observation.rs?category:in=a&_has=b", "system/Task.r user/Task.r", "user/Task.r?code=a&code=b", "patient/\x00.r", "user/*.rs?code=a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, refused := auth.ParseScopes(text, known)
		spelled := s.String()
		again, left := auth.ParseScopes(spelled, known)
		if len(left) > 0 || again.String() != spelled || !cmp.Equal(s, again) {
			t.Fatalf("%q is %q, read again %q without %q", text, spelled, again, left)
		}
		if w := s.Within(s); w.String() != spelled && len(s.Resource) < 2 {
			t.Fatalf("%q within itself is %q", spelled, w)
		}
		if w := s.Within(auth.Scopes{}); w.String() != "" {
			t.Fatalf("%q within nothing is %q", spelled, w)
		}
		tokens := strings.Split(text, " ")
		for _, r := range s.Resource {
			if r.Allows == 0 || r.Context == 0 || r.Type == "" || !slices.Contains(tokens, r.Text) || slices.Contains(refused, r.Text) {
				t.Fatalf("%q gives %+v, refuses %q", text, r, refused)
			}
		}
	})
}
