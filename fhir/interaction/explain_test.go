package interaction_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestExplainAccess has the operator told why somebody sees something, and what
// is told agrees with what happens.
func TestExplainAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"CareTeam","id":"team","status":"active","subject":{"reference":"Patient/a"},"participant":[{"member":{"reference":"Organization/c"}}]}`)
	w.put(strings.Replace(observation("v", "a"), `"status"`, `"meta":{"security":[{"system":"`+confidentiality+`","code":"V"}]},"status"`, 1))
	w.put(observation("gone", "a"))
	if _, err := w.trusted.Delete(t.Context(), key("Observation/gone"), store.Anything); err != nil {
		t.Fatal(err)
	}
	granular := w.doctor("a")
	granular.Scopes = []access.Scope{{Context: access.ForUser, Type: "Observation", Allows: access.MayRead, Where: []access.Argument{{Param: "status", Value: "amended"}}}}
	narrow := w.doctor("a")
	narrow.Scopes = scopes(access.ForUser, access.MaySearch, "Observation", "Patient")
	self := w.doctor("a")
	self.Scopes, self.Self = nil, true
	operator := w.as(w.system(access.Operate))
	for _, tt := range []struct {
		what, of string
		terms    access.Terms
		says     []string // in summary, sentences, keys and labels
	}{
		{"the patient", "Observation/a", w.patient("a"), []string{"Permitted", "patient Patient/a", "The content of the resource"}},
		{"the practice", "Observation/a", w.doctor("a"), []string{"Permitted", "party Organization/a", "Patient/a gives the key party Organization/a to whatever has the key record Patient/a."}},
		{"the care team", "Observation/a", w.doctor("c"), []string{"Permitted", "CareTeam/team gives the key party Organization/c"}},
		{"another practice", "Observation/a", w.doctor("b"), []string{"Not permitted", "404", "None of the"}},
		{"a label", "Observation/v", w.doctor("a"), []string{"Not permitted: a label", "The label V hides it"}},
		{"a granular scope", "Observation/a", granular, []string{"Not permitted", "user/Observation.r?status=amended", "does not meet its conditions"}},
		{"a type outside of the scopes", "Practitioner/a", narrow, []string{"Not permitted: no scope of the caller names Practitioner", "403", "It is for Observation"}},
		{"a permission", "Observation/a", narrow, []string{"Not permitted", "It lacks the permission r."}},
		{"oneself", "Practitioner/a", self, []string{"Permitted: the resource is the caller"}},
		{"a deletion", "Observation/gone", w.doctor("b"), []string{"Not permitted: the Observation was deleted"}},
		{"a system", "Observation/a", w.system(0), []string{"Permitted", "sees whatever its scopes name"}},
	} {
		e, err := operator.ExplainAccess(t.Context(), key(tt.of), access.NewGrant(tt.terms), access.MayRead)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		all := e.Summary
		for _, s := range e.Scopes {
			all += "\n" + s.Scope + "\n" + strings.Join(s.Says, "\n")
			for _, k := range s.Keys {
				all += "\n" + k.Key + ": " + k.Says
			}
		}
		for _, want := range tt.says {
			if !strings.Contains(all, want) {
				t.Errorf("%s: lacks %q in\n%s", tt.what, want, all)
			}
		}
		_, err = w.as(tt.terms).Read(t.Context(), key(tt.of))
		if e.Permitted != (err == nil) {
			t.Errorf("%s: told %q, but reading is %v", tt.what, e.Summary, err)
		}
	}
	if e, err := operator.ExplainAccess(t.Context(), key("Observation/a"), access.Trusted("x"), access.MayRead); err != nil || !e.Permitted {
		t.Errorf("a trusted caller: %+v, %v", e, err)
	}
	if e, err := operator.ExplainAccess(t.Context(), key("Observation/a"), access.Grant{}, access.MayRead); err != nil || e.Permitted {
		t.Errorf("nobody: %+v, %v", e, err)
	}
}
