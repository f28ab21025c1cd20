package main

import (
	"context"
	"fmt"
	"strings"
)

// practice is the surgery that the generated resources refer to: an organisation, its clinicians, its patients, and one
// conversation for each patient.
type practice struct {
	organization  reference
	practitioners []reference
	patients      []reference
	// conversations are Tasks: the one at an index is of the patient at that index.
	conversations []reference
	// filled are QuestionnaireResponses that observations may come from; there need be none.
	filled []reference
}

const (
	clinicians = 8
	// practiceNumbers is where the numbers of the practice's own resources begin, far above those of the workload.
	practiceNumbers = 1 << 40
	// absentPatients is how many patients are spoken of when none are made.
	absentPatients = 100
)

// absentPractice refers to resources that need not exist, for servers that accept such references.
func absentPractice() practice {
	organization := practiceOrganization()
	p := practice{organization: refer("Organization", "fhirbench-practice", organization.Name)}
	for i := range clinicians {
		p.practitioners = append(p.practitioners,
			refer("Practitioner", fmt.Sprintf("fhirbench-clinician-%d", i), clinicianName(i).Text))
	}
	for i := range absentPatients {
		p.patients = append(p.patients, refer("Patient", fmt.Sprintf("fhirbench-patient-%d", i), ""))
		p.conversations = append(p.conversations, refer("Task", fmt.Sprintf("fhirbench-conversation-%d", i), ""))
	}
	return p
}

// foundPractice makes the practice on the target, so that servers that check references find what they look for.
func foundPractice(ctx context.Context, t target, c config) (practice, error) {
	var p practice
	organizations, err := createAll(ctx, t, c.clients, []op{{typeName: "Organization", body: encode(practiceOrganization())}})
	if err != nil {
		return practice{}, err
	}
	p.organization = refer("Organization", organizations[0].id, practiceOrganization().Name)
	if p.practitioners, err = hire(ctx, t, c); err != nil {
		return practice{}, err
	}
	if p.patients, err = register(ctx, t, c, p); err != nil {
		return practice{}, err
	}
	if p.conversations, err = converse(ctx, t, c, p); err != nil {
		return practice{}, err
	}
	return p, publishForm(ctx, t, c)
}

func hire(ctx context.Context, t target, c config) ([]reference, error) {
	ops := make([]op, clinicians)
	for i := range ops {
		ops[i] = op{typeName: "Practitioner", body: encode(practiceClinician(i))}
	}
	answers, err := createAll(ctx, t, c.clients, ops)
	if err != nil {
		return nil, err
	}
	references := make([]reference, len(answers))
	for i, a := range answers {
		references[i] = refer("Practitioner", a.id, clinicianName(i).Text)
	}
	return references, nil
}

func register(ctx context.Context, t target, c config, p practice) ([]reference, error) {
	g := generator{seed: c.seed, practice: p}
	ops := make([]op, c.people)
	for i := range ops {
		ops[i] = op{typeName: "Patient", body: g.resource(held{typeName: "Patient", number: practiceNumbers + uint64(i)})}
	}
	return referTo(ctx, t, c, ops)
}

// converse makes the Tasks that messages are part of. Only messages refer to them.
func converse(ctx context.Context, t target, c config, p practice) ([]reference, error) {
	if c.typeName != "Communication" && c.typeName != allTypes {
		return nil, nil
	}
	g := generator{seed: c.seed, practice: p}
	ops := make([]op, c.people)
	for i := range ops {
		ops[i] = op{typeName: "Task", body: g.resource(held{typeName: "Task", number: practiceNumbers + uint64(i)})}
	}
	return referTo(ctx, t, c, ops)
}

// publishForm makes the Questionnaire that the answers name, or finds it as an earlier run has left it.
func publishForm(ctx context.Context, t target, c config) error {
	if c.typeName != "QuestionnaireResponse" && c.typeName != allTypes {
		return nil
	}
	_, err := createOne(ctx, t, op{kind: update, typeName: "Questionnaire", id: formID, body: encode(form(formID))})
	return err
}

func referTo(ctx context.Context, t target, c config, ops []op) ([]reference, error) {
	answers, err := createAll(ctx, t, c.clients, ops)
	if err != nil {
		return nil, err
	}
	references := make([]reference, len(answers))
	for i, a := range answers {
		references[i] = refer(ops[i].typeName, a.id, "")
	}
	return references, nil
}

func refer(typeName, id, display string) reference {
	return reference{Reference: typeName + "/" + id, Type: typeName, Display: display}
}

type organization struct {
	ResourceType string         `json:"resourceType"`
	Identifier   []identifier   `json:"identifier"`
	Active       bool           `json:"active"`
	Type         []concept      `json:"type"`
	Name         string         `json:"name"`
	Telecom      []contactPoint `json:"telecom"`
	Address      []address      `json:"address"`
}

func practiceOrganization() organization {
	return organization{
		ResourceType: "Organization",
		Identifier:   []identifier{{System: ours + "Id/practice", Value: "fhirbench-practice"}},
		Active:       true,
		Type:         []concept{coded("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider")},
		Name:         "Mill Lane Surgery",
		Telecom:      []contactPoint{{System: "phone", Value: "01632 960001", Use: "work"}},
		Address:      []address{{Line: []string{"1 Mill Lane"}, City: "Harrowbeck", PostalCode: "ZZ1 1AA", Country: "GB"}},
	}
}

type practitioner struct {
	ResourceType string       `json:"resourceType"`
	Identifier   []identifier `json:"identifier"`
	Active       bool         `json:"active"`
	Name         []humanName  `json:"name"`
}

func practiceClinician(i int) practitioner {
	return practitioner{
		ResourceType: "Practitioner",
		Identifier:   []identifier{{System: ours + "Id/clinician", Value: fmt.Sprintf("fhirbench-clinician-%d", i)}},
		Active:       true,
		Name:         []humanName{clinicianName(i)},
	}
}

func clinicianName(i int) humanName {
	given, family := givenNames[i%len(givenNames)].name, familyNames[(7*i+3)%len(familyNames)]
	return humanName{
		Use: "official", Text: strings.Join([]string{"Dr", given, family}, " "),
		Family: family, Given: []string{given}, Prefix: []string{"Dr"},
	}
}
