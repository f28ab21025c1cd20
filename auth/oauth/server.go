package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir"
)

// The paths of the endpoints below the issuer.
const (
	AuthorizePath     = "/auth/authorize"
	TokenPath         = "/auth/token"
	IntrospectPath    = "/auth/introspect"
	RevokePath        = "/auth/revoke"
	RegisterPath      = "/auth/register"
	ManagePath        = "/auth/apps"
	KeysPath          = "/auth/jwks"
	StylePath         = "/auth/style/1.json"
	LaunchPath        = "/smart/launch"
	ConfigurationPath = "/.well-known/smart-configuration" // below the FHIR base
	OpenIDPath        = "/.well-known/openid-configuration"
	MetadataPath      = "/.well-known/oauth-authorization-server"
)

// Config configures a Server.
type Config struct {
	// Issuer is the origin of the server: "https://fhir.example.org".
	Issuer string

	// FHIRBase is the address of the FHIR API that tokens are for, without a last
	// slash.
	FHIRBase string

	// HTTP fetches the keys of clients. Nil is a client that reaches public https
	// addresses only.
	HTTP *http.Client

	// Local lets clients have redirect URIs and key addresses with http on any
	// host. It is for a server on one's own machine.
	Local bool

	// Now is the clock. Nil is time.Now.
	Now func() time.Time

	// Known reports whether a type has a search parameter that may be in a scope.
	// With nil no scope may have conditions.
	Known func(typ, param string) bool

	// Sees reports whether a person sees a patient, whose id is given. It is asked
	// for the patient of every grant; with nil a Patient may name only itself, and
	// others nobody.
	Sees func(ctx context.Context, user fhir.Key, patient string) (bool, error)

	// Session reports whether a browser session is still there. It is asked before
	// an online refresh token is used. With nil such a token ends 12 hours after
	// sign-in, and with [Server.EndSession].
	Session func(ctx context.Context, id string) (bool, error)

	// Revoked is told of each grant that this server has ended. It may be nil.
	Revoked func(grant string)

	// Log is told when somebody uses a code or a refresh token a second time. Nil is
	// slog.Default.
	Log *slog.Logger
}

// A Server is an authorization server. Several may share a database.
type Server struct {
	config Config
	db     *sql.DB
	seal   sealer
	keys   *keyRing
	remote *remoteKeys
}

// Open returns a server on a migrated database, and makes its first signing keys.
// It fails when an address in c cannot be one.
func Open(ctx context.Context, db *sql.DB, c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	seal, err := newSealer(ctx, db)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, db: db, seal: seal, keys: &keyRing{}, remote: newRemoteKeys(c.HTTP, c.Now)}
	if err := s.ensureKeys(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (c Config) withDefaults() (Config, error) {
	c.Issuer, c.FHIRBase = strings.TrimRight(c.Issuer, "/"), strings.TrimRight(c.FHIRBase, "/")
	for _, address := range []string{c.Issuer, c.FHIRBase} {
		u, err := url.Parse(address)
		if err != nil {
			return c, fmt.Errorf("read the address %s: %w", address, err)
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return c, fmt.Errorf("the address %q of the authorization server or of the FHIR API is not an absolute http or https address", address)
		}
	}
	if u, _ := url.Parse(c.Issuer); u.Path != "" {
		return c, errors.New("the issuer is an origin: it has no path")
	}
	if c.HTTP == nil {
		c.HTTP = bearer.NewClient(bearer.Guard{})
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Known == nil {
		c.Known = func(string, string) bool { return false }
	}
	if c.Sees == nil {
		c.Sees = func(_ context.Context, user fhir.Key, patient string) (bool, error) {
			return user == fhir.Key{Type: "Patient", ID: patient}, nil
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, nil
}

// now returns the time as the database keeps it.
func (s *Server) now() time.Time { return s.config.Now().UTC().Truncate(time.Microsecond) }

// Issuer returns the identifier of the server, an origin without a last slash.
func (s *Server) Issuer() string { return s.config.Issuer }

// FHIRBase returns the address of the FHIR API that tokens are for, without a
// last slash.
func (s *Server) FHIRBase() string { return s.config.FHIRBase }
