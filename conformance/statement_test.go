package conformance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/conformance"
)

// A statedOperation is one in the CapabilityStatement.
type statedOperation struct{ Name, Definition string }

// A stated is what the CapabilityStatement says, as far as it is looked at here.
type stated struct {
	Rest []struct {
		Operation []statedOperation
		Resource  []struct {
			Type                            string
			Interaction                     []struct{ Code string }
			Operation                       []statedOperation
			UpdateCreate, ConditionalCreate bool
			ConditionalUpdate               bool
			ConditionalDelete               string
			SearchInclude, SearchRevInclude []string
		}
	}
}

func statementOf(t *testing.T, base string) (s stated) {
	t.Helper()
	got := askAt(t, base, "", "GET metadata", "")
	if err := json.Unmarshal([]byte(got.body), &s); err != nil || len(s.Rest) != 1 {
		t.Fatalf("%v: %.200s", err, got.body)
	}
	return s
}

// TestOperationsDefined reads the definition of every operation of the server's own that
// the CapabilityStatement names, without a token, and holds it against R4.
func TestOperationsDefined(t *testing.T) {
	t.Parallel()
	base := serveSignIn(t, api.Config{}).base
	rest := statementOf(t, base).Rest[0]
	all := rest.Operation
	for _, r := range rest.Resource {
		all = append(all, r.Operation...)
	}
	own := map[string]bool{}
	for _, o := range all {
		id, is := strings.CutPrefix(o.Definition, "https://fhir.openconsult.example/OperationDefinition/")
		if !is || own[id] {
			continue
		}
		own[id] = true
		got := askAt(t, base, "", "GET OperationDefinition/openconsult-"+id, "")
		if got.status != 200 || got.tree["url"] != o.Definition || got.tree["code"] != o.Name {
			t.Errorf("%s: %d %.200s", o.Definition, got.status, got.body)
		}
	}
	if len(own) < 15 {
		t.Errorf("only %v", own)
	}
}

// TestOperationDefinitionsValid holds the definitions against the rules of R4.
func TestOperationDefinitionsValid(t *testing.T) {
	t.Parallel()
	base := serve(t).base
	for _, p := range conformance.OperationDefinitions() {
		got := askAt(t, base, "", "POST OperationDefinition/$validate", string(p.Text))
		if got.status != 200 || strings.Contains(got.body, `"error"`) {
			t.Errorf("%s: %d %s", p.Key, got.status, got.body)
		}
	}
}

// TestRecordedStated makes sure that nothing is claimed of AuditEvents that is refused.
func TestRecordedStated(t *testing.T) {
	t.Parallel()
	s := statementOf(t, serveSignIn(t, api.Config{}).base)
	for _, r := range s.Rest[0].Resource {
		if slices.ContainsFunc(r.SearchRevInclude, func(in string) bool { return strings.HasPrefix(in, "AuditEvent:") }) {
			t.Errorf("%s can be found with the AuditEvents of it", r.Type)
		}
		if r.Type != "AuditEvent" {
			continue
		}
		var codes []string
		for _, i := range r.Interaction {
			codes = append(codes, i.Code)
		}
		slices.Sort(codes)
		if !slices.Equal(codes, []string{"history-instance", "read", "search-type", "vread"}) || r.UpdateCreate || r.ConditionalCreate || r.ConditionalUpdate || r.ConditionalDelete != "not-supported" || len(r.SearchInclude) > 0 {
			t.Errorf("%+v", r)
		}
	}
}
