package oauth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Registration lets somebody register clients without an operator.
type Registration struct {
	Note          string   // whom it is for
	Scopes        string   // the most that the clients may be granted
	Organizations []string // that they act for without a user
	Uses          int      // how many clients; at least 1
	Life          time.Duration
}

// AddRegistration returns an initial access token for dynamic registration.
// https://www.rfc-editor.org/rfc/rfc7591#section-3
func (s *Server) AddRegistration(ctx context.Context, r Registration) (string, error) {
	if _, unknown := auth.ParseScopes(r.Scopes, s.config.Known); len(unknown) > 0 || r.Uses < 1 || r.Life <= 0 {
		return "", fmt.Errorf("allow registration: it needs uses, a life, and scopes that are understood, not %q", unknown)
	}
	token := newSecret()
	const insert = `INSERT INTO oauth_registration (hash, note, scopes, organizations, remaining, expires) VALUES ($1, $2, $3, $4, $5, $6)`
	organizations := (&Client{Organizations: r.Organizations}).values()[11]
	if _, err := s.db.ExecContext(ctx, insert, hashOf(token), r.Note, r.Scopes, organizations, r.Uses, s.now().Add(r.Life)); err != nil {
		return "", fmt.Errorf("allow registration: %w", err)
	}
	return token, nil
}

// metadata is what RFC 7591 calls client metadata, as far as the server has a use
// for it.
type metadata struct {
	RedirectURIs    []string        `json:"redirect_uris,omitempty"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   []string        `json:"response_types"`
	Name            string          `json:"client_name"`
	Scope           string          `json:"scope"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"` // web or native
	LaunchURL       string          `json:"initiate_login_uri,omitempty"`
	Software        string          `json:"software_statement,omitempty"`
}

// Registered answers a registration.
type Registered struct {
	metadata
	ID      string `json:"client_id"`
	Secret  string `json:"client_secret,omitempty"`
	Issued  int64  `json:"client_id_issued_at"`
	Expires *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
}

// Register registers the client that body describes, if authorization has an
// initial access token. It returns an *Error otherwise.
// https://www.rfc-editor.org/rfc/rfc7591
func (s *Server) Register(ctx context.Context, authorization string, body []byte) (Registered, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Registered{}, badRegistration()
	}
	most, organizations, err := s.registration(ctx, token)
	if err != nil {
		return Registered{}, err
	}
	m := metadata{AuthMethod: "client_secret_basic", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}}
	if err := json.Unmarshal(body, &m); err != nil {
		return Registered{}, refused(invalidMetadata, "The body is not the JSON of RFC 7591.")
	}
	c, err := s.described(m, most)
	if err != nil {
		return Registered{}, err
	}
	c.Organizations = organizations
	if c.Public {
		c.Organizations = nil
	}
	// Whether c can be registered is found out before the token is used.
	trial := c
	trial.ID = newID()
	if err := s.complete(&trial); err != nil {
		return Registered{}, err
	}
	if err := s.useRegistration(ctx, token); err != nil {
		return Registered{}, err
	}
	added, secret, err := s.AddClient(ctx, c)
	if err != nil {
		return Registered{}, err
	}
	m.Scope, m.JWKS = added.Scopes, added.JWKS
	answer := Registered{metadata: m, ID: added.ID, Secret: secret, Issued: added.Created.Unix()}
	if secret != "" {
		answer.Expires = new(int64)
	}
	return answer, nil
}

func badRegistration() *Error {
	e := refused(invalidToken, "Registration needs an initial access token of the operator.")
	e.Challenge = "Bearer"
	return e
}

// registration returns what a token allows.
func (s *Server) registration(ctx context.Context, token string) (auth.Scopes, []string, error) {
	const query = `SELECT scopes, organizations FROM oauth_registration WHERE hash = $1 AND expires > $2 AND remaining > 0`
	var scopes string
	var organizations []string
	err := s.db.QueryRowContext(ctx, query, hashOf(token), s.now()).Scan(&scopes, pq.Array(&organizations))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return auth.Scopes{}, nil, badRegistration()
	case err != nil:
		return auth.Scopes{}, nil, fmt.Errorf("read an initial access token: %w", err)
	}
	return s.scopes(scopes), organizations, nil
}

func (s *Server) useRegistration(ctx context.Context, token string) error {
	const use = `UPDATE oauth_registration SET remaining = remaining - 1 WHERE hash = $1 AND expires > $2 AND remaining > 0`
	done, err := s.db.ExecContext(ctx, use, hashOf(token), s.now())
	if err != nil {
		return fmt.Errorf("use an initial access token: %w", err)
	}
	n, err := done.RowsAffected()
	if err == nil && n != 1 {
		return badRegistration()
	}
	return err
}

// described returns the client that m describes, with at most the given scopes.
func (s *Server) described(m metadata, most auth.Scopes) (Client, error) {
	c := Client{Name: m.Name, RedirectURIs: m.RedirectURIs, JWKSURL: m.JWKSURI, JWKS: m.JWKS, Native: m.ApplicationType == "native", Active: true}
	if string(c.JWKS) == "null" {
		c.JWKS = nil
	}
	if m.LaunchURL != "" {
		c.LaunchURLs = []string{m.LaunchURL}
	}
	if err := m.check(&c); err != nil {
		return Client{}, err
	}
	asked, unknown := auth.ParseScopes(m.Scope, s.config.Known)
	if m.Scope == "" {
		asked = most
	}
	wild := slices.ContainsFunc(asked.Resource, func(r auth.Scope) bool { return r.Type == "*" })
	system := asked.In(access.ForSystem)
	if len(unknown) > 0 || wild || system && !c.asymmetric() {
		return Client{}, refused(invalidMetadata, "scope has something that is not understood, a wildcard, or system/ scopes of a client without keys.")
	}
	allowed := asked.Within(most)
	if !useful(allowed) {
		return Client{}, refused(invalidMetadata, "None of the scopes is one that this registration allows.")
	}
	c.Scopes = allowed.String()
	return c, nil
}

// check makes sure that m asks for what the server has, and says how c
// authenticates.
func (m metadata) check(c *Client) error {
	known := []string{"authorization_code", "refresh_token", "client_credentials"}
	keys := m.JWKSURI != "" || c.JWKS != nil
	switch {
	case m.Software != "":
		return refused("invalid_software_statement", "Software statements are not supported.")
	case slices.ContainsFunc(m.GrantTypes, func(g string) bool { return !slices.Contains(known, g) }):
		return refused(invalidMetadata, "grant_types are among %s.", strings.Join(known, ", "))
	case slices.ContainsFunc(m.ResponseTypes, func(t string) bool { return t != "code" }):
		return refused(invalidMetadata, "response_types is code.")
	case slices.Contains(m.GrantTypes, "authorization_code") && len(m.RedirectURIs) == 0:
		return refused(invalidRedirectURI, "redirect_uris is missing.")
	case keys != (m.AuthMethod == "private_key_jwt"):
		return refused(invalidMetadata, "private_key_jwt goes with jwks_uri or jwks, and they with it.")
	}
	switch m.AuthMethod {
	case "none":
		c.Public = true
	case "private_key_jwt", "client_secret_basic", "client_secret_post":
	default:
		return refused(invalidMetadata, "token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt.")
	}
	return nil
}
