package oauth

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Revoke ends the grant of the token in a form, and with it all tokens of that
// grant. It does nothing, and is no error, when the token is not good, or is
// another client's, which the caller has no need to know. It returns an *Error
// when the client is not known.
// https://www.rfc-editor.org/rfc/rfc7009
func (s *Server) Revoke(ctx context.Context, form url.Values, authorization string) error {
	p := params(form)
	if p.twice("token", "token_type_hint") != "" || p.get("token") == "" {
		return refused(invalidRequest, "token is missing, or there twice.")
	}
	c, err := s.authenticate(ctx, p, authorization)
	if err != nil {
		return err
	}
	token := p.get("token")
	if strings.Count(token, ".") != 2 {
		// A token that was replaced is as good a reason as the one that replaced it.
		return s.end(ctx, `id = (SELECT grant_id FROM oauth_refresh WHERE hash = $2) AND client = $3`, hashOf(token), c.ID)
	}
	a, err := s.readAccess(ctx, token)
	if err != nil || a == nil {
		return err
	}
	return s.end(ctx, `id = $2 AND client = $3`, a.Grant, c.ID)
}

const (
	codeKept  = 24 * time.Hour      // to tell that a code is used again
	grantKept = 30 * 24 * time.Hour // after it has ended
	ownKept   = time.Hour           // the same for a client that acts for itself: there is one for each token
)

// sweep deletes what is of no more use.
func (s *Server) sweep(ctx context.Context) error {
	now := s.now()
	for _, old := range []struct {
		query  string
		before time.Time
	}{
		{`DELETE FROM oauth_request WHERE expires < $1`, now},
		{`DELETE FROM oauth_launch WHERE expires < $1`, now.Add(-requestLife)},
		{`DELETE FROM oauth_assertion WHERE expires < $1`, now},
		{`DELETE FROM oauth_code WHERE expires < $1`, now.Add(-codeKept)},
		{`DELETE FROM oauth_refresh WHERE replaced < $1`, now.Add(-grantKept)},
		{`DELETE FROM oauth_grant WHERE expires < $1 AND account = ''`, now.Add(-ownKept)},
		{`DELETE FROM oauth_grant WHERE expires < $1`, now.Add(-grantKept)},
		{`DELETE FROM oauth_registration WHERE expires < $1`, now.Add(-grantKept)},
	} {
		if _, err := s.db.ExecContext(ctx, old.query, old.before); err != nil {
			return fmt.Errorf("delete what has expired: %w", err)
		}
	}
	return nil
}
