package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// ErrNoClient says that there is no client with that id.
var ErrNoClient = errors.New("there is no such client")

const clientColumns = `id, name, public, native, secret_hash, jwks_url, jwks, redirect_uris, launch_urls, origins, scopes, organizations,
	sees_all, roles, clearance, access_minutes, rotates, launches, introspects, active, created`

func (c *Client) fields() []any {
	return []any{&c.ID, &c.Name, &c.Public, &c.Native, &c.SecretHash, &c.JWKSURL, (*text)(&c.JWKS),
		pq.Array(&c.RedirectURIs), pq.Array(&c.LaunchURLs), pq.Array(&c.Origins), &c.Scopes, pq.Array(&c.Organizations),
		&c.All, &c.Roles, pq.Array(&c.Clearance), &c.AccessMinutes, &c.Rotates, &c.Launches, &c.Introspects, &c.Active, &c.Created}
}

// text scans a column of type text into bytes; no bytes are nil.
type text []byte

// Scan takes a string.
func (t *text) Scan(v any) error {
	switch v := v.(type) {
	case []byte:
		*t = append(text(nil), v...)
	case string:
		*t = text(v)
	default:
		return fmt.Errorf("a column of text holds a %T", v)
	}
	return nil
}

func (c *Client) values() []any {
	list := func(l []string) any {
		if l == nil {
			l = []string{}
		}
		return pq.Array(l)
	}
	return []any{c.ID, c.Name, c.Public, c.Native, c.SecretHash, c.JWKSURL, string(c.JWKS),
		list(c.RedirectURIs), list(c.LaunchURLs), list(c.Origins), c.Scopes, list(c.Organizations),
		c.All, c.Roles, list(c.Clearance), c.AccessMinutes, c.Rotates, c.Launches, c.Introspects, c.Active, c.Created}
}

// AddClient registers a client, and returns it as it was kept. A confidential one
// that has neither keys nor a SecretHash gets a secret, which is returned this
// once; else the secret is empty. It returns an *Error when c cannot be
// registered, or its id is taken.
func (s *Server) AddClient(ctx context.Context, c Client) (Client, string, error) {
	var secret string
	if c.ID == "" {
		c.ID = newID()
	}
	if !c.Public && !c.confidential() {
		secret = newSecret()
		c.SecretHash = hashOf(secret)
	}
	if err := s.complete(&c); err != nil {
		return Client{}, "", err
	}
	c.Created = s.now()
	added, err := s.insertClient(ctx, c)
	switch {
	case err != nil:
		return Client{}, "", err
	case !added:
		return Client{}, "", refused(invalidMetadata, "There is a client with the id %s already.", c.ID)
	}
	return c, secret, nil
}

// complete fills in what follows from the rest of c, and checks it.
func (s *Server) complete(c *Client) error {
	if c.Origins == nil {
		c.Origins = originsOf(c.RedirectURIs)
	}
	return s.checkClient(*c)
}

func (s *Server) insertClient(ctx context.Context, c Client) (bool, error) {
	const insert = `INSERT INTO oauth_client (` + clientColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ON CONFLICT DO NOTHING`
	done, err := s.db.ExecContext(ctx, insert, c.values()...)
	if err != nil {
		return false, fmt.Errorf("add the client %s: %w", c.ID, err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// UpdateClient replaces what is kept of the client with c's id. A confidential one
// without keys and SecretHash keeps its secret. It returns an *Error when c cannot
// be registered, and ErrNoClient.
func (s *Server) UpdateClient(ctx context.Context, c Client) error {
	old, err := s.Client(ctx, c.ID)
	if err != nil {
		return err
	}
	if !c.Public && !c.confidential() {
		c.SecretHash = old.SecretHash
	}
	if err := s.complete(&c); err != nil {
		return err
	}
	const update = `UPDATE oauth_client SET (` + clientColumns + `)
		= ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, created) WHERE id = $1`
	values := c.values()
	if _, err := s.db.ExecContext(ctx, update, values[:len(values)-1]...); err != nil {
		return fmt.Errorf("update the client %s: %w", c.ID, err)
	}
	return nil
}

// NewSecret gives a client a new secret instead of its old one, and returns it. It
// returns an *Error when the client has no secret, and ErrNoClient.
func (s *Server) NewSecret(ctx context.Context, id string) (string, error) {
	c, err := s.Client(ctx, id)
	if err != nil {
		return "", err
	}
	if c.SecretHash == nil {
		return "", refused(invalidMetadata, "The client %s has no secret.", id)
	}
	secret := newSecret()
	if _, err := s.db.ExecContext(ctx, `UPDATE oauth_client SET secret_hash = $2 WHERE id = $1`, id, hashOf(secret)); err != nil {
		return "", fmt.Errorf("replace the secret of the client %s: %w", id, err)
	}
	return secret, nil
}

// Client returns the client with an id, active or not. It returns ErrNoClient.
func (s *Server) Client(ctx context.Context, id string) (*Client, error) {
	if !validClientID(id) {
		return nil, ErrNoClient
	}
	var c Client
	err := s.db.QueryRowContext(ctx, `SELECT `+clientColumns+` FROM oauth_client WHERE id = $1`, id).Scan(c.fields()...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNoClient
	case err != nil:
		return nil, fmt.Errorf("read the client %s: %w", id, err)
	}
	return &c, nil
}

// activeClient returns the client with an id, or nil when there is none that may
// do anything.
func (s *Server) activeClient(ctx context.Context, id string) (*Client, error) {
	if !validClientID(id) {
		return nil, nil
	}
	c, err := s.Client(ctx, id)
	if errors.Is(err, ErrNoClient) || err == nil && !c.Active {
		return nil, nil
	}
	return c, err
}

// Clients returns all clients in the order of their ids.
func (s *Server) Clients(ctx context.Context) ([]Client, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+clientColumns+` FROM oauth_client ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list the clients: %w", err)
	}
	defer rows.Close()
	var clients []Client
	for rows.Next() {
		var c Client
		if err := rows.Scan(c.fields()...); err != nil {
			return nil, fmt.Errorf("list the clients: %w", err)
		}
		clients = append(clients, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the clients: %w", err)
	}
	return clients, nil
}

// AllowsOrigin reports whether a script of a site may read answers of the token
// endpoint: client has registered the origin, or some client has if client is
// empty, as in a preflight, which names none.
func (s *Server) AllowsOrigin(ctx context.Context, client, origin string) (bool, error) {
	if !fhir.Storable(client) || !fhir.Storable(origin) {
		return false, nil
	}
	const query = `SELECT EXISTS (SELECT FROM oauth_client WHERE active AND $1 = ANY (origins) AND ($2 = '' OR id = $2))`
	var allowed bool
	if err := s.db.QueryRowContext(ctx, query, origin, client).Scan(&allowed); err != nil {
		return false, fmt.Errorf("look for an origin: %w", err)
	}
	return allowed, nil
}
