package api

import (
	"cmp"
	"net/http"
	"net/url"
)

// token serves the token endpoint.
// https://www.rfc-editor.org/rfc/rfc6749#section-3.2
func (s *smart) token(r *http.Request) (int, any, string, error) {
	values, authorization, err := form(r)
	if err != nil {
		return 0, nil, "", err
	}
	t, err := s.Server.Token(r.Context(), values, authorization)
	if err != nil {
		return 0, nil, cmp.Or(named(r, values), anyClient), err
	}
	if err := s.Note(r.Context(), t); err != nil {
		return 0, nil, t.Client, err
	}
	return http.StatusOK, t, t.Client, nil
}

// introspect serves the introspection endpoint.
func (s *smart) introspect(r *http.Request) (int, any, string, error) {
	values, authorization, err := form(r)
	if err != nil {
		return 0, nil, "", err
	}
	i, err := s.Server.Introspect(r.Context(), values, authorization)
	return http.StatusOK, i, named(r, values), err
}

// revoke serves the revocation endpoint.
func (s *smart) revoke(r *http.Request) (int, any, string, error) {
	values, authorization, err := form(r)
	if err != nil {
		return 0, nil, "", err
	}
	return http.StatusOK, nil, named(r, values), s.Server.Revoke(r.Context(), values, authorization)
}

// register serves the registration endpoint. No script has any business there.
func (s *smart) register(r *http.Request) (int, any, string, error) {
	body, err := content(r)
	if err != nil {
		return 0, nil, "", err
	}
	c, err := s.Server.Register(r.Context(), r.Header.Get("Authorization"), body)
	return http.StatusCreated, c, "", err
}

// named returns the client that a request says it is from. That is good enough to
// let scripts of its origins read an error.
func named(r *http.Request, values url.Values) string {
	if id, _, ok := r.BasicAuth(); ok {
		return id
	}
	return values.Get("client_id")
}

// anyClient stands for a client that need not say who it is, as one that refreshes
// its token: why it is refused any registered origin may read.
const anyClient = "*"

// preflight answers a browser that asks whether a script may send a request. Its
// client is not known yet, so any registered origin may; the answer itself is for
// the origins of the client only.
func (s *smart) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "POST, OPTIONS")
	if s.permit(w, r, "") {
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// allowOrigin lets the scripts of a client read the answer.
func (s *smart) allowOrigin(w http.ResponseWriter, r *http.Request, client string) {
	switch client {
	case "":
	case anyClient:
		s.permit(w, r, "")
	default:
		s.permit(w, r, client)
	}
}

// permit allows the origin of r if client has registered it, or any client if
// client is empty. It reports whether it did.
func (s *smart) permit(w http.ResponseWriter, r *http.Request, client string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	allowed, err := s.Server.AllowsOrigin(r.Context(), client, origin)
	if err != nil {
		s.Log.ErrorContext(r.Context(), "an origin could not be looked up", "request", requestID(r), "error", err)
	}
	if err != nil || !allowed {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, X-Request-Id")
	return true
}

// style is how an app may look to go with the server. When it changes, so must
// [oauth.StylePath].
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling
func style() map[string]string {
	return map[string]string{
		"color_background": "#ffffff", "color_error": "#b3261e", "color_highlight": "#1a5fb4", "color_modal_backdrop": "#1c1c1c",
		"color_success": "#26753b", "color_text": "#1c1c1c",
		"dim_border_radius": "6px", "dim_font_size": "16px", "dim_spacing_size": "16px",
		"font_family_body": "system-ui, sans-serif", "font_family_heading": "system-ui, sans-serif",
	}
}
