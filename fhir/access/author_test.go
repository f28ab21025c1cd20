package access

import (
	"fmt"
	"testing"
)

// TestAuthorKeysOfSeveral has those write who act for several organisations: what
// they write about a patient of one is not seen by the others for that.
func TestAuthorKeysOfSeveral(t *testing.T) {
	t.Parallel()
	r, f := registry(t), fmt.Sprintf
	const thing = `{"resourceType":"Basic","id":"b","code":{"text":"x"}}`
	const newcomer = `{"resourceType":"Patient","id":"new","managingOrganization":{"reference":"Organization/b"}}`
	system, doctor := client("a", 0), staff("gp", "a", 0)
	system.Organizations, doctor.Organizations = []string{"a", "b"}, []string{"a", "b"}
	for _, tt := range []struct {
		terms      Terms
		next, want string
		sides      map[string][]string
	}{
		{system, f(finding, "Patient/2"), "author Organization/b", map[string][]string{"Patient/2": {"b"}}},
		{system, f(finding, "Patient/2"), "author Organization/a, author Organization/b", map[string][]string{"Patient/2": {"a", "b"}}},
		{system, f(reported, "Patient/2", "Patient/1"), "author Organization/a", map[string][]string{"Patient/1": {"a"}, "Patient/2": {"a", "b"}}},
		{system, f(finding, "Patient/2"), "author Client/system", nil},
		{system, newcomer, "author Organization/b", nil},
		{system, thing, "author Client/system", nil},
		{doctor, f(finding, "Patient/2"), "author Organization/b", map[string][]string{"Patient/2": {"b"}}},
		{doctor, newcomer, "author Organization/b", nil},
		{doctor, thing, "author Organization/a, author Organization/b", nil},
	} {
		g := NewGrant(tt.terms)
		w := writing(t, r, g, "", tt.next)
		w.Sides = tt.sides
		if got := letters(g.AuthorKeys(w)); got != tt.want {
			t.Errorf("%s writes %s about %v: %q, want %q", tt.terms.Client, tt.next, tt.sides, got, tt.want)
		}
	}
}
