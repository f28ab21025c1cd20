package searchsql

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestAccessHashes hashes keys: the kind can be told, nothing clashes with anything
// else, and the resource itself is its RID.
func TestAccessHashes(t *testing.T) {
	t.Parallel()
	s, err := NewSecret([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	patient := fhir.Key{Type: "Patient", ID: "1"}
	seen := map[int64]access.Key{s.RID(patient): {}, s.Compartment(patient): {}}
	for kind := access.Open; kind <= access.Label; kind++ {
		for _, of := range []string{"", "Patient/1", "Patient/2", "R"} {
			k := access.Key{Kind: kind, Of: of}
			h := s.Access(k)
			if access.Kind(h&7) != kind {
				t.Errorf("%v has the low bits %d", k, h&7)
			}
			if other, ok := seen[h]; ok {
				t.Errorf("%v and %v have one hash", k, other)
			}
			seen[h] = k
		}
	}
	if s.Access(access.Key{Kind: access.Itself, Of: "Patient/1"}) != s.RID(patient) {
		t.Error("a resource is not hashed to its RID")
	}
}
