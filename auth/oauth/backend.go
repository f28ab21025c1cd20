package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

// clientCredentials gives a token to a client that acts for itself: a backend
// service, which has keys.
// https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html
func (s *Server) clientCredentials(ctx context.Context, c Client, p params) (TokenResponse, error) {
	if !c.asymmetric() {
		return TokenResponse{}, refused(unauthorizedClient, "client_credentials is for clients that authenticate by private_key_jwt.")
	}
	scopes, err := s.backendScopes(c, p.get("scope"))
	if err != nil {
		return TokenResponse{}, err
	}
	organizations, err := chosenOrganizations(c, p["organization"])
	if err != nil {
		return TokenResponse{}, err
	}
	g := s.ownGrant(c.ID, scopes.String(), c.lifeFor(false))
	g.Organizations = organizations
	if err := g.insert(ctx, s.db); err != nil {
		return TokenResponse{}, err
	}
	return s.answer(ctx, c, g, g.Scopes)
}

// ownGrant returns a grant of a client to itself, for one token.
func (s *Server) ownGrant(client, scopes string, life time.Duration) *grant {
	now := s.now()
	return &grant{
		ID: newID(), Client: client, Scopes: scopes, Reach: once, Created: now, Expires: now.Add(life),
		Context: grantContext{Audience: s.config.FHIRBase},
	}
}

// backendScopes returns what of the scopes asked for the client was authorised
// for beforehand.
func (s *Server) backendScopes(c Client, asked string) (auth.Scopes, error) {
	if asked == "" || len(asked) > maxScopes {
		return auth.Scopes{}, refused(invalidScope, "scope is missing, or longer than 4096 bytes.")
	}
	scopes, unknown := auth.ParseScopes(asked, s.config.Known)
	if len(unknown) > 0 || scopes.In(access.ForPatient) || scopes.In(access.ForUser) {
		return auth.Scopes{}, refused(invalidScope, "A client without a user asks for system/ scopes, such as system/Patient.rs.")
	}
	granted := s.allowed(auth.Scopes{Resource: scopes.Resource}, c)
	if len(granted.Resource) == 0 {
		return auth.Scopes{}, refused(invalidScope, "None of the scopes is one that this client is registered for.")
	}
	return granted, nil
}

// Within returns what of some scopes, as in a token, a client is registered for
// now.
func (s *Server) Within(c *Client, scopes string) string {
	parsed, _ := auth.ParseScopes(scopes, s.config.Known)
	return s.allowed(parsed, *c).String()
}

// chosenOrganizations returns those that a token is for: all of the client's, or
// those asked for.
func chosenOrganizations(c Client, asked []string) ([]string, error) {
	if len(asked) == 0 {
		return c.Organizations, nil
	}
	for _, o := range asked {
		if !slices.Contains(c.Organizations, o) {
			return nil, refused(invalidScope, "organization is the id of an Organization that the client acts for.")
		}
	}
	slices.Sort(asked)
	return slices.Compact(asked), nil
}

// refusesAny reports whether there is a scope in text that is not understood.
func (s *Server) refusesAny(text string) bool {
	_, unknown := auth.ParseScopes(text, s.config.Known)
	return len(unknown) > 0
}

// scripts is the client that tokens for scripts are issued to. It has no way to
// authenticate.
const scripts = "openconsult"

// Issue returns an access token for a script, good for d, which is one to ten
// minutes. The caller vouches for all of it: nobody is asked. It returns an error when
// the client is not there, or a scope is not understood.
func (s *Server) Issue(ctx context.Context, to Subject, scope string, d time.Duration) (string, error) {
	if d < time.Minute || d > userLife {
		return "", fmt.Errorf("issue a token for %s: it lives for one to ten minutes", d)
	}
	scopes, unknown := auth.ParseScopes(scope, s.config.Known)
	switch {
	case len(unknown) > 0:
		return "", fmt.Errorf("issue a token: the scopes %q are not understood", unknown)
	case needsPatient(scopes) && to.Patient == "":
		return "", errors.New("issue a token: patient/ scopes need a patient")
	case to.User.ID != "" && scopes.In(access.ForSystem):
		return "", errors.New("issue a token: system/ scopes are for a client alone; those of a person begin with user/ or patient/")
	case to.User.ID == "" && (scopes.In(access.ForUser) || scopes.In(access.ForPatient)):
		return "", errors.New("issue a token: the scopes of a client alone begin with system/")
	}
	if err := s.issuable(ctx, &to); err != nil {
		return "", err
	}
	g := s.ownGrant(to.Client, scopes.String(), d)
	g.Account, g.Context.User, g.Context.Patient, g.Organizations = to.Account, to.User, to.Patient, to.Organizations
	if err := g.insert(ctx, s.db); err != nil {
		return "", err
	}
	return s.accessToken(ctx, g, g.Scopes, g.Expires)
}

// issuable makes sure that there is the client.
func (s *Server) issuable(ctx context.Context, to *Subject) error {
	if to.Client == "" {
		to.Client = scripts
		_, err := s.insertClient(ctx, Client{ID: scripts, Name: "OpenConsult", Active: true, Created: s.now()})
		if err != nil {
			return err
		}
	}
	c, err := s.activeClient(ctx, to.Client)
	if err == nil && c == nil {
		return fmt.Errorf("issue a token to %s: %w", to.Client, ErrNoClient)
	}
	return err
}
