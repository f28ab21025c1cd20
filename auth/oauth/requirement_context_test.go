package oauth_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/auth/oauth"
)

const launchScopes = "openid fhirUser launch launch/patient offline_access patient/*.rs user/*.rs"

// items are elements of fhirContext of every kind that SMART allows.
func items() []oauth.ContextItem {
	return []oauth.ContextItem{
		{Reference: "ImagingStudy/1", Role: "launch"},
		{Reference: "ImagingStudy/2"},
		{Canonical: "https://example.org/Questionnaire/phq9|2.0", Type: "Questionnaire", Role: "https://example.org/role/form"},
		{Identifier: map[string]any{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2"}, Type: "ServiceRequest", Role: "https://example.org/role/form"},
		{Reference: "Patient/relative", Role: "https://example.org/role/mother"},
		{Reference: "Encounter/before", Type: "Encounter", Role: "https://example.org/role/earlier"},
	}
}

// launched goes through an EHR launch and returns the answer of the token
// endpoint.
func (w *world) launched(l oauth.Launch) oauth.TokenResponse {
	w.t.Helper()
	l.Client, l.Account = "web", "acc1"
	handle, err := w.MintLaunch(w.t.Context(), l)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.Ask(w.t.Context(), request(map[string]string{"client_id": "web", "launch": handle, "scope": launchScopes}))
	if err != nil {
		w.t.Fatal(err)
	}
	q := w.agree(r, oauth.Decision{})
	got, err := w.Token(w.t.Context(), redemption(q.Get("code"), map[string]string{"client_id": ""}), w.basic())
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// fieldsOf returns v as JSON has it.
func fieldsOf(t testing.TB, v any) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(mustJSON(t, v)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRequirementFHIRContext hands over every kind of element of fhirContext, which
// the app gets as it is, and those that SMART forbids, which are refused.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#fhircontext-exp
func TestRequirementFHIRContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := fieldsOf(t, w.launched(oauth.Launch{Patient: "p7", Context: items()}))
	want := fieldsOf(t, map[string]any{"fhirContext": items()})
	if diff := cmp.Diff(want["fhirContext"], got["fhirContext"]); diff != "" {
		t.Error(diff)
	}
	list, _ := got["fhirContext"].([]any)
	for _, item := range list {
		fields, _ := item.(map[string]any)
		if role, ok := fields["role"]; ok && role == "" {
			t.Errorf("the role of %v is empty", fields)
		}
	}
	for name, item := range map[string]oauth.ContextItem{
		"nothing":                          {Type: "ImagingStudy", Role: "launch"},
		"absolute reference":               {Reference: "https://example.org/ImagingStudy/1"},
		"reference to no id":               {Reference: "ImagingStudy"},
		"reference to another type":        {Reference: "ImagingStudy/1", Type: "Task"},
		"Patient of the launch":            {Reference: "Patient/1", Role: "launch"},
		"Patient without a role":           {Reference: "Patient/1"},
		"Encounter without a role":         {Reference: "Encounter/1"},
		"Patient by identifier":            {Identifier: map[string]any{"value": "1"}, Type: "Patient"},
		"Encounter by identifier":          {Identifier: map[string]any{"value": "1"}, Type: "Encounter", Role: "launch"},
		"role of nobody, and not absolute": {Reference: "ImagingStudy/1", Role: "form"},
		"role with a path":                 {Reference: "ImagingStudy/1", Role: "/role/form"},
		"role that is no URI":              {Reference: "ImagingStudy/1", Role: "http://%"},
	} {
		_, err := w.MintLaunch(t.Context(), oauth.Launch{Client: "web", Account: "acc1", Context: []oauth.ContextItem{item}})
		if code, _ := codeOf(err); code != "invalid_request" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRequirementContextIsRepeated: whatever context came with the first access
// token comes with each further one, and introspection tells it, too.
// https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html#conditional-fields-in-the-introspection-response
func TestRequirementContextIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.launched(oauth.Launch{Patient: "p7", Encounter: "e7", Intent: "reconcile", NoBanner: true, Context: items()})
	w.clock.pass(time.Hour)
	second, err := w.refresh("web", first.RefreshToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	context := []string{"patient", "encounter", "intent", "need_patient_banner", "smart_style_url", "fhirContext"}
	given, again := fieldsOf(t, first), fieldsOf(t, second)
	said, err := w.introspect(second.AccessToken, w.basic(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := fieldsOf(t, said)
	for _, name := range context {
		if given[name] == nil || !cmp.Equal(given[name], again[name]) || !cmp.Equal(given[name], told[name]) {
			t.Errorf("%s: %v at first, %v after refreshing, %v by introspection", name, given[name], again[name], told[name])
		}
	}
	id := w.claims(first.IDToken)
	for name, want := range map[string]any{"iss": id["iss"], "sub": id["sub"], "fhirUser": id["fhirUser"], "scope": again["scope"], "client_id": "web", "active": true,
		"exp": float64(w.clock.Now().Unix()) + again["expires_in"].(float64)} {
		if told[name] != want || want == nil {
			t.Errorf("introspection: %s is %v, want %v", name, told[name], want)
		}
	}
}

// TestRequirementNoOtherFields: the answer of the token endpoint has what SMART and
// OAuth name, and nothing that would need a name of our own.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#extensibility
func TestRequirementNoOtherFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := fieldsOf(t, w.launched(oauth.Launch{Patient: "p7", Encounter: "e7", Intent: "reconcile", Context: items()}))
	want := []string{"access_token", "encounter", "expires_in", "fhirContext", "id_token", "intent", "need_patient_banner", "patient", "refresh_token", "scope", "smart_style_url", "token_type"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	for name, like := range map[string]any{"patient": "", "encounter": "", "intent": "", "smart_style_url": "", "scope": "", "token_type": "", "access_token": "", "need_patient_banner": true, "expires_in": 1.0, "fhirContext": []any{}} {
		if g, w := got[name], like; cmp.Equal(g, nil) || typeOf(g) != typeOf(w) {
			t.Errorf("%s is %v", name, g)
		}
	}
}

// typeOf returns what JSON calls the type of v.
func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case []any:
		return "array"
	}
	return "other"
}
