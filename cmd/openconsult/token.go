package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// A bearerOf says whom a token is asked for.
type bearerOf struct {
	client, patient, user string
	inContext             string
	organizations         []string
	scope                 string
	life                  time.Duration
}

func tokenCommand() *cobra.Command {
	b := &bearerOf{}
	c := command("token", "Print an access token, for scripts and first steps: whoever may read the database may have any", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			token, err := b.issue(ctx, r)
			if err == nil {
				fmt.Println(token)
			}
			return err
		})
	})
	f := c.Flags()
	f.StringVar(&b.client, "client", "", "id of the client that acts")
	f.StringVar(&b.patient, "patient", "", "id of the Patient who acts")
	f.StringVar(&b.user, "user", "", "name of the account that acts")
	f.StringVar(&b.inContext, "launch-patient", "", "with --user: id of the patient in context")
	f.StringSliceVar(&b.organizations, "org", nil, "with --client: only these of its organisations")
	f.StringVar(&b.scope, "scope", "", "scopes, with spaces between them; with --client all that it may have by default")
	f.DurationVar(&b.life, "life", 10*time.Minute, "how long it is good, a minute to ten")
	return c
}

// subject returns who b is.
func (b *bearerOf) subject(ctx context.Context, r *registry) (oauth.Subject, error) {
	switch {
	case b.patient != "" && b.user == "":
		return oauth.Subject{Client: b.client, User: fhir.Key{Type: "Patient", ID: b.patient}, Patient: b.patient}, nil
	case b.user != "" && b.patient == "":
		a, err := r.accounts.Account(ctx, b.user)
		if err != nil {
			return oauth.Subject{}, err
		}
		if a.Disabled {
			return oauth.Subject{}, fmt.Errorf("the account %s is disabled; openconsult user enable %[1]s changes that", a.Name)
		}
		patient := b.inContext
		if a.User.Type == "Patient" {
			patient = a.User.ID
		}
		return oauth.Subject{Client: b.client, Account: a.ID, User: a.User, Patient: patient}, nil
	case b.client != "" && b.patient == "" && b.user == "":
		return oauth.Subject{Client: b.client, Organizations: b.organizations}, nil
	}
	return oauth.Subject{}, errors.New("say whose token it is to be: --client ID, --patient ID or --user NAME; openconsult user list and client list show them")
}

func (b *bearerOf) issue(ctx context.Context, r *registry) (string, error) {
	to, err := b.subject(ctx, r)
	if err != nil {
		return "", err
	}
	scope := b.scope
	if b.client != "" {
		c, err := r.authority.Client(ctx, b.client)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(b.organizations, func(o string) bool { return !slices.Contains(c.Organizations, o) }); i >= 0 {
			return "", fmt.Errorf("%s does not act for %s; openconsult client list shows whom it acts for", b.client, b.organizations[i])
		}
		scope = cmp.Or(scope, c.Scopes)
	}
	if scope == "" {
		return "", errors.New("say what the token is for: --scope 'patient/*.rs', for example")
	}
	return r.authority.Issue(ctx, to, scope, b.life)
}

func launchCommand() *cobra.Command {
	var l oauth.Launch
	var user string
	c := command("launch", "Print the handle by which an EHR opens an app for somebody with a patient", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			a, err := r.accounts.Account(ctx, user)
			if err != nil {
				return err
			}
			l.Account = a.ID
			handle, err := r.authority.MintLaunch(ctx, l)
			if err == nil {
				fmt.Println(handle)
			}
			return err
		})
	})
	f := c.Flags()
	f.StringVar(&l.Client, "client", "", "id of the app")
	f.StringVar(&user, "user", "", "name of the account that opens it")
	f.StringVar(&l.Patient, "patient", "", "id of the patient who is open")
	f.StringVar(&l.Encounter, "encounter", "", "id of the encounter that is open")
	f.StringVar(&l.Intent, "intent", "", "what it is opened for")
	return c
}

func keysCommand() *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Keep the keys that sign tokens"}
	c.AddCommand(command("rotate", "Make the next keys; they sign once everybody has had a day to see them", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error { return r.authority.Renew(ctx) })
	}))
	return c
}
