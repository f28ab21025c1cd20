package conformance_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A visitor is a person with a browser that knows forms and links only, and stops
// where it is sent to an app.
type visitor struct {
	t      *testing.T
	client *http.Client
	apps   []string // what the addresses of apps begin with
	at     *url.URL
	page   *html.Node
	left   *url.URL // where in an app it was sent to
}

func newVisitor(t *testing.T, apps ...string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, apps: apps}
	v.client = &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		for _, app := range v.apps {
			if strings.HasPrefix(r.URL.String(), app) {
				v.left = r.URL
				return http.ErrUseLastResponse
			}
		}
		return nil
	}}
	return v
}

// open goes to an address.
func (v *visitor) open(address string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	v.do(r)
}

func (v *visitor) do(r *http.Request) {
	v.t.Helper()
	v.left = nil
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	if v.page, err = html.Parse(resp.Body); err != nil {
		v.t.Fatal(err)
	}
	v.at = resp.Request.URL
}

// press presses a button of a form, in which fields are filled in first.
func (v *visitor) press(button string, fields map[string]string) {
	v.t.Helper()
	b := v.element(button)
	form := b
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil {
		v.t.Fatalf("#%s at %s stands in no form", button, v.at)
	}
	values := filled(form)
	if name := attribute(b, "name"); name != "" {
		values.Set(name, attribute(b, "value"))
	}
	for name, value := range fields {
		values.Set(name, value)
	}
	to, err := v.at.Parse(attribute(form, "action"))
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", v.at.Scheme+"://"+v.at.Host)
	v.do(r)
}

// filled returns what a form would send as it stands, without its buttons.
func filled(form *html.Node) url.Values {
	values := url.Values{}
	for n := range form.Descendants() {
		if n.Data != "input" {
			continue
		}
		kind := attribute(n, "type")
		if (kind == "checkbox" || kind == "radio") && !hasAttribute(n, "checked") {
			continue
		}
		values.Add(attribute(n, "name"), attribute(n, "value"))
	}
	return values
}

// element returns the element with an id.
func (v *visitor) element(id string) *html.Node {
	v.t.Helper()
	if n := v.find(id); n != nil {
		return n
	}
	v.t.Fatalf("there is no #%s at %s, where it says: %s", id, v.at, v.says())
	return nil
}

// find returns the element with an id, or nil.
func (v *visitor) find(id string) *html.Node {
	for n := range v.page.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

// begins returns the id of the first element whose id begins so, or "".
func (v *visitor) begins(prefix string) string {
	for n := range v.page.Descendants() {
		if id := attribute(n, "id"); strings.HasPrefix(id, prefix) {
			return id
		}
	}
	return ""
}

// says returns the words of the page.
func (v *visitor) says() string {
	var words []string
	for n := range v.page.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(words, " ")
}

// signIn fills in the page for signing in.
func (v *visitor) signIn(name, password string) {
	v.t.Helper()
	v.press("sign-in", map[string]string{"name": name, "password": password})
}

// returned returns what the app is sent back with.
func (v *visitor) returned() url.Values {
	v.t.Helper()
	if v.left == nil {
		v.t.Fatalf("nothing leads back to the app from %s, where it says: %s", v.at, v.says())
	}
	return v.left.Query()
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
