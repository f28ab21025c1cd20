package oauth

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// LaunchLife is how long a launch is good before the app asks for authorization.
const LaunchLife = 5 * time.Minute

// errLaunch says that a launch handle is good for nothing.
var errLaunch = errors.New("the launch is unknown, used, too old, or for another client")

// MintLaunch keeps the context for an app that an EHR is about to open, and
// returns the handle that goes into the parameter launch. The handle is good for
// five minutes, once, and only for the client and the person that l names. It
// returns an *Error when l cannot be used.
//
// Whoever calls it vouches that the EHR may launch apps. Whether the person sees
// the patient is asked when the launch is granted.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
func (s *Server) MintLaunch(ctx context.Context, l Launch) (string, error) {
	c, err := s.activeClient(ctx, l.Client)
	switch {
	case err != nil:
		return "", err
	case c == nil:
		return "", refused(invalidRequest, "There is no client %q that can be launched.", l.Client)
	}
	if err := l.check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encode a launch: %w", err)
	}
	// So JSON says what is no text, or text that the database cannot take.
	if bytes.Contains(text, []byte(`\u0000`)) || bytes.Contains(text, []byte(`\ufffd`)) {
		return "", refused(invalidRequest, "The launch has what is no text, or the character U+0000.")
	}
	handle := newSecret()
	const insert = `INSERT INTO oauth_launch (hash, client, context, expires) VALUES ($1, $2, $3, $4)`
	if _, err := s.db.ExecContext(ctx, insert, hashOf(handle), l.Client, string(text), s.now().Add(LaunchLife)); err != nil {
		return "", fmt.Errorf("keep a launch: %w", err)
	}
	return handle, nil
}

func (l Launch) check() error {
	person := fhir.ValidID(l.User.ID) && slices.Contains([]string{"Patient", "Practitioner", "RelatedPerson", "Person"}, l.User.Type)
	switch {
	case l.Account == "" && !person:
		return refused(invalidRequest, "A launch is for somebody: name the account, or the Practitioner, Patient, RelatedPerson or Person.")
	case l.Patient != "" && !fhir.ValidID(l.Patient), l.Encounter != "" && !fhir.ValidID(l.Encounter):
		return refused(invalidRequest, "patient and encounter are ids without a type before them.")
	case len(l.Intent) > 200:
		return refused(invalidRequest, "intent is longer than 200 letters.")
	case len(l.Context) > 50:
		return refused(invalidRequest, "fhirContext has more than 50 elements.")
	}
	for _, item := range l.Context {
		if err := item.check(); err != nil {
			return err
		}
	}
	return nil
}

func (i ContextItem) check() error {
	kinds := 0
	for _, set := range []bool{i.Reference != "", i.Canonical != "", len(i.Identifier) > 0} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return refused(invalidRequest, "Each element of fhirContext has one of reference, canonical and identifier.")
	}
	typ, id, relative := strings.Cut(i.Reference, "/")
	if i.Reference != "" && (!relative || typ == "" || !fhir.ValidID(id) || i.Type != "" && i.Type != typ) {
		return refused(invalidRequest, "The references of fhirContext are relative, such as ImagingStudy/1, and to the type that stands beside them.")
	}
	if slices.Contains([]string{"Patient", "Encounter"}, cmp.Or(typ, i.Type)) && (i.Role == "" || i.Role == launchRole) {
		return refused(invalidRequest, "A Patient or Encounter of fhirContext needs a role other than launch.")
	}
	if role, err := url.Parse(i.Role); err != nil || i.Role != "" && i.Role != launchRole && !role.IsAbs() {
		return refused(invalidRequest, "A role of fhirContext is launch, or an absolute URI.")
	}
	return nil
}

// launchRole is the only role of fhirContext that SMART itself has.
const launchRole = "launch"

// isFor reports whether l is for who has signed in.
func (l *Launch) isFor(account string, user fhir.Key) bool {
	if l.Account != "" {
		return l.Account == account
	}
	return l.User == user
}

// launch returns the launch with a hash that is good for a client now, or
// errLaunch.
func (s *Server) launch(ctx context.Context, hash []byte, client string) (*Launch, error) {
	return s.readLaunch(ctx, `expires > $3`, hash, client, s.now())
}

// launched is launch for a request that was made in time.
func (s *Server) launched(ctx context.Context, hash []byte, client string) (*Launch, error) {
	return s.readLaunch(ctx, `true`, hash, client)
}

func (s *Server) readLaunch(ctx context.Context, when string, args ...any) (*Launch, error) {
	var text []byte
	query := `SELECT context FROM oauth_launch WHERE hash = $1 AND client = $2 AND used IS NULL AND ` + when
	switch err := s.db.QueryRowContext(ctx, query, args...).Scan(&text); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errLaunch
	case err != nil:
		return nil, fmt.Errorf("read a launch: %w", err)
	}
	var l Launch
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("decode a launch: %w", err)
	}
	return &l, nil
}

// LaunchAddress returns the address that opens an app with a launch: what the app
// has registered, with the FHIR base as iss and the handle as launch.
func LaunchAddress(registered, fhirBase, handle string) string {
	return withParameters(registered, url.Values{"iss": {fhirBase}, "launch": {handle}})
}
