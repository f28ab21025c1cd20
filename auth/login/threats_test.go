package login_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestC11MixUp has somebody who was sent to one provider come back from another:
// each has an address of its own, and nothing of the one is taken at that of the
// other.
func TestC11MixUp(t *testing.T) {
	t.Parallel()
	c := newClock()
	honest, evil := newIssuer(t, c), newIssuer(t, c)
	provider := func(name string, i *issuer) login.Provider {
		return login.Provider{Name: name, Display: name, Issuer: i.URL, ClientID: "us", ClientSecret: "s3", Claim: "nhs_number", System: "https://fhir.nhs.uk/Id/nhs-number", Link: "Patient", VOT: []string{"P9.Cp.Cd"}}
	}
	l := reopen(t, pgtest.New(t), login.Config{Cost: cheap(), Now: c.Now, Issuer: "https://us.example", Providers: []login.Provider{provider("honest", honest), provider("evil", evil)}, HTTP: honest.Client(),
		Find: func(context.Context, string, string, string) ([]fhir.Key, error) {
			return []fhir.Key{{Type: "Patient", ID: "one"}}, nil
		}})
	leave := func(name string) string {
		t.Helper()
		address, err := l.Depart(t.Context(), name, browser, "")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil || u.Query().Get("redirect_uri") != "https://us.example/auth/upstream/"+name+"/callback" {
			t.Errorf("%s: sent back to %s, %v", name, u.Query().Get("redirect_uri"), err)
		}
		return address
	}
	number := map[string]any{"nhs_number": "1"}
	for name, i := range map[string]*issuer{"honest": honest, "evil": evil} {
		if p, _, err := l.Arrive(t.Context(), name, browser, i.grant(t, leave(name), number)); err != nil || p.User.ID != "one" {
			t.Errorf("%s by itself: %+v, %v", name, p, err)
		}
	}
	for from, to := range map[string]string{"honest": "evil", "evil": "honest"} {
		i := map[string]*issuer{"honest": honest, "evil": evil}[from]
		if p, _, err := l.Arrive(t.Context(), to, browser, i.grant(t, leave(from), number)); class(err) != "unauthorized" || p.User.ID != "" {
			t.Errorf("from %s at %s: %+v, %v", from, to, p, err)
		}
	}
	named := honest.grant(t, leave("honest"), number)
	named.Set("iss", evil.URL)
	if _, _, err := l.Arrive(t.Context(), "honest", browser, named); class(err) != "unauthorized" {
		t.Errorf("an answer that names another issuer: %v", err)
	}
}
