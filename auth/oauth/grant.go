package oauth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
)

const (
	// offlineLife is how long a refresh token is good that nobody uses. Three months
	// are what ONC asks for.
	offlineLife = 100 * 24 * time.Hour
	onlineLife  = 12 * time.Hour
)

// A reach says how long a grant leads to new tokens.
type reach string

const (
	once    reach = "once"    // no refresh token
	online  reach = "online"  // while the person is there
	offline reach = "offline" // while the client uses it
)

func reachOf(s auth.Scopes) reach {
	switch {
	case s.Offline:
		return offline
	case s.Online:
		return online
	}
	return once
}

// A grant is one row of oauth_grant.
type grant struct {
	ID, Client, Account, Session string
	Scopes                       string
	Context                      grantContext
	Organizations                []string
	Reach                        reach
	Created, Expires             time.Time
}

// A grantContext is what goes with each token of a grant.
type grantContext struct {
	User      fhir.Key      `json:"user"`
	Patient   string        `json:"patient,omitempty"`
	Encounter string        `json:"encounter,omitempty"`
	Intent    string        `json:"intent,omitempty"`
	Banner    *bool         `json:"banner,omitempty"`
	Items     []ContextItem `json:"items,omitempty"`
	Audience  string        `json:"aud"`
	AuthTime  int64         `json:"auth_time,omitempty"`
	ACR       string        `json:"acr,omitempty"`
}

// fhirUser returns who the token is of as a relative reference, or "".
func (c grantContext) fhirUser() string {
	if c.User == (fhir.Key{}) {
		return ""
	}
	return c.User.String()
}

const grantColumns = `id, client, account, session, scopes, context, organizations, reach, created, expires`

// scanned reads the columns of g from a row.
func (g *grant) scanned(row interface{ Scan(...any) error }, more ...any) error {
	var text []byte
	fields := []any{&g.ID, &g.Client, &g.Account, &g.Session, &g.Scopes, &text, pq.Array(&g.Organizations), &g.Reach, &g.Created, &g.Expires}
	if err := row.Scan(append(fields, more...)...); err != nil {
		return err
	}
	return json.Unmarshal(text, &g.Context)
}

// executor is what runs statements: a pool, or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// insert stores g. One without a code has led to its token already.
func (g *grant) insert(ctx context.Context, to executor) error {
	text, err := json.Marshal(g.Context)
	if err != nil {
		return fmt.Errorf("encode a grant: %w", err)
	}
	organizations := g.Organizations
	if organizations == nil {
		organizations = []string{}
	}
	const insert = `INSERT INTO oauth_grant (` + grantColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	if _, err := to.ExecContext(ctx, insert, g.ID, g.Client, g.Account, g.Session, g.Scopes, string(text), pq.Array(organizations), g.Reach, g.Created, g.Expires); err != nil {
		return fmt.Errorf("keep a grant: %w", err)
	}
	return nil
}

// until returns when the grant of a user ends that is used now, or given out
// first.
func (s *Server) until(g *grant, life time.Duration) time.Time {
	now := s.now()
	switch g.Reach {
	case offline:
		return now.Add(offlineLife)
	case online:
		if s.config.Session != nil && g.Session != "" {
			return now.Add(onlineLife)
		}
		return g.Created.Add(onlineLife)
	}
	return now.Add(life)
}

// Live reports whether a grant is still good: it was neither revoked nor has it
// ended, and its client is active.
func (s *Server) Live(ctx context.Context, id string) (bool, error) {
	const query = `SELECT EXISTS (SELECT FROM oauth_grant g JOIN oauth_client c ON c.id = g.client
		WHERE g.id = $1 AND g.revoked IS NULL AND g.expires > $2 AND c.active)`
	var live bool
	if err := s.db.QueryRowContext(ctx, query, id, s.now()).Scan(&live); err != nil {
		return false, fmt.Errorf("ask whether a grant is good: %w", err)
	}
	return live, nil
}

// Grants lists what a person has allowed and what is still good, the newest first.
func (s *Server) Grants(ctx context.Context, account string) ([]Granted, error) {
	const query = `SELECT g.id, g.client, c.name, g.scopes, g.context, g.reach, g.created, coalesce(g.used, g.created), g.expires
		FROM oauth_grant g JOIN oauth_client c ON c.id = g.client
		WHERE g.account = $1 AND g.account <> '' AND g.redeemed IS NOT NULL AND g.revoked IS NULL AND g.expires > $2
		ORDER BY g.created DESC, g.id`
	rows, err := s.db.QueryContext(ctx, query, account, s.now())
	if err != nil {
		return nil, fmt.Errorf("list what was granted: %w", err)
	}
	defer rows.Close()
	var list []Granted
	for rows.Next() {
		var g Granted
		var text []byte
		var c grantContext
		var r reach
		err := rows.Scan(&g.ID, &g.Client, &g.Name, &g.Scopes, &text, &r, &g.Created, &g.Used, &g.Expires)
		if err = errors.Join(err, json.Unmarshal(text, &c)); err != nil {
			return nil, fmt.Errorf("list what was granted: %w", err)
		}
		g.Patient, g.Offline = c.Patient, r == offline
		list = append(list, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list what was granted: %w", err)
	}
	return list, nil
}

// RevokeGrant ends one grant of an account. It is no error when there is none.
func (s *Server) RevokeGrant(ctx context.Context, account, id string) error {
	return s.end(ctx, `id = $2 AND account = $3`, id, account)
}

// RevokeAccount ends all grants of an account, as when it is disabled.
func (s *Server) RevokeAccount(ctx context.Context, account string) error {
	return s.end(ctx, `account = $2 AND account <> ''`, account)
}

// EndSession ends what was granted in a browser session and not meant to last
// beyond it.
func (s *Server) EndSession(ctx context.Context, session string) error {
	return s.end(ctx, `session = $2 AND session <> '' AND reach <> 'offline'`, session)
}

// end revokes the grants for which a condition holds. Its parameters begin with
// $2.
func (s *Server) end(ctx context.Context, where string, args ...any) error {
	query := `UPDATE oauth_grant SET revoked = $1 WHERE revoked IS NULL AND ` + where + ` RETURNING id`
	rows, err := s.db.QueryContext(ctx, query, append([]any{s.now()}, args...)...)
	if err != nil {
		return fmt.Errorf("revoke grants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("revoke grants: %w", err)
		}
		if s.config.Revoked != nil {
			s.config.Revoked(id)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("revoke grants: %w", err)
	}
	return nil
}
