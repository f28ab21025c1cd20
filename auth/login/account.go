package login

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lib/pq"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// An Account is somebody who may sign in.
type Account struct {
	ID        string      // random; AddAccount makes it
	Name      string      // what is typed to sign in, without regard to case
	Display   string      // how pages call the person; empty means Name
	Staff     bool        // works for an organisation
	User      fhir.Key    // the Patient, RelatedPerson or Practitioner that it speaks for; zero for none
	Clearance []string    // labels that it may see: R, PSY and so on
	Roles     access.Role // what it may do beyond scopes
	TOTP      bool        // a one-time code is asked for; see EnableTOTP
	Disabled  bool        // it may not sign in, and what it granted is worth nothing
}

const accountColumns = `id, name, display, staff, coalesce(user_type, ''), coalesce(user_id, ''), clearance, roles, totp_secret IS NOT NULL, disabled`

// scan returns where the accountColumns go.
func (a *Account) scan() []any {
	return []any{&a.ID, &a.Name, &a.Display, &a.Staff, &a.User.Type, &a.User.ID, (*pq.StringArray)(&a.Clearance), &a.Roles, &a.TOTP, &a.Disabled}
}

// AddAccount adds an account with a password, which may be empty: then nobody
// can sign in by one. ID, TOTP and Disabled of a are ignored. A name that is taken,
// a password that is too short and a User of another type are Outcomes.
func (l *Login) AddAccount(ctx context.Context, a Account, password string) (Account, error) {
	a.ID, a.Name, a.TOTP, a.Disabled = rand.Text(), folded(a.Name), false, false
	if a.Display == "" {
		a.Display = a.Name
	}
	if err := a.check(); err != nil {
		return Account{}, err
	}
	hash, err := l.newPassword(ctx, a.Name, password)
	if err != nil {
		return Account{}, err
	}
	const add = `INSERT INTO login_account (id, name, display, staff, user_type, user_id, clearance, roles, password)
		VALUES ($1, $2, $3, $4, NULLIF($5, ''), NULLIF($6, ''), $7, $8, $9) ON CONFLICT (name) DO NOTHING`
	done, err := l.db.ExecContext(ctx, add, a.ID, a.Name, a.Display, a.Staff, a.User.Type, a.User.ID, pq.StringArray(a.clearance()), int16(a.Roles), hash)
	if err := changed(done, err); errors.Is(err, sql.ErrNoRows) {
		return Account{}, fhir.Errorf(fhir.Clash, fhir.Duplicate, "", "There is an account of that name: choose another one.")
	} else if err != nil {
		return Account{}, fmt.Errorf("add an account: %w", err)
	}
	return a, nil
}

// Accounts returns all accounts by name.
func (l *Login) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+accountColumns+` FROM login_account ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	defer rows.Close()
	var all []Account
	for rows.Next() {
		var a Account
		if err := rows.Scan(a.scan()...); err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}

// Account returns the account with an id or a name. None is an Outcome of class
// Unknown.
func (l *Login) Account(ctx context.Context, idOrName string) (Account, error) {
	const find = `SELECT ` + accountColumns + ` FROM login_account WHERE id = $1 OR name = $2 ORDER BY id = $1 DESC LIMIT 1`
	if !fhir.Storable(idOrName) {
		idOrName = "" // what is no text is nobody's
	}
	var a Account
	err := l.db.QueryRowContext(ctx, find, idOrName, folded(idOrName)).Scan(a.scan()...)
	return a, l.known(err, "read an account")
}

// SetPassword gives an account another password and ends its sessions.
func (l *Login) SetPassword(ctx context.Context, id, password string) error {
	a, err := l.Account(ctx, id)
	if err != nil {
		return err
	}
	hash, err := l.newPassword(ctx, a.Name, password)
	if err != nil {
		return err
	}
	return l.change(ctx, a.ID, `password = $2`, hash)
}

// Disable keeps an account from signing in and ends its sessions.
func (l *Login) Disable(ctx context.Context, id string) error {
	return l.change(ctx, id, `disabled = $2`, true)
}

// Enable undoes Disable.
func (l *Login) Enable(ctx context.Context, id string) error {
	return l.change(ctx, id, `disabled = $2`, false)
}

// change sets a column of an account to value and ends its sessions.
func (l *Login) change(ctx context.Context, id, set string, value any) error {
	query := `WITH ended AS (DELETE FROM login_session WHERE account = $1) UPDATE login_account SET ` + set + ` WHERE id = $1`
	done, err := l.db.ExecContext(ctx, query, id, value)
	return l.known(changed(done, err), "change an account")
}

// known turns the absence of a row into an Outcome.
func (l *Login) known(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such account.")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// changed is sql.ErrNoRows when a statement changed nothing.
func changed(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return sql.ErrNoRows
}

func (a Account) check() error {
	switch a.User.Type {
	case "Patient", "RelatedPerson", "Practitioner":
		if !fhir.ValidID(a.User.ID) {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The user of an account needs an id of FHIR.")
		}
	case "":
		if a.User.ID != "" {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The user of an account needs a type.")
		}
	default:
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The user of an account is a Patient, RelatedPerson or Practitioner.")
	}
	if a.Name == "" || len(a.Name) > 200 || len(a.Display) > 200 || !utf8.ValidString(a.Name+a.Display) || strings.ContainsFunc(a.Name+a.Display, isControl) {
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "An account needs a name of 1 to 200 printable characters.")
	}
	return nil
}

// clearance is never nil, since its column is not.
func (a Account) clearance() []string {
	if a.Clearance == nil {
		return []string{}
	}
	return a.Clearance
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// folded returns the form of a name by which accounts are found. What is no text,
// which the database cannot be asked for, is the name of nobody: "".
func folded(name string) string {
	if !fhir.Storable(name) {
		return ""
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name))))
}

// isDuplicate reports whether a statement failed because a row is there already.
func isDuplicate(err error) bool {
	fault, ok := errors.AsType[*pq.Error](err)
	return ok && fault.Code == "23505"
}
