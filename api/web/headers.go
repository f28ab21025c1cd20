package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"sync"
)

//go:embed templates/page.css
var style string

// policy is the Content-Security-Policy of every page: nothing loads and nothing
// runs but the one style sheet in the page, named by its hash.
// https://www.w3.org/TR/CSP3/
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
})

// Headers sets the headers that every page of this package needs, so that the
// browser runs no script, loads nothing, shows the page in no frame and tells no
// other place its address. It leaves the other headers alone.
func Headers(h http.Header) {
	h.Set("Content-Security-Policy", policy())
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}
