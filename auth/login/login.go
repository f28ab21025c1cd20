package login

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// Config configures a Login. The zero value of an optional field means its
// documented default.
type Config struct {
	// Issuer is the public origin of the server without a last slash. The addresses
	// that providers send people back to are below it.
	Issuer string

	// Providers are the OpenID providers that people may sign in at. None is fine.
	Providers []Provider

	// Find returns the current resources of a type that have an identifier of a
	// system: all of them, or at least two when there are several. It is needed with
	// Providers.
	Find func(ctx context.Context, typ, system, value string) ([]fhir.Key, error)

	// HTTP asks the providers. It must refuse addresses that the server should not
	// reach. It is needed with Providers.
	HTTP *http.Client

	Now      func() time.Time // time.Now
	Cost     Cost             // of a password's hash; the zero Cost is 19 MiB, 2 passes, 1 lane
	Idle     time.Duration    // how long a session lives without use; 15 minutes
	Absolute time.Duration    // how long it lives at most; 12 hours
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Cost == (Cost{}) {
		c.Cost = Cost{MiB: 19, Passes: 2, Lanes: 1}
	}
	c.Idle = cmp.Or(c.Idle, 15*time.Minute)
	c.Absolute = cmp.Or(c.Absolute, 12*time.Hour)
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	return c
}

// Login knows who may sign in and who has. It is safe for concurrent use, and
// several servers may share one database.
type Login struct {
	config    Config
	db        *sql.DB
	hasher    *hasher
	providers map[string]*upstream
	door      door
}

// Open returns a Login over a migrated database. It asks no provider anything
// yet: one that is down does not keep the server from starting.
func Open(_ context.Context, db *sql.DB, c Config) (*Login, error) {
	c = c.withDefaults()
	if len(c.Providers) > 0 && (c.Find == nil || c.HTTP == nil || c.Issuer == "") {
		return nil, errors.New("configure sign-in: providers need Issuer, Find and HTTP")
	}
	h, err := newHasher(c.Cost)
	if err != nil {
		return nil, err
	}
	l := &Login{config: c, db: db, hasher: h, providers: map[string]*upstream{}}
	for _, p := range c.Providers {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("configure sign-in at %q: %w", p.Name, err)
		}
		if l.providers[p.Name] != nil {
			return nil, fmt.Errorf("configure sign-in: two providers are named %q", p.Name)
		}
		l.providers[p.Name] = &upstream{Provider: p, callback: c.Issuer + "/auth/upstream/" + p.Name + "/callback", client: c.HTTP}
	}
	return l, nil
}

// Providers returns the providers that people may sign in at, in the order of
// the configuration.
func (l *Login) Providers() []Provider { return l.config.Providers }

func (l *Login) now() time.Time { return l.config.Now().UTC() }
