package oauth

import (
	"net/url"
	"testing"
)

// TestRedirects is attack C10: what is not registered letter by letter is refused.
func TestRedirects(t *testing.T) {
	t.Parallel()
	web := Client{RedirectURIs: []string{"https://app.example.org/cb"}}
	native := Client{Public: true, Native: true, RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]:8000/cb", "org.example.app:/cb", "https://app.example.org/cb"}}
	public := Client{Public: true, RedirectURIs: []string{"http://127.0.0.1/cb"}}
	for _, tt := range []struct {
		c   Client
		uri string
		ok  bool
	}{
		{web, "https://app.example.org/cb", true},
		{web, "", false},
		{web, "https://app.example.org/cb/", false},
		{web, "https://app.example.org/cb?", false},
		{web, "https://app.example.org/cb?x=1", false},
		{web, "https://app.example.org/cb#", false},
		{web, "https://app.example.org/cb#x", false},
		{web, "https://app.example.org/cb/../x", false},
		{web, "https://app.example.org/x/../cb", false},
		{web, "https://app.example.org//cb", false},
		{web, "https://app.example.org/%63b", false},
		{web, "https://app.example.org/CB", false},
		{web, "https://APP.example.org/cb", false},
		{web, "HTTPS://app.example.org/cb", false},
		{web, "http://app.example.org/cb", false},
		{web, "https://app.example.org:443/cb", false},
		{web, "https://app.example.org./cb", false},
		{web, "https://app.example.org@evil.example/cb", false},
		{web, "https://evil.example@app.example.org/cb", false},
		{web, `https://evil.example\@app.example.org/cb`, false},
		{web, `https://app.example.org\.evil.example/cb`, false},
		{web, "https://app.example.org.evil.example/cb", false},
		{web, "https://evil.app.example.org/cb", false},
		{web, "https://evil.example/https://app.example.org/cb", false},
		{web, "https:app.example.org/cb", false},
		{web, "//app.example.org/cb", false},
		{web, " https://app.example.org/cb", false},
		{web, "https://app.example.org/cb\n", false},
		{web, "https://app.example.org/cb\x00", false},
		{web, "javascript:alert(1)", false},
		{web, "data:text/html,x", false},
		{native, "http://127.0.0.1/cb", true},
		{native, "http://127.0.0.1:1/cb", true},
		{native, "http://127.0.0.1:65535/cb", true},
		{native, "http://[::1]:9/cb", true},
		{native, "http://[::1]/cb", true},
		{native, "org.example.app:/cb", true},
		{native, "http://127.0.0.1:/cb", false},
		{native, "http://127.0.0.1:123456/cb", false},
		{native, "http://127.0.0.1:80x/cb", false},
		{native, "http://127.0.0.1:80@evil.example/cb", false},
		{native, "http://127.0.0.1:80.evil.example/cb", false},
		{native, "http://127.0.0.1.evil.example/cb", false},
		{native, "http://127.0.0.1:80/cb2", false},
		{native, "http://127.0.0.2:80/cb", false},
		{native, "http://localhost:80/cb", false},
		{native, "http://[::1]:9/other", false},
		{native, "https://127.0.0.1:80/cb", false},
		{native, "https://app.example.org:80/cb", false},
		{public, "http://127.0.0.1:80/cb", false},
	} {
		if got := tt.c.redirects(tt.uri); got != tt.ok {
			t.Errorf("%q: %t", tt.uri, got)
		}
	}
}

// TestCheckRedirect is RFC 9700 section 4.1: what may be registered.
func TestCheckRedirect(t *testing.T) {
	t.Parallel()
	for uri, ok := range map[string][3]bool{ // for a web app, for a native one, on one's own machine
		"https://app.example.org/cb":     {true, true, true},
		"https://app.example.org":        {true, true, true},
		"http://app.example.org/cb":      {false, false, true},
		"http://127.0.0.1/cb":            {false, true, true},
		"http://localhost:4567/cb":       {false, true, true},
		"org.example.app:/cb":            {false, true, false},
		"app:/cb":                        {false, false, false},
		"javascript:alert(1)":            {false, false, false},
		"data:text/html,x":               {false, false, false},
		"https://app.example.org/cb#x":   {false, false, false},
		"https://app.example.org/cb#":    {false, false, false},
		"https://u@app.example.org/cb":   {false, false, false},
		"https://*.example.org/cb":       {false, false, false},
		"https://app.example.org/a b":    {false, false, false},
		`https://app.example.org\cb`:     {false, false, false},
		"https:///cb":                    {false, false, false},
		"/cb":                            {false, false, false},
		"":                               {false, false, false},
		"https://app.example.org/\u00e4": {false, false, false},
	} {
		got := [3]bool{
			checkRedirect(Client{}, uri, false) == "",
			checkRedirect(Client{Native: true, Public: true}, uri, false) == "",
			checkRedirect(Client{}, uri, true) == "",
		}
		if got != ok {
			t.Errorf("%q: %v, want %v", uri, got, ok)
		}
	}
}

func TestWithParameters(t *testing.T) {
	t.Parallel()
	v := url.Values{"code": {"a&b"}}
	for uri, want := range map[string]string{
		"https://x.example/cb":       "https://x.example/cb?code=a%26b",
		"https://x.example/cb?t=%2F": "https://x.example/cb?t=%2F&code=a%26b",
		"https://x.example/cb?":      "https://x.example/cb?code=a%26b",
		"https://x.example/cb?a=1&":  "https://x.example/cb?a=1&code=a%26b",
		"org.example.app:/cb":        "org.example.app:/cb?code=a%26b",
	} {
		if got := withParameters(uri, v); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
	for uri, want := range map[string]string{"https://App.example.org:443/x": "https://app.example.org", "http://localhost:80/": "http://localhost",
		"http://localhost:3000/": "http://localhost:3000", "org.example.app:/cb": "", "x": ""} {
		if got := originOf(uri); got != want {
			t.Errorf("origin of %s: %s, want %s", uri, got, want)
		}
	}
}

// FuzzRedirects looks for an address that is taken for a registered one and leads
// elsewhere.
func FuzzRedirects(f *testing.F) {
	c := Client{Public: true, Native: true, RedirectURIs: []string{"http://127.0.0.1/cb?x", "http://[::1]:1"}}
	f.Add("http://127.0.0.1:80/cb?x")
	f.Add("http://[::1]:80@evil.example")
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.redirects(uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" || u.User != nil {
			t.Errorf("%q was accepted", uri)
		}
	})
}
