package oauth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir"
)

// maxKeySet is how long the keys of a client may be.
const maxKeySet = 64 << 10

// checkClient returns an *Error when c cannot be registered.
func (s *Server) checkClient(c Client) error {
	switch {
	case !validClientID(c.ID):
		return refused(invalidMetadata, "The id of a client is made of 1 to 128 of A-Z a-z 0-9 . _ ~ and -.")
	case c.Name == "" || len(c.Name) > 200 || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return refused(invalidMetadata, "A client needs a name of at most 200 letters, which people see before they agree.")
	case c.Public && c.confidential():
		return refused(invalidMetadata, "A public client has neither a secret nor keys.")
	case c.Native && !c.Public:
		return refused(invalidMetadata, "A native app can keep no secret: register it as a public client.")
	case c.Public && (c.Launches || c.Introspects || c.All || len(c.Organizations) > 0 || c.Roles != 0 || len(c.Clearance) > 0):
		return refused(invalidMetadata, "A public client cannot prove who it is, so it has no rights of its own.")
	case (c.SecretHash != nil && c.asymmetric()) || c.JWKSURL != "" && len(c.JWKS) > 0:
		return refused(invalidMetadata, "A client has a secret, or an address of its keys, or the keys themselves.")
	case c.AccessMinutes < 0 || c.AccessMinutes > 10:
		return refused(invalidMetadata, "An access token lives for 1 to 10 minutes.")
	}
	for _, o := range c.Organizations {
		if !fhir.ValidID(o) {
			return refused(invalidMetadata, "%q is not the id of an Organization.", o)
		}
	}
	if _, unknown := auth.ParseScopes(c.Scopes, s.config.Known); len(unknown) > 0 {
		return refused(invalidMetadata, "The scopes %q are not understood.", unknown)
	}
	if err := checkKeySet(c.JWKS); err != nil {
		return err
	}
	return s.checkAddresses(c)
}

func validClientID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool {
		return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._~-", r)
	})
}

func (s *Server) checkAddresses(c Client) error {
	for _, uri := range c.RedirectURIs {
		if problem := checkRedirect(c, uri, s.config.Local); problem != "" {
			return refused(invalidRedirectURI, "The redirect URI %q cannot be used: %s.", uri, problem)
		}
	}
	others := slices.Clone(c.LaunchURLs)
	if c.JWKSURL != "" {
		others = append(others, c.JWKSURL)
	}
	for _, uri := range others {
		if problem := checkAddress(uri, s.config.Local); problem != "" {
			return refused(invalidMetadata, "The address %q cannot be used: %s.", uri, problem)
		}
	}
	for _, o := range c.Origins {
		if o == "" || originOf(o) != o {
			return refused(invalidMetadata, "%q is not an origin, such as https://app.example.org.", o)
		}
	}
	return nil
}

// checkKeySet returns an *Error unless set is empty or a set of public keys that
// can be told apart.
func checkKeySet(set []byte) error {
	if len(set) == 0 {
		return nil
	}
	if len(set) > maxKeySet {
		return refused(invalidMetadata, "jwks is longer than 64 KiB.")
	}
	keys, err := bearer.ParseKeys(set)
	if err != nil {
		return refused(invalidMetadata, "jwks cannot be used: %v.", err)
	}
	if len(keys.Keys) == 0 {
		return refused(invalidMetadata, "jwks has no RSA or EC key that is made for signatures and strong enough.")
	}
	seen := map[string]bool{}
	for _, k := range keys.Keys {
		name := fmt.Sprintf("%T %s", k.Key, k.KeyID)
		if k.KeyID == "" || seen[name] {
			return refused(invalidMetadata, "Each key in jwks needs a kid of its own.")
		}
		seen[name] = true
	}
	return nil
}

// originsOf returns the origins of the pages that a client is sent to.
func originsOf(uris []string) []string {
	var origins []string
	for _, uri := range uris {
		if o := originOf(uri); o != "" && !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	return origins
}
