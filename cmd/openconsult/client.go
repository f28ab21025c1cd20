package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openconsult/openconsult/auth/oauth"
)

func clientCommand() *cobra.Command {
	c := &cobra.Command{Use: "client", Short: "Keep the apps and systems that may ask for tokens"}
	c.AddCommand(clientAdd(), clientList(), clientInvite(),
		clientChange("disable ID", "Make a client and its tokens good for nothing", func(ctx context.Context, r *registry, c oauth.Client) error {
			c.Active = false
			return r.authority.UpdateClient(ctx, c)
		}),
		clientChange("enable ID", "Undo disable", func(ctx context.Context, r *registry, c oauth.Client) error {
			c.Active = true
			return r.authority.UpdateClient(ctx, c)
		}),
		clientChange("secret ID", "Give a client another secret, and print it this once", func(ctx context.Context, r *registry, c oauth.Client) error {
			secret, err := r.authority.NewSecret(ctx, c.ID)
			if err == nil {
				fmt.Println("secret:", secret)
			}
			return err
		}))
	return c
}

// A registration is what the flags of client add say.
type registration struct {
	client   oauth.Client
	jwksFile string
	roles    []string
}

func clientAdd() *cobra.Command {
	g := &registration{}
	c := command("add", "Register a client; what it is to keep secret is printed this once", func(ctx context.Context, s *settings, _ []string) error {
		if err := g.complete(); err != nil {
			return err
		}
		return withRegistry(ctx, s, func(r *registry) error {
			added, secret, err := r.authority.AddClient(ctx, g.client)
			if err != nil {
				return err
			}
			fmt.Println("client id:", added.ID)
			if secret != "" {
				fmt.Println("secret:", secret)
			}
			return nil
		})
	})
	f := c.Flags()
	f.StringVar(&g.client.ID, "id", "", "client id; empty makes one")
	f.StringVar(&g.client.Name, "name", "", "name that people are shown")
	f.BoolVar(&g.client.Public, "public", false, "it can keep no secret: an app in a browser or on a phone")
	f.BoolVar(&g.client.Native, "native", false, "a public one on the person's own machine: a loopback redirect address stands for all its ports")
	f.StringSliceVar(&g.client.RedirectURIs, "redirect", nil, "redirect addresses, compared as they stand")
	f.StringSliceVar(&g.client.LaunchURLs, "launch-url", nil, "addresses that an EHR opens it by")
	f.StringSliceVar(&g.client.Origins, "origin", nil, "origins of its scripts; those of its redirect addresses by default")
	f.StringVar(&g.client.JWKSURL, "jwks-url", "", "where its public keys are")
	f.StringVar(&g.jwksFile, "jwks", "", "file with its public keys, a JSON Web Key Set")
	f.StringVar(&g.client.Scopes, "scope", "", "scopes that it may be granted, with spaces between them")
	f.StringSliceVar(&g.client.Organizations, "org", nil, "ids of the Organizations that it acts for without a user")
	f.BoolVar(&g.client.All, "all", false, "without a user it sees all that its scopes name, of every organisation")
	f.StringSliceVar(&g.roles, "role", nil, "what it may do beyond scopes without a user: "+roleNames)
	f.StringSliceVar(&g.client.Clearance, "clearance", nil, "labels that it may see without a user: R, V, PSY and so on; * for all, which with --all it needs to choose ids")
	f.BoolVar(&g.client.Launches, "launches", false, "it is an EHR: it may launch other apps")
	f.BoolVar(&g.client.Introspects, "introspects", false, "it is a resource server: it may introspect tokens of all clients")
	return c
}

func (g *registration) complete() error {
	var err error
	if g.client.Roles, err = parseRoles(g.roles); err != nil {
		return err
	}
	if g.jwksFile != "" {
		if g.client.JWKS, err = os.ReadFile(g.jwksFile); err != nil {
			return fmt.Errorf("read --jwks: %w", err)
		}
	}
	g.client.Active = true
	return nil
}

func clientList() *cobra.Command {
	return command("list", "List the clients", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			clients, err := r.authority.Clients(ctx)
			for _, c := range clients {
				of := strings.Join(c.Organizations, ",")
				if c.All {
					of = "everything"
				}
				fmt.Printf("%s\t%s\t%s\t%s\t%s%s\n", c.ID, c.Name, of, rolesText(c.Roles), c.Scopes, mark(!c.Active, "\tdisabled"))
			}
			return err
		})
	})
}

func clientChange(use, short string, do func(context.Context, *registry, oauth.Client) error) *cobra.Command {
	c := command(use, short, func(ctx context.Context, s *settings, args []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			found, err := r.authority.Client(ctx, args[0])
			switch {
			case errors.Is(err, oauth.ErrNoClient):
				return fmt.Errorf("there is no client %s; openconsult client list shows those there are", args[0])
			case err != nil:
				return err
			}
			return do(ctx, r, *found)
		})
	})
	c.Args = cobra.ExactArgs(1)
	return c
}

func clientInvite() *cobra.Command {
	var g oauth.Registration
	c := command("invite", "Print a token with which an app may register itself", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			token, err := r.authority.AddRegistration(ctx, g)
			if err == nil {
				fmt.Println(token)
			}
			return err
		})
	})
	f := c.Flags()
	f.StringVar(&g.Note, "note", "", "who it is for")
	f.StringVar(&g.Scopes, "scope", "", "scopes that what registers may be granted")
	f.StringSliceVar(&g.Organizations, "org", nil, "ids of the Organizations that it may act for")
	f.IntVar(&g.Uses, "uses", 1, "how often it is good")
	f.DurationVar(&g.Life, "life", 7*24*time.Hour, "how long it is good")
	return c
}
