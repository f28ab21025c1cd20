package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// An Issuer is an authorization server of others, whose access tokens are
// accepted. A token must be a JWT with iss, sub, exp, iat, aud and a client.
type Issuer struct {
	URL  string // exactly as in iss
	JWKS string // URL of its keys; empty: what its discovery document says
	// Audience is what aud must be. Empty: one of Config.Audiences.
	Audience string
	// SharedAudience accepts tokens that are for others as well, which those
	// others could send on to here.
	SharedAudience bool
	// Type is the typ in the header of its access tokens. Empty: "at+jwt".
	// Others write "JWT", which id_tokens have too; these are then told by what
	// they say.
	Type string
	// Claims says where claims are.
	Claims Mapping
}

// A Mapping says where claims are: each a name, or names of objects within each
// other with full stops between them ("context.patient"); or several of them
// with spaces between them, of which the first that is there counts. An empty
// one stands for what is said next to it.
type Mapping struct {
	Scope         string // scope: a string or an array of strings
	Patient       string // patient context.patient: an id
	FHIRUser      string // fhirUser: relative or absolute
	Client        string // client_id azp
	Organizations string // none: one id or an array of them
}

// discoveredFor is how long a discovery document is kept.
const discoveredFor = time.Hour

// accepted returns the algorithms of which tokens of others may be.
func accepted() []string { return []string{"RS256", "RS384", "PS256", "ES256", "ES384"} }

// source is where the keys of an Issuer come from.
type source struct {
	Issuer
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	keys   *RemoteKeys
	algs   []string
	asked  time.Time // when discovery was tried
	failed error     // how it ended
}

// found returns the keys and algorithms of s.
func (s *source) found(ctx context.Context) (*RemoteKeys, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.now().Sub(s.asked)
	switch {
	case s.JWKS != "" && s.keys == nil:
		s.keys, s.algs = NewRemoteKeys(s.JWKS, s.client, s.now), accepted()
	case s.JWKS != "" || s.keys != nil && since < discoveredFor:
	case s.failed != nil && since < failedFor:
		return nil, nil, s.failed
	default:
		s.failed = s.discover(ctx)
		s.asked = s.now()
		if s.failed != nil {
			s.keys = nil
		}
	}
	return s.keys, s.algs, s.failed
}

// discover reads the discovery document.
// https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
func (s *source) discover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, s.client), keySetTime)
	defer cancel()
	p, err := oidc.NewProvider(ctx, s.URL)
	if err != nil {
		// The text may have all of the answer in it.
		return fmt.Errorf("discover the issuer %s: %s", s.URL, shortened(err.Error()))
	}
	var doc struct {
		JWKS string   `json:"jwks_uri"`
		Algs []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := p.Claims(&doc); err != nil || doc.JWKS == "" {
		return errors.New("discover the issuer " + s.URL + ": it says no jwks_uri")
	}
	if doc.Algs == nil {
		doc.Algs = []string{"RS256"} // every issuer must have it
	}
	s.algs = slices.DeleteFunc(accepted(), func(a string) bool { return !slices.Contains(doc.Algs, a) })
	if s.keys == nil || s.keys.url != doc.JWKS {
		s.keys = NewRemoteKeys(doc.JWKS, s.client, s.now)
	}
	return nil
}

// shortened returns the beginning of a text.
func shortened(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most]
	}
	return text
}

// verify checks the signature of a token that says it is of s.
func (s *source) verify(ctx context.Context, t token) error {
	remote, algs, err := s.found(ctx)
	if err != nil {
		return &away{err}
	}
	keys := func(kid, alg string) ([]jose.JSONWebKey, error) {
		k, err := remote.Key(ctx, kid, alg)
		if err != nil && !errors.Is(err, ErrNoKey) {
			return nil, &away{err}
		}
		return []jose.JSONWebKey{k}, err
	}
	return t.verify(keys, algs, checkSignature)
}
