package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// taskStatuses are all that R4 has.
var taskStatuses = []string{"draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "failed", "on-hold", "completed", "entered-in-error"}

// A machineMove is one of the published state machine.
type machineMove struct {
	From, To, Requires string
	By, Unless         []string
}

// clients reports whether anybody but the server may make it.
func (m machineMove) clients() bool { return slices.ContainsFunc(m.By, notSystem) }

func notSystem(role string) bool { return role != "system" }

// may reports whether one of roles makes it.
func (m machineMove) may(roles []string) bool {
	return slices.ContainsFunc(m.By, func(r string) bool { return slices.Contains(roles, r) })
}

// A machineKind is what is published of one kind.
type machineKind struct {
	Initial       map[string][]string
	Moves         []machineMove
	ForwardFrom   []string
	Business      map[string][]string
	BusinessMoves []struct {
		Status, From, To string
		By               []string
	}
	OutcomeSystem string
	Outcomes      []string
}

// A published state machine.
type machinePublished struct {
	EveryKind []machineMove
	Kinds     map[string]machineKind
}

func (m machinePublished) names() []string { return slices.Sorted(maps.Keys(m.Kinds)) }

// machineKinds reads the state machine that is published.
func machineKinds(t *testing.T) (m machinePublished) {
	t.Helper()
	if err := json.Unmarshal([]byte(consultation.MachineJSON()), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Kinds) != 7 || len(m.EveryKind) != 1 {
		t.Fatalf("%d kinds, %d moves of every kind", len(m.Kinds), len(m.EveryKind))
	}
	return m
}

// from returns the moves of a kind out of a status.
func (m machinePublished) from(kind, from string) (moves []machineMove) {
	for _, move := range m.Kinds[kind].Moves {
		if move.From == from {
			moves = append(moves, move)
		}
	}
	if from == "entered-in-error" {
		return moves
	}
	return append(moves, m.EveryKind...)
}

// find returns the move between two statuses.
func (m machinePublished) find(kind, from, to string) (machineMove, bool) {
	moves := m.from(kind, from)
	i := slices.IndexFunc(moves, func(move machineMove) bool { return move.To == to })
	if i < 0 {
		return machineMove{}, false
	}
	return moves[i], true
}

// actions lists what a player may do in a status, as an answer lists it.
func (m machinePublished) actions(kind, from string, p player) (all []string) {
	for _, move := range m.from(kind, from) {
		if move.may(p.roles) {
			all = append(all, strings.TrimSpace(move.To+" "+move.Requires))
		}
	}
	k := m.Kinds[kind]
	for _, c := range k.BusinessMoves {
		if c.Status == from && c.From == k.Business[from][0] && (machineMove{By: c.By}).may(p.roles) {
			all = append(all, c.Status+" "+c.To)
		}
	}
	if slices.Contains(k.ForwardFrom, from) && slices.Contains(p.roles, "owner") {
		all = append(all, "rejected forward")
	}
	return all
}

// machineParties returns who has asked and who must act, in Tasks of a kind.
func machineParties(kind string) (requester, owner string) {
	switch kind {
	case "consultation", "prescription-reissue":
		return "Patient/ada", "Organization/practice"
	case "patient-action":
		return "Organization/practice", "Patient/ada"
	case "message-receipt":
		return "Organization/hospital", "Organization/practice"
	}
	return "Organization/practice", "Organization/hospital"
}

// machineTask returns a Task in a status, and what it is about.
func (m machinePublished) task(kind, status, id string) []string {
	requester, owner := machineParties(kind)
	now := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	focus, also := "", []string{}
	switch kind {
	case "consultation":
		focus = "QuestionnaireResponse/answers"
	case "prescription-reissue":
		focus = "MedicationRequest/plan-" + id
		also = append(also, machinePlan("plan-"+id))
	case "message-receipt":
		focus = "Communication/message"
	case "abort":
		focus = "Task/stop-" + id
		also = m.task("advice-and-guidance", "in-progress", "stop-"+id)
	}
	body := fmt.Sprintf(`{"resourceType":"Task","id":%q,"status":%q,"intent":"order","authoredOn":%q,"lastModified":%q,"groupIdentifier":{"system":"https://fhir.openconsult.example/Id/thread","value":%q},
		"code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":%q}]},"for":{"reference":"Patient/ada"},"requester":{"reference":%q},"owner":{"reference":%q}`,
		id, status, now, now, "thread-"+id, kind, requester, owner)
	if focus != "" {
		body += fmt.Sprintf(`,"focus":{"reference":%q}`, focus)
	}
	if codes := m.Kinds[kind].Business[status]; len(codes) > 0 {
		body += fmt.Sprintf(`,"businessStatus":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-AdviceAndGuidanceStatus-1","code":%q}]}`, codes[0])
	}
	return append(also, body+"}")
}

// machinePlan is a repeat prescription that can be issued.
func machinePlan(id string) string {
	return fmt.Sprintf(`{"resourceType":"MedicationRequest","id":%q,"status":"active","intent":"plan","medicationCodeableConcept":{"text":"Ramipril 5 mg"},"subject":{"reference":"Patient/ada"},
		"authoredOn":"2026-01-01","dispenseRequest":{"numberOfRepeatsAllowed":11}}`, id)
}

const taskIO = `{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":%q}]}`

// meets returns the changes by which a move meets what it requires, and the message that goes
// with it: for whom, if there is one.
func (m machinePublished) meets(kind string, move machineMove) (ops []string, to string) {
	requester, owner := machineParties(kind)
	reason := `{"op":"add","path":"/statusReason","value":{"text":"It is for another service."}}`
	output := func(outputs ...string) string {
		return `{"op":"add","path":"/output","value":[` + strings.Join(outputs, ",") + `]}`
	}
	coded := func(typ, system, code string) string {
		return fmt.Sprintf(`{"type":`+taskIO+`,"valueCodeableConcept":{"coding":[{"system":%q,"code":%q}]}}`, typ, system, code)
	}
	switch move.Requires {
	case "status-reason":
		return []string{reason}, ""
	case "reason-and-message-to-requester":
		return []string{reason}, requester
	case "question-sent":
		return nil, requester
	case "reply-sent", "further-question-sent-within-60d":
		return nil, owner
	case "outcome-output":
		if k := m.Kinds[kind]; k.Outcomes != nil {
			return []string{output(coded("outcome", k.OutcomeSystem, k.Outcomes[0]))}, ""
		}
		return []string{output(fmt.Sprintf(`{"type":`+taskIO+`,"valueString":"advice given"}`, "outcome"))}, ""
	case "guidance-outcome-output":
		return []string{output(coded("guidance-outcome", consultation.AdviceOutcomeSystem, "RETURN_TO_REFERRER_WITH_ADVICE"),
			coded("intended-recommendation", consultation.RecommendationSystem, "ADVICE_ONLY_NO_REFERRAL_RECOMMENDED"))}, requester
	case "output-medication-request":
		return []string{output(`{"type":{"text":"prescription"},"valueReference":{"reference":"MedicationRequest/issued"}}`)}, ""
	}
	return nil, ""
}
