package api

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/oauth"
)

// TestBackend: a token for some organisations speaks for no others, and one of a
// client that sees everything for those alone.
func TestBackend(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		client oauth.Client
		asked  string
		active bool
		want   string
		all    bool
	}{
		"its own":                     {oauth.Client{Organizations: []string{"a", "b"}}, "", true, "a b", false},
		"one of its own":              {oauth.Client{Organizations: []string{"a", "b"}}, "b", true, "b", false},
		"another's":                   {oauth.Client{Organizations: []string{"a", "b"}}, "c", false, "", false},
		"its own and another's":       {oauth.Client{Organizations: []string{"a", "b"}}, "a c", false, "a", false},
		"none, and has none":          {oauth.Client{}, "", true, "", false},
		"one, and has none":           {oauth.Client{}, "a", false, "", false},
		"everything":                  {oauth.Client{All: true}, "", true, "", true},
		"one of everything":           {oauth.Client{All: true}, "a", true, "a", true},
		"all is not for who has some": {oauth.Client{All: true, Organizations: []string{"a"}}, "b", false, "", false},
	} {
		p := backend(auth.Claims{Organizations: strings.Fields(tt.asked)}, &tt.client)
		if got := strings.Join(p.Organizations, " "); p.Active != tt.active || got != tt.want || p.All != tt.all {
			t.Errorf("%s: active %t, all %t, %q", name, p.Active, p.All, got)
		}
	}
}
