package conformance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A guest is a person with a browser, and the app that the person uses.
type guest struct {
	t              *testing.T
	origin         string // of the server
	name, password string
	client         *http.Client
	cookies        map[string]bool // all values that the browser was given
}

const (
	appCallback = "https://app.example.org/cb"
	appProof    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
)

func newGuest(t *testing.T, base, name, password string) *guest {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &guest{t: t, origin: strings.TrimSuffix(base, "/fhir"), name: name, password: password, cookies: map[string]bool{}}
	v.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), v.origin+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return v
}

// A view is an answer that was read.
type view struct {
	*http.Response
	text   string
	fields map[string]any // if it is JSON
}

// send sends a request; a form if there is one.
func (v *guest) send(method, path string, form url.Values, headers ...string) view {
	v.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = v.origin + path
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.origin)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return v.do(r)
}

func (v *guest) do(r *http.Request) view {
	v.t.Helper()
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	here, err := url.Parse(v.origin)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(here) {
		v.cookies[c.Value] = true
	}
	w := view{Response: resp, text: string(text)}
	_ = json.Unmarshal(text, &w.fields) // what is not JSON has no fields
	return w
}

var pageTitle = regexp.MustCompile(`<title>([^<]*)</title>`)

// form returns what a browser sends of a page: hidden fields and ticks.
func (w view) form(more ...string) url.Values {
	form := url.Values{}
	z := html.NewTokenizer(strings.NewReader(w.text))
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		if tok.Data != "input" {
			continue
		}
		a, checked := map[string]string{}, false
		for _, attr := range tok.Attr {
			a[attr.Key] = attr.Val
			checked = checked || attr.Key == "checked"
		}
		if a["type"] == "hidden" && !form.Has(a["name"]) || checked {
			form.Add(a["name"], a["value"])
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// asking is what an app asks for.
func (v *guest) asking(client, scope string) url.Values {
	sum := sha256.Sum256([]byte(appProof))
	return url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {appCallback}, "scope": {scope}, "state": {"a state"}, "aud": {v.origin + "/fhir"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
}

// allow signs in if it must, chooses a patient if it must, allows what is asked,
// and returns what the app is sent back with.
func (v *guest) allow(method string, asked url.Values, patient string) url.Values {
	v.t.Helper()
	var at view
	if method == http.MethodPost {
		at = v.send(method, "/auth/authorize", asked, "Origin: https://app.example.org", "Sec-Fetch-Site: cross-site")
	} else {
		at = v.send(method, "/auth/authorize?"+asked.Encode(), nil)
	}
	for range 4 {
		if to := at.Header.Get("Location"); strings.HasPrefix(to, appCallback) {
			u, err := url.Parse(to)
			if err != nil {
				v.t.Fatal(err)
			}
			return u.Query()
		}
		title := ""
		if m := pageTitle.FindStringSubmatch(at.text); m != nil {
			title = m[1]
		}
		switch {
		case strings.HasPrefix(title, "Sign in"):
			at = v.send(http.MethodPost, "/auth/sign-in", at.form("name", v.name, "password", v.password))
		case strings.HasPrefix(title, "Choose a patient"):
			at = v.send(http.MethodPost, "/auth/choose-patient", at.form("patient", patient))
		case strings.HasPrefix(title, "Allow"):
			at = v.send(http.MethodPost, "/auth/consent", at.form("decision", "allow"))
		default:
			v.t.Fatalf("%d %s at %s: %s", at.StatusCode, title, at.Request.URL.Path, at.text)
		}
	}
	v.t.Fatalf("it leads nowhere: %d %s", at.StatusCode, at.text)
	return nil
}

// redeem is the form that redeems a code.
func redeem(client, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {appCallback}, "code_verifier": {appProof}}
}

// field returns a field of the answer.
func (w view) field(name string) string {
	s, _ := w.fields[name].(string)
	return s
}
