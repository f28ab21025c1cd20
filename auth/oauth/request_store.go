package oauth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
)

// asked is a Request as it is kept.
type asked struct {
	Scope       string         `json:"scope"`
	RedirectURI string         `json:"redirect_uri"`
	State       string         `json:"state"`
	Nonce       string         `json:"nonce,omitempty"`
	Prompt      []string       `json:"prompt,omitempty"`
	MaxAge      *time.Duration `json:"max_age,omitempty"`
	LoginHint   string         `json:"login_hint,omitempty"`
	Audience    string         `json:"aud"`
	Challenge   string         `json:"challenge"`
	Launch      []byte         `json:"launch,omitempty"`
}

// within runs f in a transaction, which is undone if f fails.
func (s *Server) within(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	// After a commit this does nothing, and before it the error of f says more.
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// keepRequest stores r under a new ID.
func (s *Server) keepRequest(ctx context.Context, r *Request) error {
	r.ID, r.Expires = newSecret(), s.now().Add(requestLife)
	text, err := json.Marshal(asked{r.Scopes.String(), r.RedirectURI, r.State, r.Nonce, r.Prompt, r.MaxAge, r.LoginHint, r.Audience, r.challenge, r.launch})
	if err != nil {
		return fmt.Errorf("encode an authorization request: %w", err)
	}
	const insert = `INSERT INTO oauth_request (hash, client, asked, expires)
		SELECT $1::bytea, $2, $3::jsonb, $4::timestamptz
		WHERE (SELECT count(*) FROM (SELECT FROM oauth_request WHERE expires > $5 LIMIT $6) AS open) < $6`
	done, err := s.db.ExecContext(ctx, insert, hashOf(r.ID), r.Client.ID, string(text), r.Expires, s.now(), maxRequests)
	if err != nil {
		return fmt.Errorf("keep an authorization request: %w", err)
	}
	if n, err := done.RowsAffected(); n == 1 || err != nil {
		return err
	}
	return fhir.Errorf(fhir.Busy, fhir.Throttled, "", "Too many people are signing in. Wait a minute and try again.")
}

// Asked returns the request with an id, or a *PageError when there is none, it was
// answered, or ten minutes have passed.
func (s *Server) Asked(ctx context.Context, id string) (*Request, error) {
	r := &Request{ID: id}
	var client string
	var text []byte
	const query = `SELECT client, asked, expires FROM oauth_request WHERE hash = $1 AND expires > $2`
	switch err := s.db.QueryRowContext(ctx, query, hashOf(id), s.now()).Scan(&client, &text, &r.Expires); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, answered()
	case err != nil:
		return nil, fmt.Errorf("read an authorization request: %w", err)
	}
	c, err := s.activeClient(ctx, client)
	if err != nil {
		return nil, err
	}
	// What is registered may have changed meanwhile.
	if c == nil {
		return nil, answered()
	}
	r.Client = *c
	return r, s.fill(ctx, r, text)
}

func answered() *PageError {
	return onPage(invalidRequest, "This sign-in was finished already, or has taken longer than ten minutes. Go back to the app and begin again.")
}

// fill reads what was kept of r.
func (s *Server) fill(ctx context.Context, r *Request, text []byte) error {
	var a asked
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("decode an authorization request: %w", err)
	}
	if !r.Client.redirects(a.RedirectURI) {
		return answered()
	}
	scopes, _ := auth.ParseScopes(a.Scope, s.config.Known)
	r.Scopes = s.allowed(scopes, r.Client)
	r.RedirectURI, r.State, r.Nonce, r.Prompt, r.MaxAge, r.LoginHint = a.RedirectURI, a.State, a.Nonce, a.Prompt, a.MaxAge, a.LoginHint
	r.Audience, r.challenge, r.launch = a.Audience, a.Challenge, a.Launch
	if r.launch == nil {
		return nil
	}
	l, err := s.launched(ctx, r.launch, r.Client.ID)
	if errors.Is(err, errLaunch) {
		return answered()
	}
	r.Launch = l
	return err
}
