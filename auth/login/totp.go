package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	period      = 30 // seconds that a code is shown for
	secretBytes = 20
)

// EnableTOTP gives an account a new secret for one-time codes, ends its
// sessions, and returns the otpauth address that an authenticator app reads, as a
// picture or as text. It is shown once. From now on a password alone does not do.
// https://www.rfc-editor.org/rfc/rfc6238
func (l *Login) EnableTOTP(ctx context.Context, id string) (uri string, err error) {
	a, err := l.Account(ctx, id)
	if err != nil {
		return "", err
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails: crypto/rand crashes the program instead
	made, err := totp.Generate(totp.GenerateOpts{Issuer: "OpenConsult", AccountName: a.Name, Period: period, Secret: secret, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("make a secret for one-time codes: %w", err)
	}
	return made.URL(), l.change(ctx, a.ID, `totp_secret = $2, totp_step = 0`, secret)
}

// step returns which of the codes around a time code is, as the number of its 30
// seconds, 0 if it is none of them. One earlier and one later are taken, for clocks
// that go wrong.
func step(secret []byte, code string, now time.Time) (int64, error) {
	code = strings.ReplaceAll(code, " ", "")
	current := now.Unix() / period
	var found int64
	for at := current - 1; at <= current+1; at++ {
		want, err := hotp.GenerateCode(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret), uint64(at))
		if err != nil {
			return 0, fmt.Errorf("make a one-time code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = at
		}
	}
	return found, nil
}

// spend uses a code up, so that it is good once, on all servers together. It reports
// whether the code was still good.
func (l *Login) spend(ctx context.Context, account string, secret []byte, code string) (bool, error) {
	at, err := step(secret, code, l.now())
	if err != nil || at == 0 {
		return false, err
	}
	// Codes from before one that was used are refused as well: somebody may have seen them.
	const use = `UPDATE login_account SET totp_step = $2 WHERE id = $1 AND totp_step < $2`
	done, err := l.db.ExecContext(ctx, use, account, at)
	switch err := changed(done, err); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("use a one-time code up: %w", err)
	}
	return true, nil
}
