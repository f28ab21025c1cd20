package auth_test

import (
	"testing"

	"github.com/openconsult/openconsult/auth"
)

// TestRequirementLaunchRoles: a launch scope with a role that nobody supports asks
// for the context of its type.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-context-data
func TestRequirementLaunchRoles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"launch/patient?role=relative":                                "launch/patient",
		"launch/encounter?role=https://example.org/role":              "launch/encounter",
		"launch/patient?role=x launch/patient":                        "launch/patient",
		"launch/patient?roles=x":                                      "",
		"launch?role=x":                                               "",
		"openid?role=x":                                               "",
		"launch/patient?role=a patient/Task.r launch/practitioner":    "launch/patient patient/Task.r",
		"launch/patient&role=x launch/encounter/?role=x offline?role": "",
	} {
		if s, _ := auth.ParseScopes(text, known); s.String() != want {
			t.Errorf("%s: %q, want %q", text, s, want)
		}
	}
}
