package consultation

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

var updateMoves = flag.Bool("update-moves", false, "write the golden file of the allowed moves anew")

var moveNow = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// sharedDomain returns a file of the specification, or skips the test.
func sharedDomain(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("../../../shared/domain", name))
	if err != nil {
		t.Skipf("the specification is not there: %v", err)
	}
	return src
}

// moveData is the state machine as it is published, read without the code under test.
type moveData struct {
	EveryKind []jsonMove
	Kinds     map[Kind]jsonKind
}

func readMoveData(t testing.TB) moveData {
	t.Helper()
	var data moveData
	if err := json.Unmarshal([]byte(MachineJSON()), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// by returns who may make a move, nil for nobody.
func (d moveData) by(kind Kind, from, to Status) []string {
	if to == StatusEnteredInError && from != StatusEnteredInError {
		return d.EveryKind[0].By
	}
	for _, m := range d.Kinds[kind].Moves {
		if Status(m.From) == from && Status(m.To) == to {
			return m.By
		}
	}
	return nil
}

var (
	movePatient  = fhir.Key{Type: "Patient", ID: "p"}
	movePractice = fhir.Key{Type: "Organization", ID: "prac"}
	moveHospital = fhir.Key{Type: "Organization", ID: "hosp"}
)

// plainTask returns a Task of a kind in a status, with nothing that a move could miss.
func plainTask(kind Kind, status Status) Task {
	t := Task{Key: fhir.Key{Type: "Task", ID: "t"}, Kind: kind, Status: status, Requester: movePractice, Owner: moveHospital, For: movePatient,
		Focus: fhir.Key{Type: "Task", ID: "focus"}, Reason: true, Outputs: []Output{
			{Type: "outcome", Codes: []Code{{ReferralOutcomeSystem, "booked"}}},
			{Type: "guidance-outcome", Codes: []Code{{AdviceOutcomeSystem, "RETURN_TO_REFERRER_WITH_ADVICE"}}},
			{Type: "intended-recommendation", Codes: []Code{{RecommendationSystem, "OTHER"}}},
			{Type: "prescription", Target: fhir.Key{Type: "MedicationRequest", ID: "m"}},
		}}
	t.BusinessStatus = businessStatusFor(t)
	return t
}

// allFacts returns facts that meet the preconditions of a move to a status.
func allFacts(to Status) Facts {
	f := Facts{Now: moveNow, Match: MatchCurrent, CompletedAt: moveNow.AddDate(0, 0, -1), FormValid: true, ConversionAuthorised: true, AbortAccepted: true,
		Turns: []Turn{{By: RequesterSide}, {By: OwnerSide, Asks: true, ToRequester: true, New: true}},
		Aborted: &Task{Key: fhir.Key{Type: "Task", ID: "focus"}, Kind: AdviceAndGuidance, Status: StatusInProgress,
			Requester: movePractice, Owner: moveHospital, For: movePatient}}
	if to == StatusInProgress {
		slices.Reverse(f.Turns)
	}
	return f
}

var singleRoles = []Roles{0, Requester, Owner, Clinician, Admin, System}

// detailOf returns the class and Detail of an error.
func detailOf(t testing.TB, err error) (fhir.Class, string) {
	t.Helper()
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) == 0 {
		t.Fatalf("%v is no Outcome with an issue", err)
	}
	return o.Class, o.Issues[0].Detail
}

func TestEveryMove(t *testing.T) {
	t.Parallel()
	data, allowed := readMoveData(t), 0
	for _, kind := range Kinds() {
		for _, from := range allStatuses() {
			for _, to := range allStatuses() {
				for _, roles := range singleRoles {
					old, next := plainTask(kind, from), plainTask(kind, to)
					next.BusinessStatus = old.BusinessStatus
					d, err := Decide(&old, next, roles, allFacts(to))
					name := fmt.Sprintf("%s %s -> %s by %s", kind, from, to, roles)
					by := data.by(kind, from, to)
					may := slices.ContainsFunc(by, func(r string) bool { return r == roles.String() })
					switch {
					case from == to:
						want := TaskUnchanged
						if roles == System {
							want = TaskEdited
						}
						if err != nil || d.Effect != want {
							t.Errorf("%s: effect %d, %v, want %d", name, d.Effect, err, want)
						}
					case may:
						allowed++
						if err != nil || d.Effect != TaskMoved || d.From != from || d.To != to {
							t.Errorf("%s: %+v, %v", name, d, err)
						}
					default:
						class, detail := detailOf(t, err)
						want, wantDetail := fhir.Denied, "transition-not-permitted-for-role"
						if len(by) == 0 || slices.Equal(by, []string{"system"}) && roles != System {
							want, wantDetail = fhir.Unprocessable, "invalid-transition"
						}
						if d.Effect != 0 || class != want || detail != wantDetail {
							t.Errorf("%s: effect %d, %v %s, want %v %s", name, d.Effect, class, detail, want, wantDetail)
						}
					}
				}
			}
		}
	}
	// So many (kind, from, to, role) are in the data.
	want := len(Kinds()) * (len(allStatuses()) - 1)
	for _, k := range data.Kinds {
		for _, m := range k.Moves {
			want += len(m.By)
		}
	}
	if allowed != want {
		t.Errorf("%d moves were allowed, want %d", allowed, want)
	}
}

func TestEveryBeginning(t *testing.T) {
	t.Parallel()
	data := readMoveData(t)
	for _, kind := range Kinds() {
		for _, status := range append(allStatuses(), "nonsense") {
			for _, roles := range singleRoles {
				next := plainTask(kind, status)
				d, err := Decide(nil, next, roles, allFacts(status))
				by := data.Kinds[kind].Initial[status]
				name := fmt.Sprintf("%s as %s by %s", kind, status, roles)
				if slices.Contains(by, roles.String()) {
					if err != nil || d.Effect != TaskCreated || d.To != status {
						t.Errorf("%s: %+v, %v", name, d, err)
					}
					continue
				}
				class, detail := detailOf(t, err)
				want, wantDetail := fhir.Denied, "transition-not-permitted-for-role"
				if len(by) == 0 || slices.Equal(by, []string{"system"}) {
					want, wantDetail = fhir.Unprocessable, "invalid-transition"
				}
				if class != want || detail != wantDetail {
					t.Errorf("%s: %v %s, want %v %s", name, class, detail, want, wantDetail)
				}
			}
		}
	}
}

// TestSpecification holds our data against that of the specification.
func TestSpecification(t *testing.T) {
	t.Parallel()
	type transition struct {
		From, To, Pre string
		By            []string
		Unless        []string `json:"notIfBusinessStatus"`
	}
	var spec struct {
		Roles     map[string]string
		EveryKind []transition
		Kinds     map[Kind]struct {
			Initial             map[Status][]string
			Transitions         []transition
			BusinessStatus      map[Status]any
			BusinessSystem      string `json:"businessStatusSystem"`
			BusinessStatusMoves any
		}
	}
	if err := json.Unmarshal(sharedDomain(t, "task-state-machine.json"), &spec); err != nil {
		t.Fatal(err)
	}
	ours := readMoveData(t)
	if got, want := slices.Sorted(maps.Keys(spec.Roles)), slices.Sorted(slices.Values(roleNames[:])); !slices.Equal(got, want) {
		t.Errorf("the roles are %v, ours %v", got, want)
	}
	same := func(what string, got []jsonMove, want []transition) {
		t.Helper()
		var moves []jsonMove
		for _, w := range want {
			moves = append(moves, jsonMove{From: w.From, To: w.To, Requires: w.Pre, By: w.By, Unless: w.Unless})
		}
		if !reflect.DeepEqual(got, moves) {
			t.Errorf("%s: moves are\n%v, want\n%v", what, got, moves)
		}
	}
	same("every kind", ours.EveryKind, spec.EveryKind)
	if len(spec.Kinds) != 6 {
		t.Errorf("there are %d kinds, want six", len(spec.Kinds))
	}
	for kind, want := range spec.Kinds {
		got := ours.Kinds[kind]
		same(string(kind), got.Moves, want.Transitions)
		if !reflect.DeepEqual(got.Initial, want.Initial) || got.BusinessSystem != want.BusinessSystem {
			t.Errorf("%s begins %v in %s, want %v in %s", kind, got.Initial, got.BusinessSystem, want.Initial, want.BusinessSystem)
		}
		for status, code := range want.BusinessStatus {
			if got := fmt.Sprint(got.Business[status]); got != "["+strings.Trim(fmt.Sprint(code), "[]")+"]" {
				t.Errorf("%s %s: business status %v, want %v", kind, status, got, code)
			}
		}
		if len(got.Business) != len(want.BusinessStatus) {
			t.Errorf("%s has %d business statuses, want %d", kind, len(got.Business), len(want.BusinessStatus))
		}
		moves, _ := json.Marshal(want.BusinessStatusMoves)
		var closing []map[string]any
		_ = json.Unmarshal(moves, &closing)
		if len(closing) != len(got.BusinessMoves) {
			t.Fatalf("%s closes in %d ways, want %d", kind, len(got.BusinessMoves), len(closing))
		}
		for i, c := range closing {
			m := got.BusinessMoves[i]
			if fmt.Sprint(c["status"], c["from"], c["to"], c["by"]) != fmt.Sprint(m.Status, m.From, m.To, m.By) {
				t.Errorf("%s closes by %v, want %v", kind, m, c)
			}
		}
	}
}

// TestReferral: a referral lives as advice and guidance does, but for the outcomes.
func TestReferral(t *testing.T) {
	t.Parallel()
	data := readMoveData(t)
	want := data.Kinds[AdviceAndGuidance].Moves
	for i, m := range data.Kinds[Referral].Moves {
		w := want[i]
		if w.Requires == "guidance-outcome-output" {
			w.Requires, w.By = "outcome-output", []string{"owner"}
		}
		if w.Unless != nil {
			w.Unless = []string{ConversationEndedClosed}
		}
		if !reflect.DeepEqual(m, w) {
			t.Errorf("a referral has the move %v, want %v", m, w)
		}
	}
}

func TestBrokenMachines(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`{`, `{"kinds":{"x":{"initial":{"draft":["nobody"]}}}}`, `{"kinds":{"x":{"moves":[{"by":["king"]}]}}}`,
		`{"kinds":{"x":{"businessMoves":[{"by":[""]}]}}}`, `{"everyKind":[{"by":["Admin"]}]}`,
	} {
		if _, err := compile([]byte(src)); err == nil {
			t.Errorf("%s was compiled", src)
		}
	}
}

// TestAllowedMoves holds what each role may do in each status against a golden file.
func TestAllowedMoves(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, kind := range Kinds() {
		fmt.Fprintf(&b, "%s\n", kind)
		for _, roles := range singleRoles {
			if moves := beginnings(kind, roles); moves != nil {
				fmt.Fprintf(&b, "  (new) %s: %s\n", roles, listMoves(moves))
			}
		}
		for _, from := range allStatuses() {
			for _, roles := range []Roles{Requester, Owner, Owner | Clinician, Admin | Owner, System} {
				if moves := AvailableActions(plainTask(kind, from), roles, allFacts(from)); moves != nil {
					fmt.Fprintf(&b, "  %s %s: %s\n", from, roles, listMoves(moves))
				}
			}
		}
	}
	const file = "testdata/task-machine-moves.golden"
	if *updateMoves {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the moves are not those of %s; -update-moves writes it anew. They are\n%s", file, &b)
	}
}

func listMoves(moves []Move) string {
	texts := make([]string, len(moves))
	for i, m := range moves {
		texts[i] = string(m.To)
		if m.Forward {
			texts[i] = "forward"
		}
		for _, s := range []string{m.Requires, m.BusinessStatus} {
			if s != "" {
				texts[i] += " [" + s + "]"
			}
		}
	}
	return strings.Join(texts, ", ")
}

// TestRefusalListsMoves: a refusal is its Outcome, and carries what AvailableActions gives.
func TestRefusalListsMoves(t *testing.T) {
	t.Parallel()
	old, next := plainTask(AdviceAndGuidance, StatusRequested), plainTask(AdviceAndGuidance, StatusAccepted)
	_, err := Decide(&old, next, Requester, Facts{Now: moveNow, Match: MatchCurrent})
	r, ok := errors.AsType[*Refusal](err)
	if !ok || fhir.AsOutcome(err) != r.Outcome || err.Error() != r.Outcome.Error() {
		t.Fatalf("%#v is no Refusal", err)
	}
	if r.From != StatusRequested || r.To != StatusAccepted || listMoves(r.Allowed) != "cancelled [CONVERSATION_ENDED_CANCELLED]" {
		t.Errorf("%+v", r)
	}
	extension := r.Allowed[0].appendExtension(nil)
	src := `{"resourceType":"OperationOutcome","issue":[{"extension":[` + string(extension) + `],"severity":"error","code":"forbidden"}]}`
	if _, err := fhir.Decode("OperationOutcome", []byte(src)); err != nil {
		t.Errorf("%s: %v", src, err)
	}
	_, err = Decide(nil, plainTask(Consultation, StatusAccepted), Requester, Facts{})
	if r, _ = errors.AsType[*Refusal](err); r == nil || listMoves(r.Allowed) != "draft" {
		t.Errorf("a consultation may begin as %+v", r)
	}
}

func TestActionsJSON(t *testing.T) {
	t.Parallel()
	moves := AvailableActions(plainTask(AdviceAndGuidance, StatusRequested), Owner, Facts{})
	for _, m := range [][]Move{nil, moves} {
		r, err := fhir.Decode("Parameters", ActionsJSON(m))
		if err != nil {
			t.Fatalf("%s: %v", ActionsJSON(m), err)
		}
		n := 0
		for range r.Root().Each("parameter") {
			n++
		}
		if n != len(m) {
			t.Errorf("%d parameters, want %d", n, len(m))
		}
	}
}
