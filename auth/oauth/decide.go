package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
)

const codeLife = time.Minute

// Grant carries out the decision of a person, and returns where to send the
// browser, by a 303: the redirect URI with a code. The request is used up, and so
// is its launch. It returns a *PageError when the request is gone, the launch is
// for somebody else, or the patient is missing or not theirs to choose; and a
// *RedirectError when nothing is left that was agreed to.
func (s *Server) Grant(ctx context.Context, d Decision) (string, error) {
	r, err := s.Asked(ctx, d.Request)
	if err != nil {
		return "", err
	}
	if d.Account == "" {
		return "", errors.New("grant an authorization request: nobody has signed in")
	}
	if r.Launch != nil && !r.Launch.isFor(d.Account, d.User) {
		return "", onPage(AccessDenied, "This app was opened for somebody else. Sign in as the person who opened it.")
	}
	scopes := d.granted(r)
	if !useful(scopes) {
		return "", s.refuse(ctx, r, AccessDenied)
	}
	g, err := s.newGrant(ctx, r, d, scopes)
	if err != nil {
		return "", err
	}
	code := newSecret()
	if err := s.keepGrant(ctx, r, g, code); err != nil {
		return "", err
	}
	v := url.Values{"code": {code}, "state": {r.State}, "iss": {s.config.Issuer}}
	return withParameters(r.RedirectURI, v), nil
}

// granted returns what d agrees to of what r asks, without what cannot be kept.
func (d Decision) granted(r *Request) auth.Scopes {
	scopes := d.Scopes.Within(r.Scopes)
	context := r.Launch
	if context == nil {
		context = &Launch{}
	}
	scopes.FHIRUser = scopes.FHIRUser && d.User != fhir.Key{}
	scopes.LaunchEncounter = scopes.LaunchEncounter && (d.Encounter != "" || context.Encounter != "")
	return scopes
}

// newGrant returns the grant that d makes, with the context that goes with it.
func (s *Server) newGrant(ctx context.Context, r *Request, d Decision, scopes auth.Scopes) (*grant, error) {
	g := &grant{
		ID: newID(), Client: r.Client.ID, Account: d.Account, Session: d.Session, Scopes: scopes.String(), Reach: reachOf(scopes),
		Created: s.now(), Expires: s.now().Add(codeLife),
		Context: grantContext{User: d.User, Audience: r.Audience, ACR: d.ACR},
	}
	if !d.AuthTime.IsZero() {
		g.Context.AuthTime = d.AuthTime.Unix()
	}
	banner := true
	if l := r.Launch; l != nil && scopes.Launch {
		g.Context.Patient, g.Context.Encounter, g.Context.Intent, g.Context.Items = l.Patient, l.Encounter, l.Intent, l.Context
		banner = !l.NoBanner
	}
	if g.Context.Patient == "" && needsPatient(scopes) {
		g.Context.Patient = d.Patient
	}
	if g.Context.Encounter == "" && scopes.LaunchEncounter {
		g.Context.Encounter = d.Encounter
	}
	if g.Context.Patient != "" {
		g.Context.Banner = &banner
	}
	return g, s.checkContext(ctx, g, scopes)
}

// checkContext makes sure that the person may have the context of g.
func (s *Server) checkContext(ctx context.Context, g *grant, scopes auth.Scopes) error {
	c := g.Context
	switch {
	case c.Patient == "" && needsPatient(scopes):
		return onPage(invalidRequest, "The app needs to know which patient it is about: choose one.")
	case c.Patient != "" && !fhir.ValidID(c.Patient), c.Encounter != "" && !fhir.ValidID(c.Encounter):
		return onPage(invalidRequest, "There is no such patient or encounter.")
	case c.Patient == "":
		return nil
	}
	sees, err := s.config.Sees(ctx, c.User, c.Patient)
	if err != nil {
		return fmt.Errorf("ask whether a person sees a patient: %w", err)
	}
	if !sees {
		return onPage(AccessDenied, "There is no such patient, or you may not see the record.")
	}
	return nil
}

// keepGrant stores g and its code, and uses up the request and its launch, all or
// nothing. It returns a *PageError when somebody was faster.
func (s *Server) keepGrant(ctx context.Context, r *Request, g *grant, code string) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		if err := s.useRequest(ctx, tx, r); err != nil {
			return err
		}
		if err := g.insert(ctx, tx); err != nil {
			return err
		}
		const insert = `INSERT INTO oauth_code (hash, grant_id, challenge, redirect_uri, nonce, expires) VALUES ($1, $2, $3, $4, $5, $6)`
		if _, err := tx.ExecContext(ctx, insert, hashOf(code), g.ID, r.challenge, r.RedirectURI, r.Nonce, g.Expires); err != nil {
			return fmt.Errorf("keep a code: %w", err)
		}
		return nil
	})
}

func (s *Server) useRequest(ctx context.Context, tx *sql.Tx, r *Request) error {
	if err := usedOne(tx.ExecContext(ctx, `DELETE FROM oauth_request WHERE hash = $1 AND expires > $2`, hashOf(r.ID), s.now())); err != nil {
		return err
	}
	if r.launch == nil {
		return nil
	}
	return usedOne(tx.ExecContext(ctx, `UPDATE oauth_launch SET used = $2 WHERE hash = $1 AND used IS NULL`, r.launch, s.now()))
}

// usedOne returns a *PageError unless a statement has changed one row.
func usedOne(done sql.Result, err error) error {
	if err != nil {
		return fmt.Errorf("use up an authorization request: %w", err)
	}
	n, err := done.RowsAffected()
	if err == nil && n != 1 {
		return answered()
	}
	return err
}

// Refuse answers a request with an error code, such as AccessDenied, and returns
// where to send the browser, by a 303. The request is used up; its launch is not.
// It returns a *PageError when the request is gone.
func (s *Server) Refuse(ctx context.Context, request, code string) (string, error) {
	r, err := s.Asked(ctx, request)
	if err != nil {
		return "", err
	}
	err = s.refuse(ctx, r, code)
	if back, ok := errors.AsType[*RedirectError](err); ok {
		return back.URL, nil
	}
	return "", err
}

// refuse uses up r and returns the *RedirectError for its client.
func (s *Server) refuse(ctx context.Context, r *Request, code string) error {
	if err := usedOne(s.db.ExecContext(ctx, `DELETE FROM oauth_request WHERE hash = $1`, hashOf(r.ID))); err != nil {
		return err
	}
	return s.sendBack(*r, code, "")
}
