package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The bounds of a request that belongs to signing in.
const (
	maxAuthBody = 64 << 10 // bytes of a form, or of what a client registers
	maxAuthURL  = 16 << 10 // bytes; what an authorization request asks may be long
	maxAuthTime = 30 * time.Second
	maxSigning  = 256 // such requests at a time
)

// signIn returns the prefix of addresses that belong to signing in which path has,
// or "".
func signIn(path string) string {
	for _, prefix := range []string{"/auth/", "/smart/", "/.well-known/", base + "/.well-known/"} {
		if strings.HasPrefix(path, prefix) {
			return prefix
		}
	}
	return ""
}

// beside returns what serves a request outside of the API, and the address or the
// prefix that it serves; nil if the request is for the API.
func (s *Server) beside(r *http.Request) (place string, handler http.Handler) {
	if page := s.config.Pages[r.URL.Path]; page != nil && browses(r) {
		return r.URL.Path, page
	}
	if s.config.Auth == nil {
		return "", nil
	}
	if prefix := signIn(r.URL.Path); prefix != "" {
		return prefix, s.config.Auth
	}
	return "", nil
}

// browses reports whether a request is for a page to look at.
func browses(r *http.Request) bool {
	f, err := negotiate(r)
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && err == nil && f == htmlFormat
}

// besides sends pages, and what belongs to signing in, to their own handlers, within
// bounds of their own: a flood of one does not keep the other out.
func (s *Server) besides(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place, handler := s.beside(r)
		if handler == nil {
			api.ServeHTTP(w, r)
			return
		}
		noteRoute(r, place)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if s.config.Pages[place] != nil {
			h.Set("Vary", "Accept")
		}
		if len(r.RequestURI) > maxAuthURL {
			writeOutcome(w, http.StatusRequestURITooLong, fhir.Errorf(fhir.BadRequest, fhir.TooLong, "", "The address is longer than %d bytes.", maxAuthURL))
			return
		}
		connection := http.NewResponseController(w)
		// Recorders of tests have no deadlines.
		_ = connection.SetReadDeadline(time.Now().Add(maxAuthTime))
		_ = connection.SetWriteDeadline(time.Now().Add(2 * maxAuthTime))
		if err := take(r.Context(), s.signing, 1); err != nil {
			h.Set("Retry-After", retryAfter())
			writeOutcome(w, http.StatusServiceUnavailable, fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "Too many others are signing in; try again later."))
			return
		}
		defer s.signing.Release(1)
		r.Body = http.MaxBytesReader(w, r.Body, maxAuthBody)
		handler.ServeHTTP(w, r)
	})
}
