package terminology

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// TestGivenIsNotWritten: who asks about a code system that they bring along does not
// have it written into the tables, however large it is.
func TestGivenIsNotWritten(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	r, err := fhir.Decode("CodeSystem", []byte(`{"resourceType":"CodeSystem","url":"urn:given","status":"active","content":"complete","concept":[{"code":"a"},{"code":"b"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.ValidateInCodeSystem(t.Context(), ValidateRequest{Given: definition.Of(r.Root()), Codings: []Coding{{Code: "b"}}})
	if err != nil || !v.Result {
		t.Fatalf("%+v %v", v, err)
	}
	var n int
	if err := db.DB.QueryRow(`SELECT count(*) FROM terminology_system`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d code systems were written, %v", n, err)
	}
}
