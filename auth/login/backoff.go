package login

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A brake says how many tries are free, how soon one is forgotten, and so when
// those who guess have to wait: 2, 4, 8 seconds and so on up to longestWait.
type brake struct {
	kind   string
	free   int
	forget time.Duration
}

const longestWait = 15 * time.Minute

// accountBrake allows some 150 guesses a day, which password and code withstand;
// networkBrake leaves room for a practice whose computers share one address.
func accountBrake() brake { return brake{"account", 5, 10 * time.Minute} }
func networkBrake() brake { return brake{"network", 30, time.Minute} }

func (b brake) key(of string) []byte {
	sum := sha256.Sum256([]byte(b.kind + "\x00" + of))
	return sum[:]
}

// network returns the part of an address that one person is likely to have
// alone: the address in IPv4, the /64 in IPv6.
func network(from netip.Addr) string {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		return from.String()
	}
	p, err := from.Prefix(64)
	if err != nil {
		return from.String()
	}
	return p.String()
}

// try counts a try before it is made, so that many at once are no way around, and
// refuses it with an Outcome of class Busy while there is time to wait.
func (l *Login) try(ctx context.Context, b brake, of string) error {
	const count = `INSERT INTO login_backoff AS b (key, level, seen, until) VALUES ($1, 1, $2, $2)
		ON CONFLICT (key) DO UPDATE SET (level, seen, until) = (
			SELECT l, $2, $2 + CASE WHEN l <= $3 THEN interval '0' ELSE make_interval(secs => least($4::float8, power(2, least(l - $3, 30)))) END
			FROM (SELECT greatest(0, b.level - greatest(0, extract(epoch FROM $2 - b.seen)) / $5::float8) + 1 AS l) AS grown)
		WHERE b.until <= $2`
	now := l.now()
	done, err := l.db.ExecContext(ctx, count, b.key(of), now, float64(b.free), longestWait.Seconds(), b.forget.Seconds())
	switch err := changed(done, err); {
	case errors.Is(err, sql.ErrNoRows):
		return fhir.Errorf(fhir.Busy, fhir.Throttled, "", "There were too many tries to sign in. Wait up to 15 minutes and try again.")
	case err != nil:
		return fmt.Errorf("count a try to sign in: %w", err)
	}
	return nil
}

// forgive takes back what try has counted of a try that was good. The account
// starts anew; the network does not, or an attacker could clear it with an account of
// their own.
func (l *Login) forgive(ctx context.Context, name, network string) error {
	const undo = `WITH gone AS (DELETE FROM login_backoff WHERE key = $1)
		UPDATE login_backoff SET level = greatest(0, level - 1), until = seen WHERE key = $2 AND level <= $3 + 1`
	if _, err := l.db.ExecContext(ctx, undo, accountBrake().key(name), networkBrake().key(network), networkBrake().free); err != nil {
		return fmt.Errorf("forget the tries to sign in: %w", err)
	}
	return nil
}
