package consultation

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
)

// TestAdviceScript plays the script of advice and guidance, as far as it is for these rules.
func TestAdviceScript(t *testing.T) {
	t.Parallel()
	var script struct {
		Kind  Kind
		Steps []struct {
			Name, Actor string
			From        *Status
			To          Status
			IfMatch     json.RawMessage
			SameKey     bool
			Missing     string
			Expect      struct {
				Status               int
				Code                 fhir.Code
				Detail, Hint         string
				BusinessStatus       string
				NoNewVersion, Replay bool
			}
		}
	}
	if err := json.Unmarshal(sharedDomain(t, "set-b-advice-guidance/ag-transition-script.json"), &script); err != nil {
		t.Fatal(err)
	}
	statuses := map[fhir.Class]int{fhir.BadRequest: 400, fhir.Denied: 403, fhir.Stale: 412, fhir.Unprocessable: 422}
	callers := map[string]Caller{
		"gp":         {Memberships: []Membership{{Of: movePractice, Clinical: true}}},
		"cons":       {Memberships: []Membership{{Of: moveHospital, Clinical: true}}},
		"hosp-admin": {Memberships: []Membership{{Of: moveHospital}}},
		"other":      {Memberships: []Membership{{Of: fhir.Key{Type: "Organization", ID: "other"}, Clinical: true, Records: true}}},
	}
	var now *Task
	played := 0
	for _, s := range script.Steps {
		next := plainTask(script.Kind, s.To)
		next.BusinessStatus = ""
		roles := RolesOf(next, callers[s.Actor])
		if s.Actor == "server" {
			roles = System
		}
		if s.SameKey || s.Expect.Status == 404 {
			if roles != 0 && s.Expect.Status == 404 {
				t.Errorf("%s: %s is %s", s.Name, s.Actor, roles)
			}
			continue // replays and what cannot be seen are not for these rules
		}
		played++
		f := allFacts(s.To)
		switch {
		case string(s.IfMatch) == "null":
			f.Match = MatchMissing
		case s.IfMatch != nil:
			f.Match = MatchStale
		}
		switch s.Missing {
		case "question-sent":
			f.Turns = nil
		case "guidance-outcome-output":
			next.Outputs = nil
		}
		if (now == nil) != (s.From == nil) || now != nil && now.Status != *s.From {
			t.Fatalf("%s: the Task is %+v", s.Name, now)
		}
		d, err := Decide(now, next, roles, f)
		if s.Expect.Status < 300 {
			if err != nil || (d.Effect == TaskUnchanged) != s.Expect.NoNewVersion || (d.Effect == TaskCreated) != (s.Expect.Status == 201) {
				t.Fatalf("%s: %+v, %v", s.Name, d, err)
			}
			if w := s.Expect.BusinessStatus; w != "" && d.BusinessStatus != w {
				t.Errorf("%s: business status %s, want %s", s.Name, d.BusinessStatus, w)
			}
			next.BusinessStatus = d.BusinessStatus
			now = &next
			continue
		}
		class, detail := detailOf(t, err)
		if code := fhir.AsOutcome(err).Issues[0].Code; statuses[class] != s.Expect.Status || code != s.Expect.Code || detail != s.Expect.Detail && s.Expect.Detail != "" {
			t.Errorf("%s: %v %s %s, want %+v", s.Name, class, code, detail, s.Expect)
		}
	}
	if played != 22 {
		t.Errorf("%d steps were played, want 22 of 24", played)
	}
}

// TestRandomWalks: whatever is asked for, a Task moves along the machine only, what has
// ended stays so, and several roles together allow no more than each of them.
func TestRandomWalks(t *testing.T) {
	t.Parallel()
	data := readMoveData(t)
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
		task := plainTask(kind, rapid.SampledFrom(allStatuses()).Draw(t, "status"))
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			next := plainTask(kind, rapid.SampledFrom(allStatuses()).Draw(t, "to"))
			next.Reason = rapid.Bool().Draw(t, "reason")
			next.BusinessStatus = rapid.SampledFrom([]string{"", task.BusinessStatus, AdviceConverted, ConversationEndedClosed, ReferrerToReview}).Draw(t, "business")
			if rapid.Bool().Draw(t, "no outputs") {
				next.Outputs = nil
			}
			if rapid.IntRange(0, 5).Draw(t, "forward") == 0 {
				next.Owner = fhir.Key{Type: "Organization", ID: "third"}
			}
			f := allFacts(next.Status)
			f.Match = Match(rapid.IntRange(0, 2).Draw(t, "match"))
			f.AbortAccepted, f.ConversionAuthorised = rapid.Bool().Draw(t, "aborted"), rapid.Bool().Draw(t, "authorised")
			f.CompletedAt = moveNow.AddDate(0, 0, -rapid.IntRange(0, 70).Draw(t, "days"))
			f.Turns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Turn {
				return Turn{Side(rapid.IntRange(0, 2).Draw(t, "by")), rapid.Bool().Draw(t, "asks"), rapid.Bool().Draw(t, "to"), rapid.Bool().Draw(t, "new")}
			}), 0, 4).Draw(t, "turns")
			roles := Roles(rapid.IntRange(0, 31).Draw(t, "roles"))
			d, err := Decide(&task, next, roles, f)
			if err != nil {
				if fhir.AsOutcome(err) == nil || d.Effect != 0 {
					t.Fatalf("%+v, %v", d, err)
				}
				if r, _ := errors.AsType[*Refusal](err); r == nil {
					t.Fatalf("%v is no refusal", err)
				}
				continue
			}
			checkStep(t, data, step{task, next, roles, f, d})
			if d.Effect == TaskForwarded {
				next = task
				next.Status = StatusRejected
			}
			next.BusinessStatus = d.BusinessStatus
			if d.Effect != TaskUnchanged {
				task = next
			}
		}
	})
}

// A step is one that was allowed.
type step struct {
	old, next Task
	roles     Roles
	facts     Facts
	decision  Decision
}

func checkStep(t *rapid.T, data moveData, s step) {
	kind, from, to := s.old.Kind, s.old.Status, s.next.Status
	switch s.decision.Effect {
	case TaskMoved:
		if from == to || len(data.by(kind, from, to)) == 0 {
			t.Fatalf("%s went from %s to %s", kind, from, to)
		}
		if slices.Contains([]Status{StatusRejected, StatusCancelled, StatusEnteredInError}, from) && to != StatusEnteredInError {
			t.Fatalf("%s left %s for %s", kind, from, to)
		}
	case TaskForwarded:
		if from != StatusRequested && from != StatusReceived || s.roles&Owner == 0 {
			t.Fatalf("%s was forwarded from %s by %s", kind, from, s.roles)
		}
	case TaskClosed:
		if s.old.BusinessStatus != ReferrerToReview || s.decision.BusinessStatus != ConversationEndedClosed || s.roles&Requester == 0 {
			t.Fatalf("%s was closed from %s by %s", kind, s.old.BusinessStatus, s.roles)
		}
	case TaskUnchanged, TaskEdited:
		if from != to || s.decision.BusinessStatus != s.old.BusinessStatus && businessSystem(kind) == AdviceStatusSystem {
			t.Fatalf("%s %s: an edit gave %+v", kind, from, s.decision)
		}
		return
	default:
		t.Fatalf("effect %d", s.decision.Effect)
	}
	for _, single := range singleRoles[1:] {
		if s.roles&single == 0 {
			continue
		}
		if d, err := Decide(&s.old, s.next, single, s.facts); err == nil && d.Effect == s.decision.Effect {
			return
		}
	}
	t.Fatalf("%s from %s to %s: %s may, and none of them alone", kind, from, to, s.roles)
}
