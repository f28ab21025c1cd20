package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
)

// A visit is a request of a browser. Session is nil for one that is not signed
// in.
type visit struct {
	*login.Session
	cookie string // that session and form tokens hang on
	form   url.Values
}

// cookieName returns the name of one of our cookies. The prefix has browsers
// refuse one that a neighbouring host or plain http has set.
func (d *desk) cookieName(kind string) string {
	if d.secure {
		return "__Host-openconsult-" + kind
	}
	return "openconsult-" + kind
}

const (
	sessionCookie = "session"
	visitCookie   = "visit" // of a browser that is not signed in yet
)

func (d *desk) cookie(r *http.Request, kind string) string {
	// With two cookies of a name, somebody has planted one.
	if sent := r.CookiesNamed(d.cookieName(kind)); len(sent) == 1 {
		return sent[0].Value
	}
	return ""
}

// setCookie stores a cookie until the browser closes; an empty one goes away.
func (d *desk) setCookie(w http.ResponseWriter, kind, value string) {
	c := &http.Cookie{Name: d.cookieName(kind), Value: value, Path: "/", HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// browser returns the secret of a browser that is not signed in, a new one if it
// has none.
func (d *desk) browser(w http.ResponseWriter, r *http.Request) string {
	if have := d.cookie(r, visitCookie); len(have) == len(login.Secret()) {
		return have
	}
	fresh := login.Secret()
	d.setCookie(w, visitCookie, fresh)
	return fresh
}

// token returns what a form carries so that nobody can send it who has not been
// given it in the same session.
func token(cookie string) string {
	if cookie == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// genuine reports whether a form has the token of a cookie.
func genuine(form url.Values, cookie string) bool {
	return cookie != "" && hmac.Equal([]byte(form.Get("token")), []byte(token(cookie)))
}

// read returns the form or the query of a request, whose parameters are single
// ones but for those of checkboxes.
func (d *desk) read(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	if err := r.ParseForm(); err != nil {
		d.show(w, r, sheet{Title: "This form cannot be read", Status: http.StatusBadRequest, Body: trouble{Lead: "Go back and try again."}}, "error")
		return nil, false
	}
	if r.Method == http.MethodPost {
		return r.PostForm, true
	}
	return r.Form, true
}

// signedIn returns the visit of somebody who is signed in. It sends others to
// sign in, and refuses forms that are not from this session.
func (d *desk) signedIn(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	form, ok := d.read(w, r)
	if !ok {
		return nil, false
	}
	v := &visit{cookie: d.cookie(r, sessionCookie), form: form}
	if err := d.find(r, v); err != nil {
		d.fail(w, r, err)
		return nil, false
	}
	if v.Session == nil {
		d.to(w, r, "/sign-in", asked(form.Get("request")))
		return nil, false
	}
	if r.Method == http.MethodPost && !genuine(form, v.cookie) {
		d.stale(w, r, v)
		return nil, false
	}
	return v, true
}

// find looks the session of v up, if it has one.
func (d *desk) find(r *http.Request, v *visit) error {
	if v.cookie == "" {
		return nil
	}
	s, err := d.Login.Session(r.Context(), v.cookie)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unauthorized {
		return nil
	}
	v.Session = s
	return err
}

// stale answers a form that belongs to another session.
func (d *desk) stale(w http.ResponseWriter, r *http.Request, v *visit) {
	s := sheet{Title: "This form is out of date", Status: http.StatusForbidden, Request: v.form.Get("request"), Body: trouble{Lead: "It was made before you signed in, or in another browser. Nothing was done. Go back and try again."}}
	s.of(v)
	d.show(w, r, s, "error")
}
