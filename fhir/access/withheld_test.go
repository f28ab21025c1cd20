package access

import (
	"regexp"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestWithheldFor: patients and who acts for them are shown a Practitioner in part,
// everybody who is not known to be somebody else is one of these.
func TestWithheldFor(t *testing.T) {
	t.Parallel()
	key := func(typ string) fhir.Key { return fhir.Key{Type: typ, ID: "1"} }
	for name, tt := range map[string]struct {
		grant Grant
		part  bool
	}{
		"patient":                  {NewGrant(Terms{User: key("Patient"), Patient: key("Patient")}), true},
		"relative":                 {NewGrant(Terms{User: key("RelatedPerson")}), true},
		"somebody unheard of":      {NewGrant(Terms{User: key("Person")}), true},
		"app with a patient alone": {NewGrant(Terms{Patient: key("Patient")}), true},
		"clinician":                {NewGrant(Terms{User: key("Practitioner"), Patient: key("Patient")}), false},
		"role":                     {NewGrant(Terms{User: key("PractitionerRole")}), false},
		"client":                   {NewGrant(Terms{Client: "c"}), false},
		"trusted":                  {Trusted("t"), false},
	} {
		for _, typ := range spec.R4().Resources() {
			if part := tt.grant.Withheld(typ.Name) != nil; part != (tt.part && typ.Name == "Practitioner") {
				t.Errorf("%s: a %s is shown in part: %v", name, typ.Name, part)
			}
		}
		for what, tells := range map[string]bool{
			"phone":  tt.grant.Tells("Practitioner", "phone", false),
			"custom": tt.grant.Tells("Practitioner", "family", true),
		} {
			if tells != tt.part {
				t.Errorf("%s: %s tells: %v", name, what, tells)
			}
		}
		if tt.grant.Tells("Practitioner", "family", false) || tt.grant.Tells("Patient", "phone", true) {
			t.Errorf("%s: what is shown is withheld", name)
		}
	}
}

// TestWithheldParams: each element exists, and each parameter of R4 that looks at it
// is listed.
func TestWithheldParams(t *testing.T) {
	t.Parallel()
	const typ = "Practitioner"
	var listed []string
	for _, w := range withheld(typ) {
		if spec.R4().Resource(typ).Element(w.Element) == nil {
			t.Errorf("a %s has no %s", typ, w.Element)
		}
		listed = append(listed, w.Params...)
		about := regexp.MustCompile(`\b` + typ + `\.` + w.Element + `\b`)
		for _, p := range spec.R4().SearchParameters {
			if slices.Contains(p.Base, typ) && about.MatchString(p.Expression) != slices.Contains(w.Params, p.Code) {
				t.Errorf("%s looks at %s.%s (%s), which is listed: %v", p.Code, typ, w.Element, p.Expression, slices.Contains(w.Params, p.Code))
			}
		}
	}
	if len(listed) < 10 {
		t.Errorf("only %v are listed", listed)
	}
}

// TestWithheldScopes: a condition of a scope does not tell what is withheld.
func TestWithheldScopes(t *testing.T) {
	t.Parallel()
	patient := fhir.Key{Type: "Patient", ID: "1"}
	view := func(user fhir.Key, s Scope, typ string) View {
		s.Context, s.Allows = ForUser, MayRead
		return NewGrant(Terms{User: user, Scopes: []Scope{s}, Standings: map[Context]Standing{ForUser: {All: true}}}).View(MayRead, typ)
	}
	for _, param := range []string{"telecom", "phone:missing", "address-use"} {
		where := []Argument{{"active", "true"}, {param, "x"}}
		for _, s := range []Scope{{Type: "*", Where: where}, {Type: "Practitioner", Where: where}} {
			for _, typ := range []string{"Practitioner", ""} {
				if v := view(patient, s, typ); len(v) > 0 {
					t.Errorf("%s of %s shows %q to a patient: %v", param, s.Type, typ, v)
				}
			}
			if v := view(fhir.Key{Type: "Practitioner", ID: "1"}, s, "Practitioner"); len(v) != 1 {
				t.Errorf("%s of %s shows a clinician %v", param, s.Type, v)
			}
		}
		if v := view(patient, Scope{Type: "Patient", Where: where}, "Patient"); len(v) != 1 {
			t.Errorf("%s of a Patient shows %v", param, v)
		}
	}
}
