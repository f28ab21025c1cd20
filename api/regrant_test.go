package api

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestRegrantTrusted: what was set up on a server that trusted everybody has ended on
// one with sign-in, rather than failing again and again.
func TestRegrantTrusted(t *testing.T) {
	t.Parallel()
	g, err := (&SignIn{}).Regrant(t.Context(), access.LocalHolder)
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied || g.IsTrusted() {
		t.Errorf("it is granted %v, %v", g, err)
	}
}
