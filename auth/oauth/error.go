package oauth

import (
	"fmt"
	"net/http"
	"strings"
)

// The error codes of OAuth and OpenID Connect that the server answers with.
const (
	invalidRequest      = "invalid_request"
	invalidClient       = "invalid_client"
	invalidGrant        = "invalid_grant"
	invalidScope        = "invalid_scope"
	invalidTarget       = "invalid_target"
	invalidToken        = "invalid_token"
	unauthorizedClient  = "unauthorized_client"
	unsupportedGrant    = "unsupported_grant_type"
	unsupportedResponse = "unsupported_response_type"
	requestNotSupported = "request_not_supported"
	uriNotSupported     = "request_uri_not_supported"
	invalidRedirectURI  = "invalid_redirect_uri"
	invalidMetadata     = "invalid_client_metadata"
)

// The codes that pages refuse a request with.
const (
	AccessDenied    = "access_denied"    // the person says no
	LoginRequired   = "login_required"   // prompt=none, and nobody is signed in
	ConsentRequired = "consent_required" // prompt=none, and somebody has to agree
	ServerError     = "server_error"     // the fault is ours
)

// An Error is the answer of an endpoint that a client calls.
// https://www.rfc-editor.org/rfc/rfc6749#section-5.2
type Error struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Status      int    `json:"-"` // of HTTP
	Challenge   string `json:"-"` // for WWW-Authenticate; empty for none
}

// Error returns code and description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// A PageError is shown to the person. Where the request says to go may not be
// trusted, so there is no redirect.
type PageError struct{ Code, Description string }

// Error returns code and description.
func (e *PageError) Error() string { return e.Code + ": " + e.Description }

// A RedirectError is sent to the client through the browser, by a 303 to URL.
// https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
type RedirectError struct{ URL, Code, Description string }

// Error returns code and description.
func (e *RedirectError) Error() string { return e.Code + ": " + e.Description }

func refused(code, format string, args ...any) *Error {
	e := &Error{Code: code, Description: plain(fmt.Sprintf(format, args...)), Status: http.StatusBadRequest}
	if code == invalidClient || code == invalidToken {
		e.Status = http.StatusUnauthorized
	}
	return e
}

// plain returns text with the characters that an error_description may have. What
// a client has sent may be quoted in it.
// https://www.rfc-editor.org/rfc/rfc6749#section-5.2
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ', r > '~', r == '\\':
			return '?'
		}
		return r
	}, text)
}

func onPage(code, format string, args ...any) *PageError {
	return &PageError{Code: code, Description: fmt.Sprintf(format, args...)}
}
