package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// An actor is somebody who asks the server for something.
type actor struct {
	id    string // within the run: "ada"
	name  string
	token string
}

// A cast is everybody in the demo.
type cast struct {
	seeder                      *actor // makes the practice; sees everything
	ada, ben, cleo, leo         *actor // patients
	cora, dora                  *actor // relatives of Ben; only Cora may act for him
	grace                       *actor // a doctor of the practice
	hana                        *actor // a specialist at the hospital
	system, hospital, elsewhere *actor // systems of the practice, the hospital, and another practice
}

// demoLife is longer than the demo takes.
const demoLife = 10 * time.Minute

// admit makes accounts and clients, and a token for each of the cast.
func (st *stage) admit(ctx context.Context, r *registry) error {
	if r.base != st.base {
		return fmt.Errorf("the server of this --data-dir is %s: give that as --base", r.base)
	}
	if _, err := r.accounts.Account(ctx, demoAccounts()[0].Name); err != nil {
		return fmt.Errorf("this database has no demo; start its server with --demo: %w", err)
	}
	a := admission{st, r}
	c := &st.actors
	for _, add := range []struct {
		to       **actor
		id, name string
		admit    func(context.Context, *actor) error
	}{
		{&c.seeder, "seeder", "The operator", a.seeder},
		{&c.ada, "ada", "Ada, a patient,", a.patient},
		{&c.ben, "ben", "Ben, a patient,", a.patient},
		{&c.cleo, "cleo", "Cleo, a patient,", a.patient},
		{&c.leo, "leo", "Leo, a patient,", a.patient},
		{&c.cora, "cora", "Cora, who acts for Ben,", a.relative},
		{&c.dora, "dora", "Dora, who may not act for Ben,", a.relative},
		{&c.grace, "grace", "Dr Grace of the practice", a.clinician},
		{&c.hana, "hana", "Dr Hana of the hospital", a.clinician},
		{&c.system, "practice", "The practice's record system", a.system},
		{&c.hospital, "hospital", "The hospital's system", a.system},
		{&c.elsewhere, "elsewhere", "Another practice's system", a.system},
	} {
		*add.to = &actor{id: add.id, name: add.name}
		if err := add.admit(ctx, *add.to); err != nil {
			return fmt.Errorf("admit %s: %w", add.id, err)
		}
	}
	return nil
}

// An admission lets people of a run in.
type admission struct {
	*stage
	*registry
}

// app is the client by which patients and their relatives ask.
const app = demoPrefix + "app"

func (a admission) issue(ctx context.Context, to *actor, subject oauth.Subject, scope string) (err error) {
	to.token, err = a.authority.Issue(ctx, subject, scope, demoLife)
	return err
}

func (a admission) patient(ctx context.Context, to *actor) error {
	id := a.run + to.id
	return a.issue(ctx, to, oauth.Subject{Client: app, User: fhir.Key{Type: "Patient", ID: id}, Patient: id}, "patient/*.cruds")
}

func (a admission) relative(ctx context.Context, to *actor) error {
	who := fhir.Key{Type: "RelatedPerson", ID: a.run + to.id}
	return a.issue(ctx, to, oauth.Subject{Client: app, User: who, Patient: a.run + "ben"}, "patient/*.cruds")
}

func (a admission) clinician(ctx context.Context, to *actor) error {
	who := login.Account{Name: a.run + to.id, Display: to.name, Staff: true, User: fhir.Key{Type: "Practitioner", ID: a.run + to.id}}
	if _, err := a.accounts.AddAccount(ctx, who, demoPassword); err != nil {
		return err
	}
	stored, err := a.accounts.Account(ctx, who.Name)
	if err != nil {
		return err
	}
	return a.issue(ctx, to, oauth.Subject{Client: app, Account: stored.ID, User: stored.User}, "user/*.cruds")
}

func (a admission) client(ctx context.Context, to *actor, c oauth.Client) error {
	c.ID, c.Name, c.Active, c.Scopes = a.run+to.id, to.name, true, "system/*.cruds"
	if _, _, err := a.authority.AddClient(ctx, c); err != nil {
		return err
	}
	return a.issue(ctx, to, oauth.Subject{Client: c.ID}, c.Scopes)
}

func (a admission) seeder(ctx context.Context, to *actor) error {
	return a.client(ctx, to, oauth.Client{All: true, Clearance: []string{"*"}, Roles: access.Administer | access.Labels | access.AssertAuthor | access.AssertPatient})
}

func (a admission) system(ctx context.Context, to *actor) error {
	return a.client(ctx, to, oauth.Client{Organizations: []string{a.run + to.id}, Roles: access.AssertAuthor})
}

// nhsNumber returns a number of the range for tests with its check digit.
// https://www.datadictionary.nhs.uk/attributes/nhs_number.html
func nhsNumber() string {
	for {
		number := "999" + fmt.Sprintf("%06d", rand.IntN(1_000_000))
		sum := 0
		for i, digit := range number {
			sum += int(digit-'0') * (10 - i)
		}
		if last := (11 - sum%11) % 11; last < 10 {
			return number + strconv.Itoa(last)
		}
	}
}
