package oauth

import (
	"time"

	"github.com/openconsult/openconsult/fhir/access"
)

// A Client is an app or a system that asks for tokens. It authenticates in one
// way: not at all (Public), by a secret, or by a key of its own (JWKSURL or JWKS).
// One that has none of these gets tokens by [Server.Issue] only.
type Client struct {
	ID     string // up to 128 of A-Z a-z 0-9 . _ ~ -; empty: AddClient makes one
	Name   string // shown to people
	Public bool   // it can keep no secret
	Native bool   // a public one that runs on the person's machine: a loopback redirect URI stands for all its ports

	SecretHash []byte // SHA-256 of its secret, 32 bytes; nil when it has none
	JWKSURL    string // where its public keys are
	JWKS       []byte // or they themselves, a JSON Web Key Set

	RedirectURIs []string // compared as they stand
	LaunchURLs   []string // what an EHR may open
	Origins      []string // of its scripts; nil: those of RedirectURIs
	Scopes       string   // that it may be granted; empty: none

	Organizations []string    // ids of Organizations that it acts for without a user
	All           bool        // without a user it sees whatever its scopes name
	Roles         access.Role // that it has without a user
	Clearance     []string    // labels that it may see without a user, such as R

	AccessMinutes int  // life of its access tokens, up to 10; 0: 10 with a user, 5 without
	Rotates       bool // its refresh tokens change with each use, as those of public clients always do
	Launches      bool // it may launch other apps
	Introspects   bool // it may introspect tokens of all clients: it is a resource server

	Active  bool // false: neither it nor its tokens are good for anything
	Created time.Time
}

// confidential reports whether c can authenticate.
func (c Client) confidential() bool { return c.SecretHash != nil || c.asymmetric() }

func (c Client) asymmetric() bool { return c.JWKSURL != "" || len(c.JWKS) > 0 }

// rotates reports whether each use of a refresh token of c replaces it. RFC 9700
// demands it where the client cannot prove who it is; elsewhere an answer that
// was lost must not cost the person a sign-in.
// https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
func (c Client) rotates() bool { return c.Rotates || !c.confidential() }
