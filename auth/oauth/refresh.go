package oauth

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// grace is how long a client gets the same answer again, in case it was lost.
const grace = 10 * time.Second

func badRefresh() *Error {
	return refused(invalidGrant, "The refresh token is unknown, expired, revoked or replaced, or it is another client's.")
}

// A refreshRow is one row of oauth_refresh.
type refreshRow struct {
	replaced     sql.NullTime
	answer       []byte
	nextReplaced bool // its successor has a successor, too
}

// refreshing is the use of one refresh token.
type refreshing struct {
	server *Server
	client Client
	token  string
	scope  string // asked for; empty: what was granted
}

// refresh gives a new access token for a refresh token. The refresh tokens of
// clients that cannot prove who they are change with each use, and using an old
// one ends them all.
// https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
func (s *Server) refresh(ctx context.Context, c Client, p params) (TokenResponse, error) {
	r := &refreshing{server: s, client: c, token: p.get("refresh_token"), scope: p.get("scope")}
	if r.token == "" {
		return TokenResponse{}, refused(invalidRequest, "refresh_token is missing.")
	}
	if err := r.checkSession(ctx); err != nil {
		return TokenResponse{}, err
	}
	var t TokenResponse
	var stale string
	err := s.within(ctx, func(tx *sql.Tx) error {
		g, err := r.lock(ctx, tx)
		if err != nil {
			return err
		}
		row, err := r.read(ctx, tx)
		if err != nil {
			return err
		}
		if !row.replaced.Valid {
			t, err = r.use(ctx, tx, g)
			return err
		}
		again, ok := r.again(row)
		if !ok {
			stale = g.ID
			return badRefresh()
		}
		t = again
		return nil
	})
	if stale != "" {
		s.config.Log.WarnContext(ctx, "a replaced refresh token was used: the whole grant is revoked", "client", c.ID, "grant", stale)
		err = errors.Join(s.end(ctx, `id = $2`, stale), err)
	}
	return t, err
}

// holder returns the public client that a refresh token was given to. Such a
// client has nothing to prove when it refreshes, and need not name itself either:
// what must be its own is the token.
// https://www.rfc-editor.org/rfc/rfc6749#section-6
func (s *Server) holder(ctx context.Context, token string) (Client, error) {
	if token == "" {
		return Client{}, refused(invalidRequest, "refresh_token is missing.")
	}
	const query = `SELECT client FROM oauth_grant WHERE id = (SELECT grant_id FROM oauth_refresh WHERE hash = $1)`
	var id string
	err := s.db.QueryRowContext(ctx, query, hashOf(token)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return Client{}, badRefresh()
	}
	if err != nil {
		return Client{}, fmt.Errorf("read whose a refresh token is: %w", err)
	}
	c, err := s.activeClient(ctx, id)
	if err != nil {
		return Client{}, err
	}
	if c == nil || !c.Public {
		return Client{}, unknownClient()
	}
	return *c, nil
}

// checkSession ends the grant when it lasts as long as a browser session that is
// gone.
func (r *refreshing) checkSession(ctx context.Context) error {
	if r.server.config.Session == nil {
		return nil
	}
	var session string
	const query = `SELECT session FROM oauth_grant WHERE id = (SELECT grant_id FROM oauth_refresh WHERE hash = $1) AND reach = 'online' AND client = $2`
	err := r.server.db.QueryRowContext(ctx, query, hashOf(r.token), r.client.ID).Scan(&session)
	if errors.Is(err, sql.ErrNoRows) || err == nil && session == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the session of a grant: %w", err)
	}
	there, err := r.server.config.Session(ctx, session)
	if err != nil {
		return fmt.Errorf("ask for a session: %w", err)
	}
	if there {
		return nil
	}
	return errors.Join(r.server.EndSession(ctx, session), badRefresh())
}

// lock returns the grant, which nobody else can use or revoke until the end of tx.
func (r *refreshing) lock(ctx context.Context, tx *sql.Tx) (*grant, error) {
	const query = `SELECT ` + grantColumns + ` FROM oauth_grant
		WHERE id = (SELECT grant_id FROM oauth_refresh WHERE hash = $1) AND client = $2 AND revoked IS NULL AND expires > $3 FOR UPDATE`
	var g grant
	switch err := g.scanned(tx.QueryRowContext(ctx, query, hashOf(r.token), r.client.ID, r.server.now())); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, badRefresh()
	case err != nil:
		return nil, fmt.Errorf("read a grant: %w", err)
	}
	return &g, nil
}

// read returns the row of the token, in a snapshot of after the lock.
func (r *refreshing) read(ctx context.Context, tx *sql.Tx) (refreshRow, error) {
	const query = `SELECT r.replaced, r.answer, n.replaced IS NOT NULL FROM oauth_refresh r LEFT JOIN oauth_refresh n ON n.hash = r.successor WHERE r.hash = $1`
	var row refreshRow
	switch err := tx.QueryRowContext(ctx, query, hashOf(r.token)).Scan(&row.replaced, &row.answer, &row.nextReplaced); {
	case errors.Is(err, sql.ErrNoRows):
		return row, badRefresh()
	case err != nil:
		return row, fmt.Errorf("read a refresh token: %w", err)
	}
	return row, nil
}

// use gives the answer and renews the grant.
func (r *refreshing) use(ctx context.Context, tx *sql.Tx, g *grant) (TokenResponse, error) {
	scopes, err := r.scopes(g)
	if err != nil {
		return TokenResponse{}, err
	}
	now := r.server.now()
	g.Expires = r.server.until(g, r.client.lifeFor(true))
	if _, err := tx.ExecContext(ctx, `UPDATE oauth_grant SET used = $2, expires = $3 WHERE id = $1`, g.ID, now, g.Expires); err != nil {
		return TokenResponse{}, fmt.Errorf("renew a grant: %w", err)
	}
	t, err := r.server.answer(ctx, r.client, g, scopes)
	if err != nil {
		return TokenResponse{}, err
	}
	t.RefreshToken = r.token
	if !r.client.rotates() {
		return t, nil
	}
	t.RefreshToken = newSecret()
	return t, r.replace(ctx, tx, g, t)
}

// scopes returns the scopes that the new token has: those asked for, which must
// be among those granted, as far as the client may still have them.
func (r *refreshing) scopes(g *grant) (string, error) {
	granted := r.server.scopes(g.Scopes)
	asked := granted
	if r.scope != "" {
		asked = r.server.scopes(r.scope)
		if inside := asked.Within(granted); inside.String() != asked.String() || r.server.refusesAny(r.scope) {
			return "", refused(invalidScope, "scope goes beyond what was granted.")
		}
	}
	left := r.server.allowed(asked, r.client)
	if !useful(left) {
		return "", refused(invalidScope, "Nothing is left of what was granted.")
	}
	return left.String(), nil
}

// replace stores the token in t as the successor, with the answer for who asks
// again.
func (r *refreshing) replace(ctx context.Context, tx *sql.Tx, g *grant, t TokenResponse) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	seal, err := r.sealer()
	if err != nil {
		return err
	}
	const insert = `INSERT INTO oauth_refresh (hash, grant_id, created) VALUES ($1, $2, $3)`
	next, now := hashOf(t.RefreshToken), r.server.now()
	if _, err := tx.ExecContext(ctx, insert, next, g.ID, now); err != nil {
		return fmt.Errorf("keep a refresh token: %w", err)
	}
	const replace = `UPDATE oauth_refresh SET replaced = $2, successor = $3, answer = $4 WHERE hash = $1`
	if _, err := tx.ExecContext(ctx, replace, hashOf(r.token), now, next, seal.seal(text, r.scope)); err != nil {
		return fmt.Errorf("replace a refresh token: %w", err)
	}
	return nil
}

// again returns the answer that was given when the token was replaced, if that
// was just now, nobody has used what it gave, and the question is the same.
func (r *refreshing) again(row refreshRow) (TokenResponse, bool) {
	var t TokenResponse
	age := r.server.now().Sub(row.replaced.Time)
	if row.nextReplaced || age < 0 || age > grace || len(row.answer) == 0 {
		return t, false
	}
	seal, err := r.sealer()
	if err != nil {
		return t, false
	}
	text, err := seal.open(row.answer, r.scope)
	if err != nil || json.NewDecoder(bytes.NewReader(text)).Decode(&t) != nil {
		return t, false
	}
	t.Client = r.client.ID
	return t, true
}

// sealer returns a sealer whose key is in the token, of which the database knows
// the hash only.
func (r *refreshing) sealer() (sealer, error) { return sealerOf([]byte(r.token), "answer") }
