package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth/bearer"
)

const (
	assertionLife = 5 * time.Minute
	// skew is how far the clocks of client and server may be apart. Clients send an
	// expiry of exactly five minutes from now, so without it a server whose clock is
	// a second behind would refuse them.
	skew   = time.Minute
	maxJTI = 255
)

// assertionAlgs are the algorithms of client assertions.
func assertionAlgs() []string { return []string{"RS384", "ES384"} }

// byAssertion returns the client that a client assertion names, if it was signed
// by that client, for this server, just now, and comes for the first time.
// https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
func (s *Server) byAssertion(ctx context.Context, p params) (Client, error) {
	if p.get("client_assertion_type") != assertionType {
		return Client{}, unknownClient()
	}
	compact := p.get("client_assertion")
	c, err := s.claimed(ctx, p, compact)
	if err != nil {
		return Client{}, err
	}
	payload, _, err := bearer.VerifyWithURL(compact, c.JWKSURL, s.keysOf(ctx, c), assertionAlgs())
	if err != nil {
		// Keys that cannot be fetched, a key that is not there, and a signature that is
		// not good are the client's to mend, and look alike.
		return Client{}, unknownClient()
	}
	a, err := readAssertion(payload)
	if err != nil || a.check(c.ID, s.config.Issuer, s.now()) != nil {
		return Client{}, unknownClient()
	}
	// Only now: who cannot sign could use up what others will send.
	first, err := s.firstUse(ctx, c.ID, a)
	if err != nil {
		return Client{}, err
	}
	if !first {
		return Client{}, unknownClient()
	}
	return *c, nil
}

// claimed returns the client that an assertion says it is from.
func (s *Server) claimed(ctx context.Context, p params, compact string) (*Client, error) {
	payload, header, err := bearer.Peek(compact)
	// RFC 7523 leaves kid open, SMART demands it.
	if err != nil || header.KeyID == "" {
		return nil, unknownClient()
	}
	a, err := readAssertion(payload)
	if err != nil || p.get("client_id") != "" && p.get("client_id") != a.issuer {
		return nil, unknownClient()
	}
	c, err := s.activeClient(ctx, a.issuer)
	if err != nil {
		return nil, err
	}
	if c == nil || !c.asymmetric() {
		return nil, unknownClient()
	}
	return c, nil
}

// An assertion is what a client says of itself.
type assertion struct {
	issuer, subject, id string
	audience            []string
	expires, notBefore  time.Time
}

func readAssertion(payload []byte) (assertion, error) {
	f, err := bearer.DecodeFields(payload)
	if err != nil {
		return assertion{}, err
	}
	if err := f.Spelled("iss", "sub", "aud", "exp", "nbf", "jti"); err != nil {
		return assertion{}, err
	}
	var a assertion
	var errs [6]error
	a.issuer, errs[0] = f.Text("iss")
	a.subject, errs[1] = f.Text("sub")
	a.id, errs[2] = f.Text("jti")
	a.audience, errs[3] = f.Texts("aud")
	a.expires, errs[4] = f.Time("exp")
	a.notBefore, errs[5] = f.Time("nbf")
	return a, errors.Join(errs[:]...)
}

// check returns an error unless a is from a client, for the server with an issuer,
// and good now. There need be no iat and nbf.
func (a assertion) check(client, issuer string, now time.Time) error {
	switch {
	case a.issuer != client || a.subject != client:
		return errors.New("iss and sub are not the client")
	case len(a.audience) != 1 || !slices.Contains([]string{issuer + TokenPath, issuer}, a.audience[0]):
		// With a second one, it could have been made for another server.
		return errors.New("aud is not this server alone")
	case a.id == "" || len(a.id) > maxJTI:
		return errors.New("jti is missing or too long")
	case !a.expires.After(now.Add(-skew)):
		return errors.New("it has expired")
	case a.expires.After(now.Add(assertionLife + skew)):
		return errors.New("it expires later than in five minutes")
	case a.notBefore.After(now.Add(skew)):
		return errors.New("it is not good yet")
	}
	return nil
}

// firstUse reports whether an assertion comes for the first time. Of two at the
// same time one is first.
func (s *Server) firstUse(ctx context.Context, client string, a assertion) (bool, error) {
	const insert = `INSERT INTO oauth_assertion (client, jti, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	done, err := s.db.ExecContext(ctx, insert, client, a.id, a.expires.Add(skew))
	if err != nil {
		return false, fmt.Errorf("keep the id of a client assertion: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// keysOf returns how to find a key of a client.
func (s *Server) keysOf(ctx context.Context, c *Client) func(kid, alg string) ([]jose.JSONWebKey, error) {
	return func(kid, alg string) ([]jose.JSONWebKey, error) {
		if c.JWKSURL != "" {
			key, err := s.remote.at(c.JWKSURL).Key(ctx, kid, alg)
			return []jose.JSONWebKey{key}, err
		}
		set, err := bearer.ParseKeys(c.JWKS)
		return set.Keys, err
	}
}

// maxRemote is how many addresses of keys are remembered.
const maxRemote = 1000

// remoteKeys are the keys at the addresses that clients have registered.
type remoteKeys struct {
	client *http.Client
	now    func() time.Time

	mu sync.Mutex
	by map[string]*bearer.RemoteKeys
}

func newRemoteKeys(c *http.Client, now func() time.Time) *remoteKeys {
	return &remoteKeys{client: c, now: now, by: map[string]*bearer.RemoteKeys{}}
}

func (r *remoteKeys) at(url string) *bearer.RemoteKeys {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.by[url]
	if keys == nil {
		if len(r.by) >= maxRemote {
			clear(r.by)
		}
		keys = bearer.NewRemoteKeys(url, r.client, r.now)
		r.by[url] = keys
	}
	return keys
}
