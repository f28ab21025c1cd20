package subscription

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// A Caller is who asks.
type Caller struct {
	Grant  access.Grant
	Origin interaction.Origin
}

// bindingTime is how long there is to connect with a token.
const bindingTime = 30 * time.Second

// A Binding is a token by which a websocket may listen to subscriptions, once.
type Binding struct {
	Token   string // 128 random bits or more
	Expires time.Time
}

// Bind returns a token to listen with to subscriptions that the caller may read,
// whose channel is a websocket. What it is told is what the caller may see. One
// that is not seen is an Unknown [*fhir.Outcome].
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-get-ws-binding-token.html
func (e *Engine) Bind(ctx context.Context, in Caller, ids []string) (Binding, error) {
	holder := in.Grant.Terms().Holder
	if holder == "" {
		return Binding{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "What this token grants cannot be found out later, while the websocket is open: use one of this server's own.")
	}
	if len(ids) == 0 || len(ids) > mostBound {
		return Binding{}, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Name 1 to %d subscriptions.", mostBound)
	}
	s := e.Engine.For(in.Grant, in.Origin)
	for _, id := range ids {
		v, err := s.Read(ctx, fhir.Key{Type: subscriptionType, ID: id})
		if err != nil {
			return Binding{}, err
		}
		r, err := fhir.Decode(subscriptionType, v.Stored)
		if err != nil {
			return Binding{}, fmt.Errorf("decode a Subscription: %w", err)
		}
		if r.Root().Child("channel").Child("type").Text() != "websocket" {
			return Binding{}, fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "", "A subscription that is named has another channel than websocket.")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b := Binding{Token: rand.Text()}
	const insert = `INSERT INTO subscription_binding (hash, subscriptions, holder, expires)
		VALUES ($2, $3, $4, coalesce($1::timestamptz, clock_timestamp()) + $5 * interval '1 millisecond') RETURNING expires`
	err := e.db.QueryRowContext(ctx, insert, e.now(), hashOf(b.Token), pq.Array(ids), holder, bindingTime.Milliseconds()).Scan(&b.Expires)
	if err != nil {
		return Binding{}, unavailable("make a token for a websocket", err)
	}
	return b, nil
}

// mostBound is how many subscriptions one websocket may listen to.
const mostBound = 100

func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// A bound is what a token was good for.
type bound struct {
	subscriptions []string
	holder        string
}

// unbind takes a token, which nobody can use again.
func (e *Engine) unbind(ctx context.Context, token string) (bound, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const take = `DELETE FROM subscription_binding WHERE hash = $2 RETURNING subscriptions, holder, expires > coalesce($1::timestamptz, clock_timestamp())`
	var b bound
	var good bool
	err := e.db.QueryRowContext(ctx, take, e.now(), hashOf(token)).Scan((*pq.StringArray)(&b.subscriptions), &b.holder, &good)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return bound{}, unavailable("take the token of a websocket", err)
	}
	if err != nil || !good {
		return bound{}, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "This binding token is unknown, was used, or has expired; get a new one by $get-ws-binding-token.")
	}
	return b, nil
}
