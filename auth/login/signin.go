package login

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"

	"github.com/openconsult/openconsult/fhir"
)

// SignIn returns the account that has a name, a password and, if it uses them, a
// one-time code, for somebody at the address from. All that is wrong is the same
// Outcome of class Unauthorized and takes the same time, whether there is such an
// account or not. Who tries too often gets an Outcome of class Busy.
func (l *Login) SignIn(ctx context.Context, c Credentials, from netip.Addr) (Account, error) {
	name, place := folded(c.Name), network(from)
	if err := l.try(ctx, networkBrake(), place); err != nil {
		return Account{}, err
	}
	if err := l.try(ctx, accountBrake(), name); err != nil {
		return Account{}, err
	}
	a, hash, secret, err := l.claimed(ctx, name)
	if err != nil {
		return Account{}, err
	}
	ok, outdated, err := l.hasher.matches(ctx, hash, c.Password)
	if err != nil {
		return Account{}, err
	}
	if ok && secret != nil {
		// A code is spent only with the right password, so nobody can use up another's.
		if ok, err = l.spend(ctx, a.ID, secret, c.Code); err != nil {
			return Account{}, err
		}
	}
	if !ok || a.Disabled {
		return Account{}, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "The name, the password or the code is not right.")
	}
	if outdated {
		if err := l.rehash(ctx, a.ID, hash, c.Password); err != nil {
			return Account{}, err
		}
	}
	return a, l.forgive(ctx, name, place)
}

// Credentials are what somebody types to sign in. Code is empty for who has none.
type Credentials struct{ Name, Password, Code string }

// claimed returns the account of a name with what proves it, or an empty one.
func (l *Login) claimed(ctx context.Context, name string) (a Account, hash string, secret []byte, err error) {
	const find = `SELECT ` + accountColumns + `, coalesce(password, ''), totp_secret FROM login_account WHERE name = $1`
	err = l.db.QueryRowContext(ctx, find, name).Scan(append(a.scan(), &hash, &secret)...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, "", nil, fmt.Errorf("read an account: %w", err)
	}
	return a, hash, secret, nil
}

// rehash stores a password at today's cost, unless it was changed meanwhile.
func (l *Login) rehash(ctx context.Context, id, old, password string) error {
	hash, err := l.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	const update = `UPDATE login_account SET password = $3 WHERE id = $1 AND password = $2`
	if _, err := l.db.ExecContext(ctx, update, id, old, hash); err != nil {
		return fmt.Errorf("store a password at a new cost: %w", err)
	}
	return nil
}
