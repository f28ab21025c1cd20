package definition

import "testing"

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	c := NewCatalog(nil)
	all := c.BuiltIn("ConceptMap")
	if len(all) != 80 {
		t.Errorf("%d concept maps, want 80", len(all))
	}
	for i, d := range all {
		if found, err := c.Find(t.Context(), "ConceptMap", d.URL); err != nil || found != d {
			t.Errorf("%s is found as %v: %v", d.URL, found, err)
		}
		if i > 0 && all[i-1].URL >= d.URL {
			t.Errorf("%s stands behind %s", d.URL, all[i-1].URL)
		}
	}
	if c.BuiltIn("Patient") != nil {
		t.Error("there are patients")
	}
}
