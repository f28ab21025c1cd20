package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir/access"
)

// SmartConfig configures what Smart returns.
type SmartConfig struct {
	Server *oauth.Server
	Pages  http.Handler // for whatever is not an endpoint of Server; nil: there is nothing
	Log    *slog.Logger // nil is slog.Default

	// Caller says what the sender of POST /smart/launch may do. Nil means that nobody
	// launches apps by HTTP.
	Caller func(*http.Request) (access.Grant, error)

	// Sees reports whether a caller sees a patient, whose id is given. Nil means that
	// nobody launches apps with a patient by HTTP.
	Sees func(ctx context.Context, g access.Grant, patient string) (bool, error)

	// Note is told of each token that is issued. With an error the client does not
	// get it. It may be nil.
	Note func(context.Context, oauth.TokenResponse) error
}

// smart serves the authorization server's own endpoints.
type smart struct{ SmartConfig }

// Smart returns a handler for the endpoints of an authorization server: token,
// introspection, revocation, registration, keys and discovery, and for launching
// apps. It is what [Config.Auth] takes.
//
// Whoever asks may read what is public, from any site. What is for a client, the
// scripts of its registered origins may read.
func Smart(c SmartConfig) http.Handler {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Note == nil {
		c.Note = func(context.Context, oauth.TokenResponse) error { return nil }
	}
	if c.Pages == nil {
		c.Pages = http.NotFoundHandler()
	}
	s := &smart{c}
	mux := http.NewServeMux()
	mux.Handle("/", c.Pages)
	for path, document := range map[string]func(context.Context) (any, error){
		base + oauth.ConfigurationPath: func(context.Context) (any, error) { return c.Server.Configuration(), nil },
		oauth.OpenIDPath:               func(context.Context) (any, error) { return c.Server.OpenIDConfiguration(), nil },
		oauth.MetadataPath:             func(context.Context) (any, error) { return c.Server.OpenIDConfiguration(), nil },
		oauth.StylePath:                func(context.Context) (any, error) { return style(), nil },
		oauth.KeysPath:                 func(ctx context.Context) (any, error) { return c.Server.JWKS(ctx) },
	} {
		mux.Handle(path, s.published(document))
	}
	mux.Handle(oauth.TokenPath, s.endpoint(s.token))
	mux.Handle(oauth.IntrospectPath, s.endpoint(s.introspect))
	mux.Handle(oauth.RevokePath, s.endpoint(s.revoke))
	mux.Handle(oauth.RegisterPath, s.endpoint(s.register))
	mux.Handle(oauth.LaunchPath, s.endpoint(s.launch))
	return mux
}

// An endpoint answers a request: with a status and a body as JSON, or nil for
// none, for the client that it names.
type endpoint func(r *http.Request) (status int, body any, client string, err error)

// endpoint serves e by POST.
func (s *smart) endpoint(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Add("Vary", "Origin")
		switch r.Method {
		case http.MethodOptions:
			s.preflight(w, r)
			return
		case http.MethodPost:
		default:
			h.Set("Allow", "POST, OPTIONS")
			writeJSON(w, http.StatusMethodNotAllowed, &oauth.Error{Code: "invalid_request", Description: "Use POST here."})
			return
		}
		status, body, client, err := e(r)
		s.allowOrigin(w, r, client)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if body == nil {
			w.WriteHeader(status)
			return
		}
		writeJSON(w, status, body)
	})
}

// fail answers with an error. What is not meant for the client is logged.
func (s *smart) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		s.Log.ErrorContext(r.Context(), "an endpoint of the authorization server failed", "request", requestID(r), "error", err)
		e = &oauth.Error{Code: oauth.ServerError, Description: "The server has failed; try again later.", Status: http.StatusInternalServerError}
	}
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	writeJSON(w, e.Status, e)
}

// published serves a document that anybody may read.
func (s *smart) published(document func(context.Context) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		case http.MethodGet, http.MethodHead:
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			writeJSON(w, http.StatusMethodNotAllowed, &oauth.Error{Code: "invalid_request", Description: "Use GET here."})
			return
		}
		body, err := document(r.Context())
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h.Set("Cache-Control", "public, max-age=300")
		writeJSON(w, http.StatusOK, body)
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone, and there is nobody else to tell.
	_, _ = w.Write(text)
}

func badRequest(description string) *oauth.Error {
	return &oauth.Error{Code: "invalid_request", Description: description, Status: http.StatusBadRequest}
}

// form returns the parameters in the body of r, and its Authorization header. What
// stands in the address does not count.
func form(r *http.Request) (url.Values, string, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return nil, "", badRequest("The header Authorization is there twice.")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, "", badRequest("The body is application/x-www-form-urlencoded here.")
	}
	body, err := content(r)
	if err != nil {
		return nil, "", err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, "", badRequest("The body is not application/x-www-form-urlencoded.")
	}
	return values, r.Header.Get("Authorization"), nil
}

// content returns the body of r, which is small.
func content(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxAuthBody))
	if err != nil {
		return nil, &oauth.Error{Code: "invalid_request", Description: "The body is too long, or has not come to its end.", Status: http.StatusRequestEntityTooLarge}
	}
	return body, nil
}
