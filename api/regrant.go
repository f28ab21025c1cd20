package api

import (
	"context"
	"errors"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// Regrant returns what who has a Holder may do now, without a token. What a person
// has allowed must still be in force, and lasts as long as tokens can be had by it;
// a client that acts for itself must still be registered, for these scopes. What
// has ended is an Outcome of class Denied.
func (s *SignIn) Regrant(ctx context.Context, holder string) (access.Grant, error) {
	if holder == access.LocalHolder {
		return access.Grant{}, ended() // it was set up when the server trusted everybody
	}
	c, err := auth.ParseHolder(holder)
	if err != nil {
		return access.Grant{}, err
	}
	if c.IsBackend() {
		c.Scope, err = s.registered(ctx, c)
	} else {
		err = s.inForce(ctx, c.Grant)
	}
	if err != nil {
		return access.Grant{}, err
	}
	p, err := s.profile(ctx, c)
	if err != nil {
		return access.Grant{}, err
	}
	scopes, _ := auth.ParseScopes(c.Scope, s.config.Engine.ScopeParameter)
	terms, err := auth.TermsOf(c, p, scopes)
	if fhir.AsOutcome(err) != nil {
		return access.Grant{}, ended()
	}
	return access.NewGrant(terms), err
}

// registered returns those scopes of c that its client is still registered for.
func (s *SignIn) registered(ctx context.Context, c auth.Claims) (string, error) {
	client, err := s.config.Authority.Client(ctx, c.Client)
	if errors.Is(err, oauth.ErrNoClient) {
		return "", ended()
	}
	if err != nil {
		return "", err
	}
	return s.config.Authority.Within(client, c.Scope), nil
}

// inForce returns an Outcome unless a grant is good.
func (s *SignIn) inForce(ctx context.Context, grant string) error {
	live, err := s.config.Authority.Live(ctx, grant)
	if err == nil && !live {
		return ended()
	}
	return err
}

func ended() error {
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "What this was set up with has ended or was revoked. Set it up again with a token that lasts: of a client that acts for itself, or with offline_access.")
}
