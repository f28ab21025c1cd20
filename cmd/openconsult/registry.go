package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// A registry is who may sign in and which clients there are, for the commands
// that keep them. Servers may run meanwhile.
type registry struct {
	base      string // public address of the API
	accounts  *login.Login
	authority *oauth.Server
	signIn    *api.SignIn // of a server; nil in commands
	pool      *sql.DB
}

// withRegistry runs do on the database of the settings.
func withRegistry(ctx context.Context, s *settings, do func(*registry) error) error {
	if err := s.served(); err != nil {
		return err
	}
	db, err := reachDatabase(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := openRegistry(ctx, s, db)
	if err != nil {
		return errors.Join(err, db.stop())
	}
	return errors.Join(do(r), r.pool.Close(), db.stop())
}

// served fails where there is no private database yet and none should be made: a
// wrong --data-dir would get one of its own.
func (s *settings) served() error {
	if s.DSN != "" || s.BaseURL != "" {
		return nil
	}
	if _, err := os.Stat(s.DataDir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database in %s: give the --data-dir of the server, or --base-url to make one before its first start", s.DataDir)
	}
	return nil
}

// beside returns the flags by which another command reaches the same database. A
// DSN may hold a password, so it is not repeated.
func (s *settings) beside() string {
	if s.DSN != "" {
		return "--dsn DSN"
	}
	return "--data-dir " + quoteShell(s.DataDir)
}

// quoteShell returns a word as a shell takes it for one.
func quoteShell(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool {
		return r < 128 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:@%", r)
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

func openRegistry(ctx context.Context, s *settings, db *database) (*registry, error) {
	pool, err := sql.Open("postgres", db.dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	r := &registry{pool: pool, base: s.BaseURL}
	if err := r.open(ctx, s); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return r, nil
}

func (r *registry) open(ctx context.Context, s *settings) error {
	known, err := store.BaseURL(ctx, r.pool)
	if err != nil {
		return err
	}
	// What a token is for must be what the server answers to.
	if r.base = cmp.Or(r.base, known); r.base == "" {
		return errors.New("no server has run on this database yet, so its address is not known: give --base-url, or start it once")
	}
	if r.accounts, err = login.Open(ctx, r.pool, login.Config{Issuer: originOf(r.base)}); err != nil {
		return err
	}
	// What clients have added to the parameters of R4 may not be in scopes.
	r4, err := search.NewRegistry(spec.R4(), "", 0, nil)
	if err != nil {
		return err
	}
	r.authority, err = oauth.Open(ctx, r.pool, oauth.Config{
		Issuer:   originOf(r.base),
		FHIRBase: r.base,
		HTTP:     bearer.NewClient(s.guard(r.base)),
		Local:    isLocal(r.base),
		Known:    r4.InScope,
	})
	return err
}

// originOf returns the origin of an address, such as https://fhir.example.org.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
