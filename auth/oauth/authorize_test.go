package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// TestAuthorizeRefuses holds Ask against A1 to A7: RFC 6749 section 4.1.1, RFC 7636
// section 4.4.1, RFC 9700 and SMART. Where the redirect URI is good, the error is
// sent there, with state and iss (RFC 9207); else a page shows it (C10).
func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("x", 5000)
	for name, tt := range map[string]struct {
		change map[string]string
		code   string
		page   bool
	}{
		"A2 no client_id":                 {map[string]string{"client_id": ""}, "unauthorized_client", true},
		"A3 unknown client":               {map[string]string{"client_id": "nobody"}, "unauthorized_client", true},
		"inactive client":                 {map[string]string{"client_id": "off"}, "unauthorized_client", true},
		"A3 no redirect_uri":              {map[string]string{"redirect_uri": ""}, "invalid_request", true},
		"A3 another redirect_uri":         {map[string]string{"redirect_uri": "https://evil.example/cb"}, "invalid_request", true},
		"A3 loopback for no native app":   {map[string]string{"redirect_uri": "http://127.0.0.1:80/cb"}, "invalid_request", true},
		"A2 no state":                     {map[string]string{"state": ""}, "invalid_request", false},
		"long state":                      {map[string]string{"state": long}, "invalid_request", false},
		"A2 no response_type":             {map[string]string{"response_type": ""}, "invalid_request", false},
		"response_type token":             {map[string]string{"response_type": "token"}, "unsupported_response_type", false},
		"response_type code token":        {map[string]string{"response_type": "code id_token"}, "unsupported_response_type", false},
		"response_mode fragment":          {map[string]string{"response_mode": "fragment"}, "invalid_request", false},
		"request object":                  {map[string]string{"request": "ey"}, "request_not_supported", false},
		"request_uri":                     {map[string]string{"request_uri": "https://evil.example"}, "request_uri_not_supported", false},
		"A5 no code_challenge":            {map[string]string{"code_challenge": ""}, "invalid_request", false},
		"A5 plain":                        {map[string]string{"code_challenge_method": "plain"}, "invalid_request", false},
		"A5 no method, which means plain": {map[string]string{"code_challenge_method": ""}, "invalid_request", false},
		"A5 method in small letters":      {map[string]string{"code_challenge_method": "s256"}, "invalid_request", false},
		"A5 short challenge":              {map[string]string{"code_challenge": "short"}, "invalid_request", false},
		"A5 challenge with padding":       {map[string]string{"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c="}, "invalid_request", false},
		"A4 no aud":                       {map[string]string{"aud": ""}, "invalid_request", false},
		"A4 g10_smart_invalid_aud":        {map[string]string{"aud": "https://inferno.healthit.gov/invalid_aud"}, "invalid_target", false},
		"A4 aud with the same origin":     {map[string]string{"aud": issuer}, "invalid_target", false},
		"A4 aud with two slashes":         {map[string]string{"aud": fhirBase + "//"}, "invalid_target", false},
		"A4 aud and another resource":     {map[string]string{"resource": "https://evil.example/fhir"}, "invalid_target", false},
		"A2 no scope":                     {map[string]string{"scope": ""}, "invalid_scope", false},
		"scopes that nobody understands":  {map[string]string{"scope": "patient/Observation.sr patient/. %2f"}, "invalid_scope", false},
		"scopes that the client may not":  {map[string]string{"client_id": "backend", "redirect_uri": callback}, "", true},
		"scope of a system":               {map[string]string{"scope": "system/Patient.rs"}, "invalid_scope", false},
		"offline_access alone":            {map[string]string{"scope": "offline_access"}, "invalid_scope", false},
		"long scope":                      {map[string]string{"scope": long}, "invalid_scope", false},
		"prompt none and login":           {map[string]string{"prompt": "none login"}, "invalid_request", false},
		"max_age is a word":               {map[string]string{"max_age": "soon"}, "invalid_request", false},
		"long nonce":                      {map[string]string{"nonce": long}, "invalid_request", false},
		"launch without scope launch":     {map[string]string{"launch": "x"}, "invalid_request", false},
		"unknown launch":                  {map[string]string{"launch": "x", "scope": "launch patient/*.rs"}, "invalid_request", false},
	} {
		_, err := w.Ask(t.Context(), request(tt.change))
		page, isPage := errors.AsType[*oauth.PageError](err)
		back, isBack := errors.AsType[*oauth.RedirectError](err)
		switch {
		case tt.page:
			if !isPage || tt.code != "" && page.Code != tt.code {
				t.Errorf("%s: %v, want %s on a page", name, err, tt.code)
			}
		case !isBack || back.Code != tt.code:
			t.Errorf("%s: %v, want %s at the client", name, err, tt.code)
		default:
			q := queryOf(t, back.URL)
			if !strings.HasPrefix(back.URL, callback+"?") || q.Get("iss") != issuer || q.Get("error") != tt.code || q.Has("code") || q.Get("state") != request(tt.change).Get("state") {
				t.Errorf("%s: sent to %s", name, back.URL)
			}
		}
	}
}

// TestAuthorizeTwice is RFC 6749 section 3.1: no parameter more than once.
func TestAuthorizeTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "state", "aud", "resource", "code_challenge", "code_challenge_method", "launch", "nonce", "prompt"} {
		form := request(map[string]string{name: "x"})
		form[name] = []string{request(nil).Get(name), "x"}
		_, err := w.Ask(t.Context(), form)
		_, isPage := errors.AsType[*oauth.PageError](err)
		back, isBack := errors.AsType[*oauth.RedirectError](err)
		if name == "client_id" || name == "redirect_uri" {
			if !isPage {
				t.Errorf("%s twice: %v", name, err)
			}
		} else if !isBack || back.Code != "invalid_request" {
			t.Errorf("%s twice: %v", name, err)
		}
	}
	form := request(map[string]string{"unknown": "x"})
	form.Add("unknown", "y")
	if _, err := w.Ask(t.Context(), form); err != nil {
		t.Errorf("what is not known must be ignored: %v", err)
	}
}

// TestAuthorizeAccepts says what a good request is taken for.
func TestAuthorizeAccepts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change map[string]string
		scopes string
	}{
		"plain":                              {nil, "openid fhirUser launch/patient offline_access patient/*.rs"},
		"slash after aud":                    {map[string]string{"aud": fhirBase + "/"}, ""},
		"resource instead of aud":            {map[string]string{"aud": "", "resource": fhirBase}, ""},
		"redirect_uri with query":            {map[string]string{"redirect_uri": callback + "?tab=1"}, ""},
		"v1 stays v1":                        {map[string]string{"scope": "patient/Patient.read user/Observation.write"}, "patient/Patient.read user/Observation.write"},
		"granular stays":                     {map[string]string{"scope": "patient/Observation.rs?category=http://x|y"}, "patient/Observation.rs?category=http://x|y"},
		"what is not understood is left out": {map[string]string{"scope": "openid patient/Patient.r patient/Patient.sr unknown"}, "openid patient/Patient.r"},
		"launch in a standalone launch":      {map[string]string{"scope": "launch patient/Patient.r"}, "patient/Patient.r"},
		"native, with a port":                {map[string]string{"client_id": "cli", "redirect_uri": "http://127.0.0.1:51004/cb"}, ""},
		"native, own scheme":                 {map[string]string{"client_id": "cli", "redirect_uri": "org.example.app:/cb"}, ""},
		"confidential":                       {map[string]string{"client_id": "web"}, ""},
		"response_mode query":                {map[string]string{"response_mode": "query"}, ""},
	} {
		r, err := w.Ask(t.Context(), request(tt.change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tt.scopes != "" && r.Scopes.String() != tt.scopes {
			t.Errorf("%s: scopes %s", name, r.Scopes)
		}
		again, err := w.Asked(t.Context(), r.ID)
		if err != nil || again.Scopes.String() != r.Scopes.String() || again.State != r.State || again.RedirectURI != r.RedirectURI || again.Client.ID != r.Client.ID {
			t.Errorf("%s: kept as %+v, %v", name, again, err)
		}
	}
	r, err := w.Ask(t.Context(), request(map[string]string{"nonce": "n", "prompt": "login consent", "max_age": "60", "login_hint": "dr"}))
	if err != nil || r.Nonce != "n" || len(r.Prompt) != 2 || r.MaxAge == nil || *r.MaxAge != time.Minute || r.LoginHint != "dr" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestAuthorizeAnswer is SMART's authorization response and RFC 9207: code, state as it
// was sent, iss; what the redirect URI has already stays.
func TestAuthorizeAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := w.Ask(t.Context(), request(map[string]string{"redirect_uri": callback + "?tab=1"}))
	if err != nil {
		t.Fatal(err)
	}
	to, err := w.Grant(t.Context(), w.decision(r, oauth.Decision{Patient: "p1"}))
	if err != nil {
		t.Fatal(err)
	}
	q := queryOf(t, to)
	if !strings.HasPrefix(to, callback+"?tab=1&") || q.Get("state") != "s t&=ate" || q.Get("iss") != issuer || len(q.Get("code")) != 43 || q.Has("error") {
		t.Errorf("sent to %s", to)
	}
	// A request is answered once.
	_, err = w.Grant(t.Context(), w.decision(r, oauth.Decision{Patient: "p1"}))
	if _, ok := errors.AsType[*oauth.PageError](err); !ok {
		t.Errorf("answered twice: %v", err)
	}
	if r, err = w.Ask(t.Context(), request(nil)); err != nil {
		t.Fatal(err)
	}
	to, err = w.Refuse(t.Context(), r.ID, oauth.AccessDenied)
	if q = queryOf(t, to); err != nil || q.Get("error") != "access_denied" || q.Get("state") != "s t&=ate" || q.Get("iss") != issuer {
		t.Errorf("refused: %s, %v", to, err)
	}
	if _, err = w.Asked(t.Context(), r.ID); err == nil {
		t.Error("a refused request is still there")
	}
	if r, err = w.Ask(t.Context(), request(nil)); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(10*time.Minute + time.Second)
	if _, err = w.Asked(t.Context(), r.ID); err == nil {
		t.Error("a request of ten minutes ago is still there")
	}
}

// TestDecision says what a person can agree to.
func TestDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parse := func(text string) auth.Scopes {
		s, refused := auth.ParseScopes(text, func(_, param string) bool { return param == "category" })
		if len(refused) > 0 {
			t.Fatal(refused)
		}
		return s
	}
	for name, tt := range map[string]struct {
		asked   string
		chosen  string
		change  func(*oauth.Decision)
		granted string // "": refused on a page; "-": at the client
		patient any
	}{
		"fewer":                       {"openid patient/*.rs user/*.rs", "patient/*.rs", nil, "patient/*.rs", "p1"},
		"narrower":                    {"patient/Observation.rs", "patient/Observation.rs?category=http://x|y", nil, "patient/Observation.rs?category=http://x|y", "p1"},
		"never more":                  {"patient/Patient.r", "openid offline_access patient/*.cruds user/*.cruds", nil, "patient/Patient.r", "p1"},
		"nothing":                     {"patient/Patient.r", "", nil, "-", nil},
		"only other things":           {"patient/Patient.r", "user/Patient.r", nil, "-", nil},
		"no patient":                  {"patient/Patient.r", "patient/Patient.r", func(d *oauth.Decision) { d.Patient = "" }, "", nil},
		"launch/patient, no patient":  {"launch/patient user/Patient.r", "launch/patient user/Patient.r", func(d *oauth.Decision) { d.Patient = "" }, "", nil},
		"patient of somebody else":    {"patient/Patient.r", "patient/Patient.r", func(d *oauth.Decision) { d.Patient = "hidden" }, "", nil},
		"patient that is none":        {"patient/Patient.r", "patient/Patient.r", func(d *oauth.Decision) { d.Patient = "../1" }, "", nil},
		"no need of a patient":        {"user/Patient.r", "user/Patient.r", nil, "user/Patient.r", nil},
		"fhirUser without a user":     {"openid fhirUser", "openid fhirUser", func(d *oauth.Decision) { d.User = fhir.Key{} }, "openid", nil},
		"encounter that nobody chose": {"launch/encounter user/Patient.r", "launch/encounter user/Patient.r", nil, "user/Patient.r", nil},
		"nobody":                      {"patient/Patient.r", "patient/Patient.r", func(d *oauth.Decision) { d.Account = "" }, "", nil},
	} {
		r, err := w.Ask(t.Context(), request(map[string]string{"scope": tt.asked}))
		if err != nil {
			t.Fatal(err)
		}
		d := w.decision(r, oauth.Decision{Patient: "p1"})
		d.Scopes = parse(tt.chosen)
		if tt.change != nil {
			tt.change(&d)
		}
		to, err := w.Grant(t.Context(), d)
		_, isBack := errors.AsType[*oauth.RedirectError](err)
		switch {
		case tt.granted == "-":
			if !isBack {
				t.Errorf("%s: %v, want an error at the client", name, err)
			}
		case tt.granted == "":
			if err == nil || isBack {
				t.Errorf("%s: %s, %v, want a refusal", name, to, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			got, err := w.Token(t.Context(), redemption(queryOf(t, to).Get("code"), nil), "")
			if err != nil || got.Scope != tt.granted {
				t.Errorf("%s: granted %q, %v", name, got.Scope, err)
			} else if claims := w.claims(got.AccessToken); claims["patient"] != tt.patient || claims["scope"] != tt.granted {
				t.Errorf("%s: claims %v", name, claims)
			}
		}
	}
}

// TestLaunch holds EHR launches against SMART and attack C16: a handle is for one
// client and one person, for five minutes, once.
func TestLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := oauth.Launch{Client: "spa", Account: "acc1", Patient: "p7", Encounter: "e7", Intent: "reconcile", NoBanner: true,
		Context: []oauth.ContextItem{{Reference: "ImagingStudy/1"}}}
	mint := func(l oauth.Launch) string {
		t.Helper()
		handle, err := w.MintLaunch(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return handle
	}
	ask := func(handle string, change map[string]string) (*oauth.Request, error) {
		form := request(map[string]string{"launch": handle, "scope": "openid fhirUser launch patient/*.rs user/*.rs"})
		for name, v := range change {
			form.Set(name, v)
		}
		return w.Ask(t.Context(), form)
	}
	handle := mint(mine)
	if _, err := ask(handle, map[string]string{"client_id": "other"}); err == nil {
		t.Error("another client may use the launch")
	}
	r, err := ask(handle, nil)
	if err != nil || r.Launch == nil || r.NeedsPatient(r.Scopes) {
		t.Fatalf("got %+v, %v", r, err)
	}
	second, err := ask(handle, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := oauth.Decision{Account: "acc2", User: fhir.Key{Type: "Practitioner", ID: "other"}}
	if _, err := w.Grant(t.Context(), w.decision(r, stranger)); err == nil {
		t.Error("C16: somebody else may use the launch")
	}
	q := w.agree(r, oauth.Decision{Patient: "p1", Encounter: "e1"})
	got, err := w.Token(t.Context(), redemption(q.Get("code"), nil), "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Patient != "p7" || got.Encounter != "e7" || got.Intent != "reconcile" || got.NeedBanner == nil || *got.NeedBanner ||
		len(got.FHIRContext) != 1 || got.StyleURL != issuer+"/auth/style/1.json" {
		t.Errorf("got %+v", got)
	}
	if c := w.claims(got.AccessToken); c["patient"] != "p7" || c["encounter"] != "e7" || c["fhirUser"] != "Practitioner/dr" {
		t.Errorf("claims %v", c)
	}
	if _, err := ask(handle, nil); err == nil {
		t.Error("a used launch may be used again")
	}
	if _, err := w.Grant(t.Context(), w.decision(second, oauth.Decision{})); err == nil {
		t.Error("a second request may use the launch again")
	}
	late := mint(mine)
	w.clock.pass(5*time.Minute + time.Second)
	if _, err := ask(late, nil); err == nil {
		t.Error("a launch of more than five minutes ago may be used")
	}
	byUser := mine
	byUser.Account, byUser.User, byUser.Patient = "", fhir.Key{Type: "Practitioner", ID: "dr"}, "hidden"
	if r, err = ask(mint(byUser), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Grant(t.Context(), w.decision(r, oauth.Decision{})); err == nil {
		t.Error("a launch with a patient whom the person does not see was granted")
	}
	for name, change := range map[string]func(*oauth.Launch){
		"for nobody":           func(l *oauth.Launch) { l.Account = "" },
		"unknown client":       func(l *oauth.Launch) { l.Client = "nobody" },
		"inactive client":      func(l *oauth.Launch) { l.Client = "off" },
		"patient with a type":  func(l *oauth.Launch) { l.Patient = "Patient/1" },
		"absolute reference":   func(l *oauth.Launch) { l.Context = []oauth.ContextItem{{Reference: "https://x/ImagingStudy/1"}} },
		"patient in context":   func(l *oauth.Launch) { l.Context = []oauth.ContextItem{{Reference: "Patient/1"}} },
		"context item of none": func(l *oauth.Launch) { l.Context = []oauth.ContextItem{{Type: "Patient"}} },
	} {
		l := mine
		change(&l)
		if _, err := w.MintLaunch(t.Context(), l); err == nil {
			t.Errorf("%s: minted", name)
		}
	}
}

// TestLaunchRace answers many requests with one launch at the same time: one gets
// the context.
func TestLaunchRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handle, err := w.MintLaunch(t.Context(), oauth.Launch{Client: "spa", Account: "acc1", Patient: "p7"})
	if err != nil {
		t.Fatal(err)
	}
	var requests []*oauth.Request
	for range 8 {
		r, err := w.Ask(t.Context(), request(map[string]string{"launch": handle, "scope": "launch patient/*.rs"}))
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, r)
	}
	var good atomic.Int32
	var all sync.WaitGroup
	begin := make(chan struct{})
	for _, r := range requests {
		all.Go(func() {
			<-begin
			if _, err := w.Grant(t.Context(), w.decision(r, oauth.Decision{})); err == nil {
				good.Add(1)
			}
		})
	}
	close(begin)
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 8 requests got the context of one launch", good.Load())
	}
}

// TestAuthorizeLimits asks for more than the client is registered for.
func TestAuthorizeLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(oauth.Client{ID: "narrow", Name: "Narrow", Public: true, RedirectURIs: []string{callback}, Scopes: "openid patient/Observation.rs", Active: true})
	for asked, want := range map[string]string{
		"openid fhirUser offline_access patient/*.read user/*.rs": "openid patient/Observation.read",
		"patient/Observation.cruds":                               "patient/Observation.rs",
		"patient/Patient.rs offline_access":                       "",
	} {
		r, err := w.Ask(t.Context(), request(map[string]string{"client_id": "narrow", "scope": asked}))
		back, ok := errors.AsType[*oauth.RedirectError](err)
		switch {
		case want == "" && (!ok || back.Code != "invalid_scope"):
			t.Errorf("%s: %v", asked, err)
		case want != "" && (err != nil || r.Scopes.String() != want):
			t.Errorf("%s: %+v, %v", asked, r, err)
		}
	}
}

// TestSeesIsAsked makes sure that without anybody to ask only patients themselves
// are in context.
func TestSeesIsAsked(t *testing.T) {
	t.Parallel()
	w := worldOf(t, func(c *oauth.Config) { c.Sees = nil })
	try := func(user fhir.Key) error {
		r, err := w.Ask(t.Context(), request(nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Grant(t.Context(), w.decision(r, oauth.Decision{Account: "a", User: user, Patient: "p1"}))
		return err
	}
	if try(fhir.Key{Type: "Practitioner", ID: "p1"}) == nil || try(fhir.Key{Type: "Patient", ID: "p2"}) == nil || try(fhir.Key{}) == nil {
		t.Error("somebody else has the patient in context")
	}
	if err := try(fhir.Key{Type: "Patient", ID: "p1"}); err != nil {
		t.Error(err)
	}
	failing := worldOf(t, func(c *oauth.Config) {
		c.Sees = func(context.Context, fhir.Key, string) (bool, error) { return true, errors.New("away") }
	})
	r, err := failing.Ask(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := failing.Grant(t.Context(), failing.decision(r, oauth.Decision{Patient: "p1"})); err == nil {
		t.Error("granted though nobody could say")
	}
}

// FuzzAuthorize sends anything and looks where it leads.
func FuzzAuthorize(f *testing.F) {
	w := newWorld(f)
	f.Add(request(nil).Encode())
	f.Add(request(map[string]string{"redirect_uri": "https://app.example.org/cb@evil.example"}).Encode())
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := w.Ask(t.Context(), form)
		if back, ok := errors.AsType[*oauth.RedirectError](err); ok && !strings.HasPrefix(back.URL, callback) && !strings.HasPrefix(back.URL, "http://127.0.0.1") && !strings.HasPrefix(back.URL, "org.example.app:/cb") {
			t.Errorf("sent to %s", back.URL)
		}
		if err == nil && (r.State == "" || r.Audience != fhirBase) {
			t.Errorf("accepted %+v", r)
		}
	})
}
