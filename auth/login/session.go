package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// A Reason says why a session speaks for nobody. The empty Reason is none.
type Reason string

// The reasons.
const (
	NotLinked     Reason = "not-linked"     // the account was never linked to a person of the record
	NoIdentifier  Reason = "no-identifier"  // the provider did not say the identifier
	NoRecord      Reason = "no-record"      // nobody has the identifier
	SeveralFound  Reason = "several"        // more than one has it
	WeakAssurance Reason = "weak-assurance" // the provider is not sure enough who it is
)

// A Session is a browser that is signed in.
type Session struct {
	ID        string // names it without being its cookie; see [Login.Alive]
	Account   Account
	User      fhir.Key  // for whom it speaks; zero for nobody: then it opens no record
	Unlinked  Reason    // why User is zero
	Provider  string    // name of the provider where the person signed in; empty: here
	Methods   []string  // how, in the words of RFC 8176: "pwd", "otp"
	Assurance string    // acr: how sure the provider is; may be empty
	Began     time.Time // when the person signed in
}

// Proof is how somebody has shown who they are: what Begin keeps of it. Of its
// account the id counts.
type Proof struct {
	Account   Account
	User      fhir.Key
	Unlinked  Reason
	Provider  string
	Methods   []string
	Assurance string
}

// Proved returns the proof of an account that signed in here by [Login.SignIn].
func Proved(a Account) Proof {
	p := Proof{Account: a, User: a.User, Methods: []string{"pwd"}}
	if a.TOTP {
		p.Methods = append(p.Methods, "otp")
	}
	if a.User == (fhir.Key{}) {
		p.Unlinked = NotLinked
	}
	return p
}

// seenEvery is how exactly the last use of a session is known, so that not every
// page writes.
const seenEvery = time.Minute

// Begin starts a session and returns its cookie of 256 random bits, of which only
// the hash is stored. Every sign-in gets a new one. Sessions that are over are
// removed on the way.
func (l *Login) Begin(ctx context.Context, p Proof) (cookie string, err error) {
	now := l.now()
	if err := l.sweep(ctx, now); err != nil {
		return "", err
	}
	cookie = Secret()
	const begin = `INSERT INTO login_session (hash, account, user_type, user_id, unlinked, provider, methods, assurance, began, seen)
		VALUES ($1, $2, NULLIF($3, ''), NULLIF($4, ''), $5, $6, $7, $8, $9, $9)`
	methods := append([]string{}, p.Methods...)
	_, err = l.db.ExecContext(ctx, begin, digest(cookie), p.Account.ID, p.User.Type, p.User.ID, p.Unlinked, p.Provider, pq.StringArray(methods), p.Assurance, now)
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	return cookie, nil
}

// Session returns the session of a cookie and keeps it alive. There is none, it
// is over, or its account is disabled: an Outcome of class Unauthorized.
func (l *Login) Session(ctx context.Context, cookie string) (*Session, error) {
	const find = `SELECT s.*, ` + accountColumns + ` FROM (
			SELECT account, coalesce(user_type, '') AS u_type, coalesce(user_id, '') AS u_id, unlinked, provider, methods, assurance, began, seen
			FROM login_session WHERE hash = $1 AND seen > $2 AND began > $3) AS s
		JOIN login_account ON id = s.account AND NOT disabled`
	now := l.now()
	s := Session{ID: base64.RawURLEncoding.EncodeToString(digest(cookie))}
	var seen time.Time
	into := []any{new(string), &s.User.Type, &s.User.ID, &s.Unlinked, &s.Provider, (*pq.StringArray)(&s.Methods), &s.Assurance, &s.Began, &seen}
	err := l.db.QueryRowContext(ctx, find, digest(cookie), now.Add(-l.config.Idle), now.Add(-l.config.Absolute)).Scan(append(into, s.Account.scan()...)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Sign in first.")
	case err != nil:
		return nil, fmt.Errorf("read a session: %w", err)
	case now.Sub(seen) < seenEvery:
		return &s, nil
	}
	if _, err := l.db.ExecContext(ctx, `UPDATE login_session SET seen = $2 WHERE hash = $1`, digest(cookie), now); err != nil {
		return nil, fmt.Errorf("keep a session alive: %w", err)
	}
	return &s, nil
}

// Alive reports whether the session with an ID is still there. Asking does not
// keep it alive.
func (l *Login) Alive(ctx context.Context, id string) (bool, error) {
	hash, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return false, nil
	}
	const find = `SELECT EXISTS (SELECT FROM login_session JOIN login_account a ON a.id = account
		WHERE hash = $1 AND seen > $2 AND began > $3 AND NOT disabled)`
	now := l.now()
	var alive bool
	if err := l.db.QueryRowContext(ctx, find, hash, now.Add(-l.config.Idle), now.Add(-l.config.Absolute)).Scan(&alive); err != nil {
		return false, fmt.Errorf("look for a session: %w", err)
	}
	return alive, nil
}

// End ends the session of a cookie, if there is one.
func (l *Login) End(ctx context.Context, cookie string) error {
	if _, err := l.db.ExecContext(ctx, `DELETE FROM login_session WHERE hash = $1`, digest(cookie)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// sweep removes what is over: sign-ins are rare enough to do it along with them.
func (l *Login) sweep(ctx context.Context, now time.Time) error {
	const sweep = `WITH a AS (DELETE FROM login_session WHERE seen < $1 OR began < $2),
			b AS (DELETE FROM login_upstream WHERE began < $3)
		DELETE FROM login_backoff WHERE seen < $4`
	// After a day every brake has forgotten all that longestWait lets it count.
	_, err := l.db.ExecContext(ctx, sweep, now.Add(-l.config.Idle), now.Add(-l.config.Absolute), now.Add(-awayFor), now.Add(-24*time.Hour))
	if err != nil {
		return fmt.Errorf("remove sessions that are over: %w", err)
	}
	return nil
}

// Secret returns 256 random bits for a cookie.
func Secret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
