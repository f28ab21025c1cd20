package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"sync"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

//go:embed templates/auth/*.html
var authFiles embed.FS

var sheets = template.Must(template.ParseFS(authFiles, "templates/auth/*.html"))

//go:embed templates/auth/auth.css
var authStyle string

var authStyleHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(authStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
})

// formPolicy is the Content-Security-Policy of a page. Browsers hold the redirect
// after a form to it as well, so the page whose form leads back to an app names the
// app's origin; empty is none.
// https://www.w3.org/TR/CSP3/#directive-form-action
func formPolicy(app string) string {
	if app != "" {
		app = " " + app
	}
	return "default-src 'none'; style-src 'sha256-" + authStyleHash() + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'" + app
}

// A sheet is what every page has.
type sheet struct {
	Title    string
	Step     string // "Step 2 of 3"; empty when there are no steps
	Status   int    // zero is 200
	Request  string // the request of an app that it is about; may be empty
	Problems []problem
	Body     any

	Service, Path, Person, Token string
	Style                        template.CSS
	app                          string // origin that its forms may lead to
}

// A problem is something wrong with the field of an id, or with none.
type problem struct{ Field, Text string }

// Trouble returns the problem with a field, nil if there is none.
func (s sheet) Trouble(field string) *problem {
	for i := range s.Problems {
		if s.Problems[i].Field == field {
			return &s.Problems[i]
		}
	}
	return nil
}

// A trouble is what an error page says.
type trouble struct {
	Lead string
	Code string // for programmers; may be empty
}

// of gives s the name and the token of a visit.
func (s *sheet) of(v *visit) {
	s.Token = token(v.cookie)
	if v.Session != nil {
		s.Person = v.Account.Display
	}
}

// show answers with a page.
func (d *desk) show(w http.ResponseWriter, r *http.Request, s sheet, page string) {
	s.Service, s.Path, s.Style = d.Service, authPath, template.CSS(authStyle)
	if s.Status == 0 {
		s.Status = http.StatusOK
	}
	if len(s.Problems) > 0 && s.Status == http.StatusOK {
		s.Status = http.StatusUnprocessableEntity
	}
	var b bytes.Buffer
	if err := sheets.ExecuteTemplate(&b, page, s); err != nil {
		d.Log.ErrorContext(r.Context(), "a page does not fit its template", "page", page, "error", err)
		http.Error(w, "The page cannot be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", formPolicy(s.app))
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(s.Status)
	w.Write(b.Bytes()) // when it fails, the browser is gone
}

// fail answers with what went wrong. A fault of ours is logged and not told.
func (d *desk) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*oauth.RedirectError](err); ok {
		away(w, e.URL)
		return
	}
	if e, ok := errors.AsType[*oauth.PageError](err); ok {
		lead := e.Description + " Nothing was shared with the app."
		d.show(w, r, sheet{Title: "This app cannot be connected", Status: http.StatusBadRequest, Body: trouble{Lead: lead, Code: e.Code}}, "error")
		return
	}
	o := fhir.AsOutcome(err)
	if o == nil || o.Class == fhir.Unavailable {
		d.Log.ErrorContext(r.Context(), "a page failed", "path", r.URL.Path, "error", err)
	}
	if o == nil {
		d.show(w, r, sheet{Title: "Something went wrong", Status: http.StatusInternalServerError, Body: trouble{Lead: "The fault is ours. Try again in a moment."}}, "error")
		return
	}
	if o.Class == fhir.Busy {
		w.Header().Set("Retry-After", "60")
	}
	d.show(w, r, sheet{Title: "This did not work", Status: status(o.Class), Body: trouble{Lead: o.Issues[0].Text}}, "error")
}

// status is the HTTP status of a page that says an Outcome.
func status(c fhir.Class) int {
	switch c {
	case fhir.Unauthorized, fhir.Denied:
		return http.StatusForbidden
	case fhir.Unknown, fhir.Gone:
		return http.StatusNotFound
	case fhir.Busy:
		return http.StatusTooManyRequests
	case fhir.Unavailable, fhir.Full:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// away sends the browser to an app. 303 has it forget the form that it sent.
func away(w http.ResponseWriter, address string) {
	h := w.Header()
	h.Set("Location", address) // not http.Redirect, which cleans paths and would show the address in a body
	w.WriteHeader(http.StatusSeeOther)
}

// plainHost matches hosts that say nothing else in a policy: a ";" would end a
// directive.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]*$`)

// origin returns where an address leads, for people and for form-action: scheme
// and host, or the scheme alone of an app's own scheme.
func origin(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "" || !plainHost.MatchString(u.Host):
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}
