package auth_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/auth"
)

func TestHolder(t *testing.T) {
	t.Parallel()
	c := auth.Claims{OwnIssuer: true, Subject: "a", Client: "app", Grant: "g", Scope: "user/*.rs", Patient: "1", FHIRUser: "Practitioner/1", Organizations: []string{"x"}}
	back, err := auth.ParseHolder(c.Holder())
	if diff := cmp.Diff(c, back); err != nil || diff != "" {
		t.Errorf("comes back as %s, %v", diff, err)
	}
	c.OwnIssuer = false
	if h := c.Holder(); h != "" {
		t.Errorf("a token of another issuer has the holder %q", h)
	}
	for _, text := range []string{"", "local", "{}", `{"client":"app"}`, `{"sub":"a"}`} {
		if c, err := auth.ParseHolder(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
}
