package main

import (
	"bytes"
	"context"
	_ "embed" // for the resources of the demo
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/api/web"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// demoPrefix begins the names of everything that belongs to the demo.
const demoPrefix = "demo-"

// demoBase is where the server of the demo is unless it is told otherwise.
const demoBase = "http://localhost:8080/fhir"

// demoPassword is the password of all accounts of the demo.
const demoPassword = "demo-password"

//go:embed demo.ndjson
var demoResources []byte

func isDemo(name string) bool { return strings.HasPrefix(name, demoPrefix) }

// demoAccounts are who may sign in to try the server.
func demoAccounts() []login.Account {
	clinician := func(name, display string) login.Account {
		return login.Account{Name: demoPrefix + name, Display: display, Staff: true, User: fhir.Key{Type: "Practitioner", ID: demoPrefix + name}, Clearance: []string{"R"}}
	}
	patient := func(name, display string) login.Account {
		return login.Account{Name: demoPrefix + name, Display: display, User: fhir.Key{Type: "Patient", ID: demoPrefix + name}}
	}
	return []login.Account{
		clinician("grace", "Dr Grace Example"), clinician("omar", "Dr Omar Specimen"),
		patient("ada", "Ada Sample"), patient("ben", "Ben Testman"), patient("cleo", "Cleo Placeholder"),
	}
}

// demoClients are the apps of the demo.
func demoClients(base string) []oauth.Client {
	origin := originOf(base)
	return []oauth.Client{
		{
			ID: demoPrefix + "app", Name: "Demo app", Public: true, Native: true, Active: true,
			RedirectURIs: []string{"http://127.0.0.1/callback", "http://localhost/callback", origin + web.DemoPath},
			LaunchURLs:   []string{"http://127.0.0.1/launch", "http://localhost/launch"},
			Scopes:       "openid fhirUser profile launch launch/patient offline_access online_access patient/*.cruds user/*.cruds",
		},
		{
			ID: demoPrefix + "backend", Name: "Demo record system", Active: true,
			Organizations: []string{demoPrefix + "practice"}, Roles: access.AssertAuthor | access.AssertPatient, Scopes: "system/*.cruds",
		},
	}
}

// shownDemo returns what the pages tell of the demo, nil of a server that has none.
func (s *settings) shownDemo() *web.Demo {
	if !s.Demo {
		return nil
	}
	return &web.Demo{People: demoAccounts(), Password: demoPassword, Patient: demoPrefix + "ada", Client: demoPrefix + "app"}
}

// makeDemo makes what of the demo is not there yet.
func makeDemo(ctx context.Context, engine *interaction.Engine, r *registry) error {
	session := engine.For(access.Trusted("openconsult"), interaction.Origin{})
	for line := range bytes.Lines(demoResources) {
		if err := makeResource(ctx, session, bytes.TrimSpace(line)); err != nil {
			return fmt.Errorf("make the demo: %w", err)
		}
	}
	for _, a := range demoAccounts() {
		_, err := r.accounts.AddAccount(ctx, a, demoPassword)
		if err := unlessThere(err); err != nil {
			return fmt.Errorf("make the demo: %w", err)
		}
	}
	for _, c := range demoClients(r.base) {
		if err := makeClient(ctx, r.authority, c); err != nil {
			return fmt.Errorf("make the demo: %w", err)
		}
	}
	return nil
}

// makeClient registers c unless it is there. What is there gets the redirect addresses
// that it lacks: the server may be at another address than when it was made.
func makeClient(ctx context.Context, authority *oauth.Server, c oauth.Client) error {
	have, err := authority.Client(ctx, c.ID)
	if errors.Is(err, oauth.ErrNoClient) {
		_, _, err = authority.AddClient(ctx, c)
		return err
	}
	if err != nil {
		return err
	}
	lacks := slices.DeleteFunc(c.RedirectURIs, func(uri string) bool { return slices.Contains(have.RedirectURIs, uri) })
	if len(lacks) == 0 {
		return nil
	}
	have.RedirectURIs = append(have.RedirectURIs, lacks...)
	return authority.UpdateClient(ctx, *have)
}

// makeResource stores a resource under its id unless there is one, or was.
func makeResource(ctx context.Context, s *interaction.Session, line []byte) error {
	r, err := fhir.Decode("", line)
	if err != nil {
		return err
	}
	_, err = s.Read(ctx, fhir.Key{Type: r.Type(), ID: r.ID()})
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unknown {
		return unlessGone(err)
	}
	_, err = s.Update(ctx, r.ID(), r, store.Absent)
	return err
}

func unlessGone(err error) error {
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Gone {
		return nil
	}
	return err
}

func unlessThere(err error) error {
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Clash {
		return nil
	}
	return err
}

// showDemo tells how to try the server.
func showDemo(ctx context.Context, out io.Writer, s *settings, r *registry) error {
	token, err := r.authority.Issue(ctx, oauth.Subject{Client: demoPrefix + "backend"}, "system/*.rs", 10*time.Minute)
	if err != nil {
		return fmt.Errorf("make a token for the demo: %w", err)
	}
	tour := s.beside()
	if r.base != demoBase {
		tour += " --base " + r.base
	}
	_, err = fmt.Fprintf(out, `
This is a demo: everybody knows its passwords. Never put real patients in it.

  %[1]s

Ask as the practice's record system, with a token that is good for ten minutes:

  curl -H "Authorization: Bearer %[2]s" \
    '%[1]s/Task?owner=Organization/demo-practice&_include=Task:patient'

In another terminal
  a token        %[5]s token %[6]s --patient demo-ada --scope 'patient/*.cruds'
  a guided tour  %[5]s demo %[7]s
In a browser     %[3]s/
  sign in as a clinician, demo-grace or demo-omar, or a patient, demo-ada, demo-ben or demo-cleo; the password is %[4]s.
For your app     client id demo-app, redirect address http://127.0.0.1/callback on any port, server %[1]s

Ctrl-C stops the server. What it stored stays.

`, r.base, token, originOf(r.base), demoPassword, quoteShell(os.Args[0]), s.beside(), tour)
	return err
}
