package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Keep the accounts of people who may sign in"}
	c.AddCommand(userAdd(), userList(), userPassword(), userTOTP(),
		userChange("disable NAME", "Keep an account from signing in, and take away what it has granted", disableUser),
		userChange("enable NAME", "Let an account that was disabled sign in again", enableUser))
	return c
}

// A person is what the flags of user add say.
type person struct {
	practitioner, patient, related string
	display                        string
	clearance                      []string
	roles                          []string
	passwordStdin                  bool
}

func userAdd() *cobra.Command {
	p := &person{}
	c := command("add NAME", "Add an account; without --password-stdin a password is made and printed", func(ctx context.Context, s *settings, args []string) error {
		a, err := p.account(args[0])
		if err != nil {
			return err
		}
		return withRegistry(ctx, s, func(r *registry) error { return p.add(ctx, r, a) })
	})
	c.Args = cobra.ExactArgs(1)
	f := c.Flags()
	f.StringVar(&p.practitioner, "practitioner", "", "id of the Practitioner that the person is")
	f.StringVar(&p.patient, "patient", "", "id of the Patient that the person is")
	f.StringVar(&p.related, "related-person", "", "id of the RelatedPerson that the person is")
	f.StringVar(&p.display, "display", "", "name that pages show")
	f.StringSliceVar(&p.clearance, "clearance", nil, "labels that the person may see: R, V, PSY, HIV and so on; * for all")
	f.StringSliceVar(&p.roles, "role", nil, "what the person may do beyond scopes: "+roleNames)
	f.BoolVar(&p.passwordStdin, "password-stdin", false, "read the password from standard input")
	return c
}

// account returns the account that the flags describe.
func (p *person) account(name string) (login.Account, error) {
	a := login.Account{Name: name, Display: p.display, Clearance: p.clearance, Staff: p.practitioner != ""}
	for typ, id := range map[string]string{"Practitioner": p.practitioner, "Patient": p.patient, "RelatedPerson": p.related} {
		if id == "" {
			continue
		}
		if a.User.ID != "" {
			return a, errors.New("give one of --practitioner, --patient and --related-person: an account is one person")
		}
		a.User = fhir.Key{Type: typ, ID: id}
	}
	var err error
	a.Roles, err = parseRoles(p.roles)
	return a, err
}

func (p *person) add(ctx context.Context, r *registry, a login.Account) error {
	password, err := p.password()
	if err != nil {
		return err
	}
	if _, err := r.accounts.AddAccount(ctx, a, password); err != nil {
		return err
	}
	fmt.Printf("added %s\n", a.Name)
	if !p.passwordStdin {
		fmt.Printf("password: %s\n", password)
	}
	return nil
}

// password returns what is on standard input, or a new one.
func (p *person) password() (string, error) {
	if !p.passwordStdin {
		return strings.ToLower(rand.Text()[:20]), nil
	}
	return readPassword(os.Stdin)
}

func readPassword(from io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(from, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func userList() *cobra.Command {
	return command("list", "List the accounts", func(ctx context.Context, s *settings, _ []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			accounts, err := r.accounts.Accounts(ctx)
			for _, a := range accounts {
				fmt.Printf("%s\t%s\t%s%s%s\n", a.Name, whose(a.User), rolesText(a.Roles), mark(a.TOTP, "\tone-time codes"), mark(a.Disabled, "\tdisabled"))
			}
			return err
		})
	})
}

func whose(k fhir.Key) string {
	if k.ID == "" {
		return "-"
	}
	return k.String()
}

func mark(on bool, text string) string {
	if on {
		return text
	}
	return ""
}

func userPassword() *cobra.Command {
	p := &person{}
	c := userChange("password NAME", "Give an account another password and end its sessions", func(ctx context.Context, r *registry, a login.Account) error {
		password, err := p.password()
		if err != nil {
			return err
		}
		if err := r.accounts.SetPassword(ctx, a.ID, password); err != nil {
			return err
		}
		if !p.passwordStdin {
			fmt.Printf("password: %s\n", password)
		}
		return nil
	})
	c.Flags().BoolVar(&p.passwordStdin, "password-stdin", false, "read the password from standard input")
	return c
}

func userTOTP() *cobra.Command {
	return userChange("totp NAME", "Ask an account for a one-time code at each sign-in, and print what its app needs", func(ctx context.Context, r *registry, a login.Account) error {
		uri, err := r.accounts.EnableTOTP(ctx, a.ID)
		if err == nil {
			fmt.Println(uri)
		}
		return err
	})
}

// userChange is a command that does something with an account.
func userChange(use, short string, do func(context.Context, *registry, login.Account) error) *cobra.Command {
	c := command(use, short, func(ctx context.Context, s *settings, args []string) error {
		return withRegistry(ctx, s, func(r *registry) error {
			a, err := r.accounts.Account(ctx, args[0])
			if err != nil {
				return err
			}
			return do(ctx, r, a)
		})
	})
	c.Args = cobra.ExactArgs(1)
	return c
}

func disableUser(ctx context.Context, r *registry, a login.Account) error {
	return errors.Join(r.accounts.Disable(ctx, a.ID), r.authority.RevokeAccount(ctx, a.ID))
}

func enableUser(ctx context.Context, r *registry, a login.Account) error {
	return r.accounts.Enable(ctx, a.ID)
}

// roleNames lists the roles for messages.
const roleNames = "administer, labels, assert-author, assert-patient, operate"

func parseRoles(names []string) (access.Role, error) {
	var roles access.Role
	for _, name := range names {
		switch name {
		case "administer":
			roles |= access.Administer
		case "labels":
			roles |= access.Labels
		case "assert-author":
			roles |= access.AssertAuthor
		case "assert-patient":
			roles |= access.AssertPatient
		case "operate":
			roles |= access.Operate
		default:
			return 0, fmt.Errorf("there is no role %q; the roles are %s", name, roleNames)
		}
	}
	return roles, nil
}

func rolesText(r access.Role) string {
	var names []string
	for i, name := range strings.Split(roleNames, ", ") {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}
