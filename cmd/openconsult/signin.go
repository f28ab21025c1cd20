package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// openSignIn puts SMART on FHIR together for a server. The registry is to be
// closed with it.
func openSignIn(ctx context.Context, s *settings, r *registry, engine *interaction.Engine, log *slog.Logger) (*api.SignIn, error) {
	providers, err := readProviders(s.Providers)
	if err != nil {
		return nil, err
	}
	issuers, err := readIssuers(s.Issuers)
	if err != nil {
		return nil, err
	}
	proxies, err := s.proxies()
	if err != nil {
		return nil, err
	}
	client := bearer.NewClient(s.guard(r.base))
	r.accounts, err = login.Open(ctx, r.pool, login.Config{Issuer: originOf(r.base), Providers: providers, Find: engine.Identified, HTTP: client})
	if err != nil {
		return nil, err
	}
	var signIn *api.SignIn
	r.authority, err = oauth.Open(ctx, r.pool, oauth.Config{
		Issuer:   originOf(r.base),
		FHIRBase: r.base,
		HTTP:     client,
		Local:    isLocal(r.base),
		Known:    engine.ScopeParameter,
		Sees: func(ctx context.Context, user fhir.Key, patient string) (bool, error) {
			return mayOpen(ctx, engine, user, patient)
		},
		Session: r.accounts.Alive,
		Revoked: func(grant string) { signIn.Forget(grant) },
		Log:     log,
	})
	if err != nil {
		return nil, err
	}
	signIn = api.NewSignIn(api.SignInConfig{Engine: engine, Accounts: r.accounts, Authority: r.authority, Issuers: issuers, HTTP: client, Log: log, Proxies: proxies, Demo: s.shownDemo()})
	return signIn, nil
}

// startSignIn has c ask who sends a request, by what is in the database. The
// registry's pool is to be closed at the end.
func startSignIn(ctx context.Context, s *settings, db *database, c *api.Config) (*registry, error) {
	pool, err := sql.Open("postgres", db.dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(signInConns)
	r := &registry{pool: pool, base: c.BaseURL}
	if err := r.serveSignIn(ctx, s, c); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return r, nil
}

// signInConns is how many database connections signing in takes at most: what
// floods it must not take those of the API.
const signInConns = 4

func (r *registry) serveSignIn(ctx context.Context, s *settings, c *api.Config) error {
	signIn, err := openSignIn(ctx, s, r, c.Engine, c.Log)
	if err != nil {
		return err
	}
	signIn.Configure(c)
	r.signIn = signIn
	if !s.Demo {
		return refuseDemo(ctx, r.accounts)
	}
	return makeDemo(ctx, c.Engine, r)
}

// mayOpen reports whether a person may have a patient in context.
func mayOpen(ctx context.Context, engine *interaction.Engine, user fhir.Key, patient string) (bool, error) {
	standing, err := engine.Standing(ctx, user)
	if err != nil {
		return false, err
	}
	if user.Type != "Practitioner" {
		return slices.Contains(standing.Patients, patient), nil
	}
	return engine.SeesPatient(ctx, standing, patient)
}

// renewEvery is how often the keys that sign tokens are looked at.
const renewEvery = 10 * time.Minute

// keepKeys renews the signing keys when it is time, until ctx is done. What fails
// is tried again.
func keepKeys(ctx context.Context, authority *oauth.Server, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(renewEvery):
		}
		if err := authority.Rotate(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "the signing keys could not be renewed", "err", err)
		}
	}
}

// refuseDemo fails when a database that serves for real still lets the demo's
// accounts in, whose passwords everybody knows.
func refuseDemo(ctx context.Context, accounts *login.Login) error {
	all, err := accounts.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if isDemo(a.Name) && !a.Disabled {
			return fmt.Errorf("this database has the account %s of the demo, whose password everybody knows: start with --demo, or run openconsult user disable for each account that begins with %s", a.Name, demoPrefix)
		}
	}
	return nil
}
