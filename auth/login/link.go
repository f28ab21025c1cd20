package login

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// recognise finds the account of a person and whom it speaks for. A sign-in that
// is too weak to open a record does not change whom the account is linked to
// either.
func (l *Login) recognise(ctx context.Context, u *upstream, c claims) (Proof, error) {
	a, err := l.identity(ctx, u, c)
	if err != nil {
		return Proof{}, err
	}
	if a.Disabled {
		return Proof{}, notSigned("This account may not sign in. Ask whoever runs this service.")
	}
	p := Proof{Account: a, Provider: u.Name, Methods: c.methods, Assurance: c.acr}
	if !u.assured(c.acr, c.vot) {
		p.Unlinked = WeakAssurance
		return p, nil
	}
	if p.User, p.Unlinked, err = l.link(ctx, u.Provider, c.identifier); err != nil {
		return Proof{}, err
	}
	if p.User != a.User {
		p.Account.User = p.User
		const move = `WITH ended AS (DELETE FROM login_session WHERE account = $1)
			UPDATE login_account SET user_type = NULLIF($2, ''), user_id = NULLIF($3, '') WHERE id = $1`
		if _, err := l.db.ExecContext(ctx, move, a.ID, p.User.Type, p.User.ID); err != nil {
			return Proof{}, fmt.Errorf("link an account: %w", err)
		}
	}
	return p, nil
}

// link returns the one resource that has an identifier, or why there is none.
func (l *Login) link(ctx context.Context, p Provider, identifier string) (fhir.Key, Reason, error) {
	if strings.TrimSpace(identifier) == "" {
		return fhir.Key{}, NoIdentifier, nil
	}
	found, err := l.config.Find(ctx, p.Link, p.System, identifier)
	switch {
	case err != nil:
		return fhir.Key{}, "", fmt.Errorf("find the %s of somebody who signs in: %w", p.Link, err)
	case len(found) == 0:
		return fhir.Key{}, NoRecord, nil
	case len(found) > 1:
		return fhir.Key{}, SeveralFound, nil
	case found[0].Type != p.Link || !fhir.ValidID(found[0].ID):
		return fhir.Key{}, "", fmt.Errorf("find the %s of somebody who signs in: got a %q", p.Link, found[0].Type)
	}
	return found[0], "", nil
}

// identity returns the account of a person at a provider, a new one for who comes
// the first time.
func (l *Login) identity(ctx context.Context, u *upstream, c claims) (Account, error) {
	const find = `SELECT ` + accountColumns + ` FROM login_account JOIN login_identity ON id = account WHERE issuer = $1 AND subject = $2`
	var a Account
	err := l.db.QueryRowContext(ctx, find, u.Issuer, c.subject).Scan(a.scan()...)
	if errors.Is(err, sql.ErrNoRows) {
		if err := l.welcome(ctx, u, c); err != nil {
			return Account{}, err
		}
		// Somebody may have come in by two doors at once: what is stored counts.
		err = l.db.QueryRowContext(ctx, find, u.Issuer, c.subject).Scan(a.scan()...)
	}
	if err != nil {
		return Account{}, fmt.Errorf("read the account of somebody from %s: %w", u.Name, err)
	}
	return a, nil
}

// welcome makes an account without a password, with an unguessable name.
func (l *Login) welcome(ctx context.Context, u *upstream, c claims) error {
	display := strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, c.name)
	if display == "" || len(display) > 200 {
		display = "Somebody from " + u.Label()
	}
	const add = `WITH a AS (
			INSERT INTO login_account (id, name, display, staff) SELECT $1, $2, $3, $4
			WHERE NOT EXISTS (SELECT FROM login_identity WHERE issuer = $5 AND subject = $6) RETURNING id)
		INSERT INTO login_identity (issuer, subject, account) SELECT $5, $6, id FROM a`
	id := rand.Text()
	_, err := l.db.ExecContext(ctx, add, id, u.Name+":"+folded(id), display, u.Link == "Practitioner", u.Issuer, c.subject)
	if isDuplicate(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("add an account of somebody from %s: %w", u.Name, err)
	}
	return nil
}
