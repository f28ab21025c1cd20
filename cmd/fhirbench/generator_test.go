package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// contentTypes are those with content, in a mix of all or not.
func contentTypes() []string {
	return append(slices.DeleteFunc(typeNames(), func(name string) bool { return name == allTypes }), "Observation")
}

func TestContentIsDeterministic(t *testing.T) {
	t.Parallel()
	for _, name := range contentTypes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, same := &generator{1, absentPractice()}, &generator{1, absentPractice()}
			other := &generator{2, absentPractice()}
			seen := map[string]held{}
			for number := range uint64(200) {
				for revision := range 5 {
					h := held{typeName: name, number: number, revision: revision, id: "same"}
					body := one.resource(h)
					if !bytes.Equal(body, same.resource(h)) {
						t.Fatalf("%+v: made differently by the same seed", h)
					}
					if bytes.Equal(body, other.resource(h)) {
						t.Fatalf("%+v: made alike by two seeds", h)
					}
					if before, known := seen[string(body)]; known {
						t.Fatalf("%+v is the same as %+v", h, before)
					}
					seen[string(body)] = h
				}
			}
		})
	}
}

func TestContentHasTheSizeOfRealContent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ least, most int }{
		"Communication":         {1300, 1800},
		"Task":                  {1800, 2300},
		"Patient":               {1300, 1700},
		"QuestionnaireResponse": {4000, 6000},
		"Observation":           {1100, 1400},
	}
	for typeName, want := range tests {
		t.Run(typeName, func(t *testing.T) {
			t.Parallel()
			g, total, count := &generator{1, absentPractice()}, 0, 500
			for number := range count {
				total += len(g.resource(held{typeName: typeName, number: uint64(number)}))
			}
			if mean := total / count; mean < want.least || mean > want.most {
				t.Errorf("%d bytes on average, want %d to %d", mean, want.least, want.most)
			}
		})
	}
}

func TestContentKeepsWhatIdentifiesIt(t *testing.T) {
	t.Parallel()
	g := &generator{1, absentPractice()}
	for _, name := range contentTypes() {
		var first, later map[string]any
		decode(t, g.resource(held{typeName: name, number: 7}), &first)
		decode(t, g.resource(held{typeName: name, number: 7, revision: 3, id: "abc"}), &later)
		if later["id"] != "abc" || first["id"] != nil {
			t.Errorf("%s: id %v, then %v; want none, then abc", name, first["id"], later["id"])
		}
		for _, member := range []string{"identifier", "subject", "for", "birthDate"} {
			if was, is := text(t, first[member]), text(t, later[member]); was != is {
				t.Errorf("%s.%s became %s, was %s", name, member, is, was)
			}
		}
	}
}

func TestConversationTakesTurns(t *testing.T) {
	t.Parallel()
	g := &generator{1, absentPractice()}
	for _, number := range []uint64{3, 103, 203} {
		var m communication
		decode(t, g.resource(held{typeName: "Communication", number: number}), &m)
		fromPatient := number != 103
		if got := m.Sender.Type == "Patient"; got != fromPatient {
			t.Errorf("message %d: sender is %s", number, m.Sender.Reference)
		}
		if m.Subject.Reference != "Patient/fhirbench-patient-3" || m.PartOf[0].Reference != "Task/fhirbench-conversation-3" {
			t.Errorf("message %d: of %s in %s, want those of index 3", number, m.Subject.Reference, m.PartOf[0].Reference)
		}
		if number == 3 {
			continue
		}
		var before communication
		decode(t, g.resource(held{typeName: "Communication", number: number - 100}), &before)
		if m.Sent <= before.Sent || text(t, m.ReasonCode) != text(t, before.ReasonCode) {
			t.Errorf("message %d, sent %s, does not continue %d, sent %s", number, m.Sent, number-100, before.Sent)
		}
		if got, want := m.InResponseTo[0].Identifier.Value, before.Identifier[0].Value; got != want {
			t.Errorf("message %d answers %s, want %s", number, got, want)
		}
	}
}

func TestTaskIsNotModifiedBeforeItIsAuthored(t *testing.T) {
	t.Parallel()
	g := &generator{1, absentPractice()}
	for number := range uint64(100) {
		var is task
		decode(t, g.resource(held{typeName: "Task", number: number, revision: int(number % 3)}), &is)
		authored, err := time.Parse(time.RFC3339, is.AuthoredOn)
		if err != nil {
			t.Fatal(err)
		}
		modified, err := time.Parse(time.RFC3339, is.LastModified)
		if err != nil {
			t.Fatal(err)
		}
		if modified.Before(authored) {
			t.Errorf("task %d: modified %v before authored %v", number, modified, authored)
		}
	}
}

func TestAnswersFitTheForm(t *testing.T) {
	t.Parallel()
	if len(questions) != 30 {
		t.Errorf("the form asks %d questions, want 30", len(questions))
	}
	g := &generator{1, absentPractice()}
	for number := range uint64(100) {
		var r questionnaireResponse
		decode(t, g.resource(held{typeName: "QuestionnaireResponse", number: number, revision: int(number % 3)}), &r)
		if len(r.Item) != len(questions) {
			t.Fatalf("%d items, want %d", len(r.Item), len(questions))
		}
		for i, item := range r.Item {
			if problem := misfit(questions[i], item); problem != "" {
				t.Errorf("form %d, %s: %s", number, item.LinkID, problem)
			}
		}
	}
}

func misfit(q question, item answeredItem) string {
	a := item.Answer[0]
	fits := map[string]bool{
		"boolean": a.ValueBoolean != nil, "integer": a.ValueInteger != nil, "decimal": a.ValueDecimal != nil,
		"date": a.ValueDate != "", "choice": a.ValueCoding != nil, "text": a.ValueString != "", "string": a.ValueString != "",
	}
	switch {
	case item.LinkID != q.linkID:
		return "does not answer " + q.linkID
	case !fits[q.typ]:
		return "has no value of type " + q.typ
	}
	for _, o := range q.options {
		if o == *a.ValueCoding {
			return ""
		}
	}
	if q.options != nil {
		return "is not an option: " + a.ValueCoding.Code
	}
	return ""
}

func TestCheckDigit(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]int{"943476591": 9, "999000000": 10, "987654321": 0} {
		if got := checkDigit(digits); got != want {
			t.Errorf("checkDigit(%s) = %d, want %d", digits, got, want)
		}
	}
	for number := range uint64(1000) {
		n := nhsNumber(1, number)
		if len(n) != 10 || !strings.HasPrefix(n, "9") || checkDigit(n[:9]) != int(n[9]-'0') {
			t.Errorf("nhsNumber(1, %d) = %s: not valid", number, n)
		}
	}
}

func TestMixOfTypes(t *testing.T) {
	t.Parallel()
	got := map[string]int{}
	for point := range 100 {
		got[typeAt(allTypes, point)]++
		if one := typeAt("Task", point); one != "Task" {
			t.Errorf("typeAt(Task, %d) = %s", point, one)
		}
	}
	for _, s := range typeShares {
		if got[s.name] != s.percent {
			t.Errorf("%s: %d of 100, want %d", s.name, got[s.name], s.percent)
		}
	}
}

func BenchmarkResource(b *testing.B) {
	g := &generator{1, absentPractice()}
	for _, name := range contentTypes() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				g.resource(held{typeName: name, number: uint64(i)})
			}
		})
	}
}

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
