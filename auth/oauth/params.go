package oauth

import (
	"net/url"
	"strings"
)

// params are the parameters of a request. One without a value counts as left out.
// https://www.rfc-editor.org/rfc/rfc6749#section-3.1
type params url.Values

func (p params) get(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// twice returns the first of names that is there more than once, or "".
func (p params) twice(names ...string) string {
	for _, name := range names {
		if len(p[name]) > 1 {
			return name
		}
	}
	return ""
}

// isUnreserved reports whether s is made of what RFC 3986 calls unreserved.
func isUnreserved(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-._~", r)
	})
}

// isChallenge reports whether s can be an S256 challenge: 32 bytes in base64url.
func isChallenge(s string) bool {
	return len(s) == 43 && isUnreserved(s) && !strings.ContainsAny(s, ".~")
}

// isVerifier reports whether s can be a PKCE verifier.
// https://www.rfc-editor.org/rfc/rfc7636#section-4.1
func isVerifier(s string) bool { return len(s) >= 43 && len(s) <= 128 && isUnreserved(s) }
