package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

func badCode() *Error {
	return refused(invalidGrant, "The code is unknown, expired or used, or it was made for another client, redirect_uri or code_challenge.")
}

// redeem gives tokens for a code. Whoever presents a code uses it up, whether or
// not the rest is right; a second time ends what came of it.
// https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
func (s *Server) redeem(ctx context.Context, c Client, p params) (TokenResponse, error) {
	code, uri, verifier := p.get("code"), p.get("redirect_uri"), p.get("code_verifier")
	switch {
	case code == "":
		return TokenResponse{}, refused(invalidRequest, "code is missing.")
	case uri == "":
		return TokenResponse{}, refused(invalidRequest, "redirect_uri is missing: it is the one of the authorization request.")
	case !isVerifier(verifier):
		return TokenResponse{}, refused(invalidRequest, "code_verifier is missing, or not 43 to 128 of A-Z a-z 0-9 - . _ ~.")
	}
	if !fhir.Storable(uri) {
		uri = "" // what the database cannot take is nobody's, and the code is used up all the same
	}
	refresh := newSecret()
	g, nonce, err := s.useCode(ctx, c, redemption{hashOf(code), challengeOf(verifier), uri, hashOf(refresh)})
	if err != nil {
		return TokenResponse{}, err
	}
	t, err := s.answer(ctx, c, g, g.Scopes)
	if err != nil {
		return TokenResponse{}, err
	}
	if g.Reach != once {
		t.RefreshToken = refresh
	}
	if s.scopes(g.Scopes).OpenID {
		t.IDToken, err = s.identityToken(ctx, g, nonce, t)
	}
	return t, err
}

// A redemption is what a code is exchanged with.
type redemption struct {
	code      []byte // hash
	challenge string
	uri       string
	refresh   []byte // hash of the refresh token to be
}

// useCode does it all in one statement, so that of many who come at the same time
// exactly one is first, and those behind it find its grant and end it.
func (s *Server) useCode(ctx context.Context, c Client, r redemption) (*grant, string, error) {
	const use = `WITH code AS (
			UPDATE oauth_code SET used = $5 WHERE hash = $1 AND used IS NULL
			RETURNING grant_id, challenge, redirect_uri, nonce, expires AS ends),
		given AS (
			UPDATE oauth_grant SET redeemed = $5, used = $5,
				expires = CASE reach WHEN 'offline' THEN $6 WHEN 'online' THEN created + $7 * interval '1 second' ELSE $8 END
			FROM code
			WHERE id = grant_id AND client = $2 AND challenge = $3 AND redirect_uri = $4 AND ends > $5 AND revoked IS NULL
			RETURNING ` + grantColumns + `, nonce),
		kept AS (
			INSERT INTO oauth_refresh (hash, grant_id, created) SELECT $9, id, $5 FROM given WHERE reach <> 'once')
		SELECT * FROM given`
	now := s.now()
	row := s.db.QueryRowContext(ctx, use, r.code, c.ID, r.challenge, r.uri, now,
		now.Add(offlineLife), int(onlineLife/time.Second), now.Add(c.lifeFor(true)), r.refresh)
	var g grant
	var nonce string
	switch err := g.scanned(row, &nonce); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, "", s.replayed(ctx, c, r.code)
	case err != nil:
		return nil, "", fmt.Errorf("redeem a code: %w", err)
	}
	return &g, nonce, nil
}

// replayed says that a code is not good, and ends its grant. A code that was used
// up just now, with something else wrong, has no token yet, and gets none.
// https://www.rfc-editor.org/rfc/rfc9700#section-4.5.3.2
func (s *Server) replayed(ctx context.Context, c Client, code []byte) error {
	var id string
	switch err := s.db.QueryRowContext(ctx, `SELECT grant_id FROM oauth_code WHERE hash = $1`, code).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
		return badCode()
	case err != nil:
		return fmt.Errorf("look for a code: %w", err)
	}
	s.config.Log.WarnContext(ctx, "a code was used again, or by somebody else: what it granted is revoked", "client", c.ID, "grant", id)
	if err := s.end(ctx, `id = $2`, id); err != nil {
		return err
	}
	return badCode()
}
