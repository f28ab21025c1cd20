package oauth

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

const (
	requestLife = 10 * time.Minute
	maxRequests = 10_000 // that are open: anybody may make one
	maxState    = 4096   // bytes; some clients keep more than a nonce in it
	maxScopes   = 4096   // bytes; they travel in the header of each request
	maxNonce    = 512
	maxHint     = 256
)

// asking is the check of one authorization request.
type asking struct {
	server  *Server
	form    params
	request Request
}

// Ask checks an authorization request, which came in the query or in a form, and
// keeps it for ten minutes. It returns a *PageError or a *RedirectError when the
// request is not good, and an Outcome of class Busy when too many are open.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
func (s *Server) Ask(ctx context.Context, form url.Values) (*Request, error) {
	a := &asking{server: s, form: params(form)}
	if err := a.findClient(ctx); err != nil {
		return nil, err
	}
	for _, check := range []func() error{a.checkOnce, a.checkResponse, a.checkState, a.checkProof, a.checkAudience, a.checkScopes, a.checkLogin} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := a.findLaunch(ctx); err != nil {
		return nil, err
	}
	if err := s.keepRequest(ctx, &a.request); err != nil {
		return nil, err
	}
	return &a.request, nil
}

// refuse returns an error for the client. Only the redirect URI must be known to
// be good.
func (a *asking) refuse(code, description string) error {
	state := ""
	if a.form.twice("state") == "" {
		state = a.form.get("state")
	}
	return a.server.sendBack(Request{RedirectURI: a.request.RedirectURI, State: state}, code, description)
}

// sendBack returns the error that tells the client of r why there is no code.
func (s *Server) sendBack(r Request, code, description string) *RedirectError {
	v := url.Values{"error": {code}, "iss": {s.config.Issuer}}
	if description != "" {
		v.Set("error_description", description)
	}
	if r.State != "" {
		v.Set("state", r.State)
	}
	return &RedirectError{URL: withParameters(r.RedirectURI, v), Code: code, Description: description}
}

// findClient checks what must be right before anybody is sent anywhere.
func (a *asking) findClient(ctx context.Context) error {
	if name := a.form.twice("client_id", "redirect_uri"); name != "" {
		return onPage(invalidRequest, "The app has sent %s twice.", name)
	}
	c, err := a.server.activeClient(ctx, a.form.get("client_id"))
	switch {
	case err != nil:
		return err
	case c == nil:
		return onPage(unauthorizedClient, "The app that sent you here is not registered. Tell the people who make it.")
	}
	uri := a.form.get("redirect_uri")
	if uri == "" || !c.redirects(uri) {
		return onPage(invalidRequest, "The app wants you to be sent to an address that it has not registered. Tell the people who make it.")
	}
	a.request.Client, a.request.RedirectURI = *c, uri
	return nil
}

func (a *asking) checkOnce() error {
	names := []string{"response_type", "scope", "state", "aud", "resource", "code_challenge", "code_challenge_method", "launch", "nonce",
		"prompt", "max_age", "response_mode", "request", "request_uri", "login_hint", "display", "id_token_hint", "acr_values"}
	if name := a.form.twice(names...); name != "" {
		return a.refuse(invalidRequest, name+" is there twice.")
	}
	for _, name := range names {
		if !fhir.Storable(a.form.get(name)) {
			return a.refuse(invalidRequest, name+" is not text.")
		}
	}
	return nil
}

func (a *asking) checkResponse() error {
	mode := a.form.get("response_mode")
	switch typ := a.form.get("response_type"); {
	case a.form.get("request") != "":
		return a.refuse(requestNotSupported, "Request objects are not supported.")
	case a.form.get("request_uri") != "":
		return a.refuse(uriNotSupported, "request_uri is not supported.")
	case typ == "":
		return a.refuse(invalidRequest, "response_type is missing; it is code.")
	case typ != "code":
		return a.refuse(unsupportedResponse, "response_type is code here.")
	case mode != "" && mode != "query":
		return a.refuse(invalidRequest, "response_mode is query here.")
	}
	return nil
}

func (a *asking) checkState() error {
	a.request.State = a.form.get("state")
	if a.request.State == "" || len(a.request.State) > maxState {
		return a.refuse(invalidRequest, "state is missing, or longer than 4096 bytes.")
	}
	return nil
}

func (a *asking) checkProof() error {
	a.request.challenge = a.form.get("code_challenge")
	switch method := a.form.get("code_challenge_method"); {
	case a.request.challenge == "":
		return a.refuse(invalidRequest, "code_challenge is missing: every client needs PKCE.")
	case method != "S256":
		return a.refuse(invalidRequest, "code_challenge_method is S256 here.")
	case !isChallenge(a.request.challenge):
		return a.refuse(invalidRequest, "code_challenge is not the base64url of a SHA-256, which has 43 characters.")
	}
	return nil
}

func (a *asking) checkAudience() error {
	aud, resource := a.form.get("aud"), a.form.get("resource")
	if aud == "" && resource == "" {
		return a.refuse(invalidRequest, "aud is missing: it is the address of the FHIR server.")
	}
	for _, address := range []string{aud, resource} {
		if address != "" && strings.TrimSuffix(address, "/") != a.server.config.FHIRBase {
			return a.refuse(invalidTarget, "aud is not the address of this FHIR server, which is "+a.server.config.FHIRBase+".")
		}
	}
	a.request.Audience = a.server.config.FHIRBase
	return nil
}

func (a *asking) checkScopes() error {
	asked := a.form.get("scope")
	if asked == "" || len(asked) > maxScopes {
		return a.refuse(invalidScope, "scope is missing, or longer than 4096 bytes.")
	}
	// What is not understood may be left out; what is granted is said in the end.
	scopes, _ := auth.ParseScopes(asked, a.server.config.Known)
	if scopes.In(access.ForSystem) {
		return a.refuse(invalidScope, "system/ scopes are for clients without a user, which get tokens by client_credentials.")
	}
	a.request.Scopes = a.server.allowed(scopes, a.request.Client)
	if !useful(a.request.Scopes) {
		return a.refuse(invalidScope, "None of the scopes is one that this app is registered for.")
	}
	return nil
}

// allowed returns what of scopes a client may have.
func (s *Server) allowed(scopes auth.Scopes, c Client) auth.Scopes {
	limit, _ := auth.ParseScopes(c.Scopes, s.config.Known)
	return scopes.Within(limit)
}

// useful reports whether scopes let a client learn anything.
func useful(s auth.Scopes) bool { return len(s.Resource) > 0 || s.OpenID || s.FHIRUser }

// needsPatient reports whether scopes need a patient in context.
func needsPatient(s auth.Scopes) bool { return s.LaunchPatient || s.In(access.ForPatient) }

func (a *asking) checkLogin() error {
	r := &a.request
	r.Nonce, r.LoginHint, r.Prompt = a.form.get("nonce"), a.form.get("login_hint"), strings.Fields(a.form.get("prompt"))
	if len(r.Nonce) > maxNonce {
		return a.refuse(invalidRequest, "nonce is longer than 512 bytes.")
	}
	if len(r.LoginHint) > maxHint {
		r.LoginHint = ""
	}
	if slices.Contains(r.Prompt, "none") && len(r.Prompt) > 1 {
		return a.refuse(invalidRequest, "prompt=none goes with no other prompt.")
	}
	if text := a.form.get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return a.refuse(invalidRequest, "max_age is a number of seconds.")
		}
		age := time.Duration(seconds) * time.Second
		r.MaxAge = &age
	}
	return nil
}

// findLaunch looks for what the EHR has handed over. The handle is used up when
// the request is granted.
func (a *asking) findLaunch(ctx context.Context) error {
	handle := a.form.get("launch")
	switch {
	case handle == "":
		// Some apps ask for it in a standalone launch, too.
		a.request.Scopes.Launch = false
		return nil
	case !a.request.Scopes.Launch:
		return a.refuse(invalidRequest, "launch goes with the scope launch.")
	}
	l, err := a.server.launch(ctx, hashOf(handle), a.request.Client.ID)
	if errors.Is(err, errLaunch) {
		return a.refuse(invalidRequest, "The launch is unknown, used, older than five minutes, or for another app: open the app again.")
	}
	a.request.Launch, a.request.launch = l, hashOf(handle)
	return err
}
