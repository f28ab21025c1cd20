package subscription

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// An owner is who asked for a Subscription, and what is only for its endpoint.
type owner struct {
	holder, endpoint, secret string
	headers                  string // one a line
}

// A former is what is known of a Subscription that is to be written anew.
type former struct{ handle, status string }

// before returns what is known of the Subscription that p follows. A trusted system
// writes without looking at what is there; then it is what its resource says of
// itself, or else what was last heard of it.
func (p *proposal) before(ctx context.Context) (former, error) {
	if p.Old != nil {
		root := p.Old.Root()
		return former{root.Child("channel").Extension(handleExtension).Child("value").Text(), root.Child("status").Text()}, nil
	}
	var f former
	if !p.Grant.IsTrusted() {
		return f, nil
	}
	const known = `SELECT coalesce(o.handle, s.handle, ''), coalesce(s.status, '') FROM (SELECT) one
		LEFT JOIN subscription s ON s.id = $1 LEFT JOIN subscription_owner o ON o.handle = $2 AND o.subscription = $1`
	if err := p.engine.db.QueryRowContext(ctx, known, p.Key.ID, p.asked.channel.handle).Scan(&f.handle, &f.status); err != nil {
		return f, unavailable("read what is known of a subscription", err)
	}
	return f, nil
}

// handle returns the handle of whom the Subscription is to belong to: that of the
// version before, if nothing about it changes, or a new one. A secret stays with
// its endpoint until another one is given.
func (p *proposal) handle(ctx context.Context, before former) (string, error) {
	old, err := p.engine.owner(ctx, before.handle)
	if err != nil {
		return "", err
	}
	next := owner{holder: p.Grant.Terms().Holder, endpoint: p.asked.channel.endpoint, secret: p.asked.channel.secret}
	if next.headers, err = p.asked.channel.keep(old); err != nil {
		return "", err
	}
	if before.handle != "" {
		if next.secret == "" && next.endpoint == old.endpoint {
			next.secret = old.secret
		}
		if next.holder, err = p.holder(ctx, before.handle, old.holder); err != nil {
			return "", err
		}
		if old == next {
			return before.handle, nil
		}
	}
	h := rand.Text()
	if p.Dry {
		return h, nil
	}
	const insert = `INSERT INTO subscription_owner (handle, subscription, holder, endpoint, secret, headers, made)
		VALUES ($2, $3, $4, $5, $6, $7, coalesce($1::timestamptz, clock_timestamp()))`
	if _, err := p.engine.db.ExecContext(ctx, insert, p.engine.now(), h, p.Key.ID, next.holder, next.endpoint, next.secret, next.headers); err != nil {
		return "", unavailable("keep who asks for a subscription", err)
	}
	return h, nil
}

// holder returns who answers for the Subscription from now on: its writer, or whoever
// did before, while they still may and it tells the same of the same to the same
// endpoint. Otherwise what somebody sees who only switches it on, or tags it, would be
// sent to another's endpoint.
func (p *proposal) holder(ctx context.Context, handle, before string) (string, error) {
	writer := p.Grant.Terms()
	if p.Old == nil || before == writer.Holder {
		return writer.Holder, nil
	}
	same, err := p.tellsTheSame(handle)
	if err != nil || !same {
		return writer.Holder, err
	}
	g, err := p.engine.grant(ctx, before)
	switch t := g.Terms(); {
	case hasEnded(err):
		return writer.Holder, nil
	case err != nil:
		return "", unavailable("find out if who asked for a subscription still may", err)
	case t.Client == writer.Client && t.User == writer.User:
		return writer.Holder, nil
	}
	return before, nil
}

// tellsTheSame reports whether the Subscription differs in nothing but what it says of
// itself from the one with a handle that it follows.
func (p *proposal) tellsTheSame(handle string) (bool, error) {
	old, err := readObject(p.Old.Source())
	if err != nil {
		return false, err
	}
	next, err := readObject(p.New.Source())
	if err != nil {
		return false, err
	}
	if next, err = withHandle(next, handle); err != nil {
		return false, err
	}
	for _, name := range []string{"criteria", "_criteria", "channel"} {
		if !bytes.Equal(compacted(old.get(name)), compacted(next.get(name))) {
			return false, nil
		}
	}
	return true, nil
}

// compacted returns JSON, or nothing, without space.
func compacted(raw []byte) []byte {
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // it is JSON
	return b.Bytes()
}

// owner returns who has a handle; nobody if it is unknown.
func (e *Engine) owner(ctx context.Context, handle string) (owner, error) {
	var o owner
	if handle == "" {
		return o, nil
	}
	const read = `SELECT holder, endpoint, secret, headers FROM subscription_owner WHERE handle = $1`
	err := e.db.QueryRowContext(ctx, read, handle).Scan(&o.holder, &o.endpoint, &o.secret, &o.headers)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return o, unavailable("read who asked for a subscription", err)
	}
	return o, nil
}

// unavailable tells a client to try again when the database has failed.
func unavailable(doing string, err error) error {
	return errors.Join(fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "Subscriptions cannot be reached now; try again later."), fmt.Errorf("%s: %w", doing, err))
}

// grant makes the access of a holder anew.
func (e *Engine) grant(ctx context.Context, holder string) (access.Grant, error) {
	if e.Grants == nil || holder == "" {
		return access.Grant{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Nobody answers for this subscription any more. Write it anew.")
	}
	return e.Grants(ctx, holder)
}

// hasEnded reports whether err says that there is no such access any more.
func hasEnded(err error) bool {
	o := fhir.AsOutcome(err)
	return o != nil && (o.Class == fhir.Denied || o.Class == fhir.Unauthorized)
}

// grants are what holders may do, as it was a moment ago.
type grants struct {
	mu    sync.Mutex
	known map[string]granted
}

type granted struct {
	grant access.Grant
	err   error
	at    time.Time
}

// fresh is how long a grant that was made may be used again. It decides which
// events there are; what is told is decided by one that is made anew.
const fresh = 2 * time.Second

// recent returns what a holder may do, or could a moment ago.
func (e *Engine) recent(ctx context.Context, holder string) (access.Grant, error) {
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	now := e.today()
	if k, ok := e.cache.known[holder]; ok && now.Sub(k.at) < fresh {
		return k.grant, k.err
	}
	g, err := e.grant(ctx, holder)
	if e.cache.known == nil || len(e.cache.known) > 10_000 {
		e.cache.known = map[string]granted{}
	}
	if err == nil || hasEnded(err) {
		e.cache.known[holder] = granted{g, err, now}
	}
	return g, err
}
