package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// soundEvidence is of a run in which everything was right: a resource that is created,
// changed, deleted and made again, a transaction, a conditional create that two have
// tried, one write that was refused and one in doubt that was done.
func soundEvidence() *evidence {
	at := func(from, to int) (time.Duration, time.Duration) {
		return time.Duration(from) * time.Second, time.Duration(to)*time.Second - time.Millisecond
	}
	e := &evidence{traces: map[string][]trace{}, audited: map[string]bool{}, feeds: map[string][]string{}, hearings: map[string]hearing{}}
	add := func(from, to int, one effort) {
		one.who, one.content = "w", one.marker
		one.sent, one.answered = at(from, to)
		if one.fate == doubtful {
			one.answered = unanswered
		}
		e.efforts = append(e.efforts, one)
	}
	add(0, 1, effort{op: putting, key: "Basic/a", marker: "a1", group: "g", expect: -1, version: 1, status: 201, fate: stored})
	add(1, 2, effort{op: searching, group: "g", rows: map[string]int{"Basic/a": 1}, status: 200, fate: stored})
	add(2, 3, effort{op: putting, key: "Basic/a", marker: "a2", group: "g", expect: 1, version: 2, status: 200, fate: stored})
	add(2, 4, effort{op: putting, key: "Basic/a", marker: "lost race", group: "g", expect: 1, status: 412, fate: refused})
	add(4, 5, effort{op: reading, key: "Basic/a", marker: "a2", version: 2, status: 200, fate: stored})
	add(5, 6, effort{op: deleting, key: "Basic/a", expect: 2, status: 204, fate: stored})
	add(6, 7, effort{op: reading, key: "Basic/a", version: 3, gone: true, status: 410, fate: stored})
	add(7, 8, effort{op: searching, group: "g", rows: map[string]int{}, status: 200, fate: stored})
	add(8, 0, effort{op: putting, key: "Basic/a", marker: "a4", group: "g", expect: -1, fate: doubtful})
	add(9, 0, effort{op: deleting, key: "Basic/a", expect: 2, fate: doubtful})
	add(9, 10, effort{op: reading, key: "Basic/a", marker: "a4", version: 4, status: 200, fate: stored})
	add(10, 11, effort{op: putting, key: "Basic/t", marker: "t1", together: "t", expect: -1, version: 1, status: 200, fate: stored})
	add(10, 11, effort{op: creating, key: "Basic/u", marker: "t2", together: "t", expect: -1, version: 1, status: 200, fate: stored})
	add(12, 13, effort{op: creating, key: "Basic/o", marker: "o1", only: "o", expect: -1, version: 1, status: 201, fate: stored})
	add(12, 14, effort{op: creating, key: "Basic/o", marker: "o2", only: "o", expect: -1, version: 1, status: 200, fate: stored})
	add(15, 16, effort{op: creating, marker: "shed", expect: -1, status: 503, fate: refused})
	e.traces["Basic/a"] = []trace{{version: 1, marker: "a1", group: "g", content: "a1"}, {version: 2, marker: "a2", group: "g", content: "a2"}, {version: 3, deleted: true}, {version: 4, marker: "a4", group: "g", content: "a4"}}
	e.traces["Basic/t"] = []trace{{version: 1, marker: "t1", together: "t", content: "t1"}}
	e.traces["Basic/u"] = []trace{{version: 1, marker: "t2", together: "t", content: "t2"}}
	e.traces["Basic/o"] = []trace{{version: 1, marker: "o1", only: "o", content: "o1"}}
	e.traces["Task/made-by-the-server"] = []trace{{version: 1}}
	for key, all := range e.traces {
		for _, v := range all {
			e.audited[fmt.Sprintf("%s/%d", key, v.version)] = true
		}
	}
	e.feeds["reader"] = []string{"Basic/a/1", "Basic/a/2", "Basic/t/1", "Basic/u/1", "Basic/a/3", "Basic/a/4", "Basic/o/1", "Task/made-by-the-server/1"}
	e.hearings["hook"] = hearing{want: []string{"Basic/a/1", "Basic/a/2", "Basic/a/4"}, got: []told{{1, "Basic/a/1"}, {2, "Basic/a/2"}, {3, "Basic/a/4"}}}
	return e
}

// TestTortureChecker plants one fault after the other into evidence that is sound, and
// wants the checker of [TestTorture] to name it.
func TestTortureChecker(t *testing.T) {
	t.Parallel()
	if flaws := soundEvidence().judge(); len(flaws) > 0 {
		t.Errorf("there is nothing wrong, and the checker says %v", flaws)
	}
	effortOf := func(e *evidence, marker string) *effort {
		return &e.efforts[slices.IndexFunc(e.efforts, func(one effort) bool { return one.marker == marker && one.op != reading })]
	}
	for name, tt := range map[string]struct {
		want  string
		plant func(e *evidence)
	}{
		"an acknowledged write is taken away":       {"lost", func(e *evidence) { e.traces["Basic/a"] = e.traces["Basic/a"][:3] }},
		"an acknowledged create is taken away":      {"lost", func(e *evidence) { delete(e.traces, "Basic/o") }},
		"an acknowledged deletion is taken away":    {"lost", func(e *evidence) { e.traces["Basic/a"] = e.traces["Basic/a"][:2] }},
		"two acknowledged versions are swapped":     {"lost", func(e *evidence) { a := e.traces["Basic/a"]; a[0].marker, a[1].marker = a[1].marker, a[0].marker }},
		"a stored version is another than was sent": {"changed", func(e *evidence) { e.traces["Basic/a"][1].content = "x" }},
		"something is stored that nobody sent":      {"unsent", func(e *evidence) { e.traces["Basic/x"] = []trace{{version: 1, marker: "x"}} }},
		"something is deleted that nobody deleted":  {"unsent", func(e *evidence) { e.traces["Basic/t"] = append(e.traces["Basic/t"], trace{version: 2, deleted: true}) }},
		"what was refused is stored":                {"refused", func(e *evidence) { e.traces["Basic/x"] = []trace{{version: 1, marker: "shed"}} }},
		"a write is done twice":                     {"twice", func(e *evidence) { e.traces["Basic/x"] = []trace{{version: 1, marker: "o1", content: "o1"}} }},
		"a version is missing":                      {"gap", func(e *evidence) { e.traces["Basic/a"] = slices.Delete(e.traces["Basic/a"], 1, 2) }},
		"a transaction is torn":                     {"torn", func(e *evidence) { delete(e.traces, "Basic/u") }},
		"a transaction in doubt is torn": {"torn", func(e *evidence) {
			effortOf(e, "t1").fate, effortOf(e, "t2").fate = doubtful, doubtful
			delete(e.traces, "Basic/u")
		}},
		"two are created where one is to be":          {"twice", func(e *evidence) { e.traces["Basic/p"] = []trace{{version: 1, marker: "o2", only: "o", content: "o2"}} }},
		"a conditional create is told of another":     {"lost", func(e *evidence) { effortOf(e, "o2").key = "Basic/a" }},
		"a read is stale":                             {"order", func(e *evidence) { e.efforts[4].version, e.efforts[4].marker = 1, "a1" }},
		"a read sees what comes later":                {"order", func(e *evidence) { e.efforts[4].version, e.efforts[4].marker = 4, "a4" }},
		"a read sees what is deleted":                 {"order", func(e *evidence) { e.efforts[6].gone, e.efforts[6].version, e.efforts[6].marker = false, 2, "a2" }},
		"two updates of one version are acknowledged": {"order", func(e *evidence) { e.efforts[3].fate, e.efforts[3].status, e.efforts[3].version = stored, 200, 2 }},
		"an update is refused without reason": {"order", func(e *evidence) {
			e.efforts[3].sent, e.efforts[3].answered = time.Second, time.Second+time.Millisecond
		}},
		"a search misses its own write":            {"stale", func(e *evidence) { delete(e.efforts[1].rows, "Basic/a") }},
		"a search shows an old version":            {"stale", func(e *evidence) { e.efforts[1].sent, e.efforts[1].answered = 4*time.Second, 5*time.Second }},
		"a search shows what is deleted":           {"stale", func(e *evidence) { e.efforts[7].rows["Basic/a"] = 2 }},
		"a search shows what does not match":       {"stray", func(e *evidence) { e.efforts[1].rows["Basic/t"] = 1 }},
		"a line of the audit is missing":           {"unaudited", func(e *evidence) { delete(e.audited, "Basic/a/2") }},
		"the line of a deletion is missing":        {"unaudited", func(e *evidence) { delete(e.audited, "Basic/a/3") }},
		"the feed misses a version":                {"missed", func(e *evidence) { e.feeds["reader"] = slices.Delete(e.feeds["reader"], 3, 4) }},
		"the feed gives a version twice":           {"doubled", func(e *evidence) { e.feeds["reader"] = append(e.feeds["reader"], "Basic/t/1") }},
		"the feed gives versions in another order": {"disordered", func(e *evidence) { f := e.feeds["reader"]; f[0], f[1] = f[1], f[0] }},
		"the feed gives what is not there":         {"unsent", func(e *evidence) { e.feeds["reader"] = append(e.feeds["reader"], "Basic/t/2") }},
		"a subscriber misses an event":             {"hook", func(e *evidence) { plantEvents(e, told{1, "Basic/a/1"}, told{2, "Basic/a/4"}) }},
		"events have a gap in their numbers":       {"hook", func(e *evidence) { plantEvents(e, told{1, "Basic/a/1"}, told{2, "Basic/a/2"}, told{4, "Basic/a/4"}) }},
		"events come in another order":             {"hook", func(e *evidence) { plantEvents(e, told{1, "Basic/a/2"}, told{2, "Basic/a/1"}, told{3, "Basic/a/4"}) }},
		"a subscriber is told of what is not its":  {"hook", func(e *evidence) { plantEvents(e, append(e.hearings["hook"].got, told{4, "Basic/t/1"})...) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := soundEvidence()
			tt.plant(e)
			if flaws := e.judge(); flaws.count(tt.want) == 0 {
				t.Errorf("the checker says %v, and nothing of the kind %q", flaws, tt.want)
			}
		})
	}
}

func plantEvents(e *evidence, got ...told) {
	e.hearings["hook"] = hearing{e.hearings["hook"].want, got}
}

// soundTalk is what is left of a form, of a question that took one answer, and of a
// conversation that has come to its second step, and what was acknowledged of them.
func soundTalk() (*consultations, map[string]spoken) {
	c := &consultations{
		room:      &postroom{sent: []*posting{{key: "form-0", answer: "stored"}}},
		talks:     &talker{told: map[string]int{"Task/talk": 2}},
		questions: map[string]int{"Communication/question": 1},
	}
	type ref = struct{ Reference string }
	form := spoken{Identifier: []byte(`{"value":"form-0"}`)}
	task, receipt, hello, alarm, answer, talk := spoken{}, spoken{}, spoken{}, spoken{}, spoken{}, spoken{}
	task.Focus.Reference = "QuestionnaireResponse/f"
	hello.PartOf = []ref{{"Task/f"}}
	alarm.PartOf, alarm.Topic.Coding = hello.PartOf, []struct{ Code string }{{"response-overdue"}}
	receipt.Focus.Reference = "Communication/hello"
	answer.InResponseTo = []ref{{"Communication/question"}}
	talk.Status = "accepted"
	talk.Code.Coding = []struct{ Code string }{{"advice-and-guidance"}}
	return c, map[string]spoken{"QuestionnaireResponse/f": form, "Task/f": task, "Communication/hello": hello, "Communication/late": alarm, "Task/receipt": receipt,
		"Provenance/f": {Target: []struct{ Reference string }{{"QuestionnaireResponse/f"}, {"Task/f"}}}, "Communication/answer": answer, "Task/talk": talk}
}

// TestTortureConsultations plants faults into conversations.
func TestTortureConsultations(t *testing.T) {
	t.Parallel()
	c, all := soundTalk()
	var none flaws
	if c.judge(&none, all); len(none) > 0 {
		t.Errorf("there is nothing wrong, and the checker says %v", none)
	}
	without := func(key string) func(*consultations, map[string]spoken) {
		return func(_ *consultations, all map[string]spoken) { delete(all, key) }
	}
	again := func(key string) func(*consultations, map[string]spoken) {
		return func(_ *consultations, all map[string]spoken) { all[key+"-again"] = all[key] }
	}
	for name, tt := range map[string]struct {
		want  string
		plant func(*consultations, map[string]spoken)
	}{
		"a form is lost":                       {"lost", without("QuestionnaireResponse/f")},
		"a form is there twice":                {"twice", again("QuestionnaireResponse/f")},
		"a form has no Task":                   {"torn", without("Task/f")},
		"a form has two Tasks":                 {"torn", again("Task/f")},
		"nobody is told that a form has come":  {"torn", without("Communication/hello")},
		"somebody is told twice":               {"torn", again("Communication/hello")},
		"somebody is warned twice":             {"twice", again("Communication/late")},
		"a message has no receipt":             {"torn", without("Task/receipt")},
		"nothing says where a form comes from": {"torn", without("Provenance/f")},
		"a question is answered twice":         {"reply", again("Communication/answer")},
		"an answer is lost":                    {"reply", without("Communication/answer")},
		"two answers are acknowledged":         {"reply", func(c *consultations, _ map[string]spoken) { c.questions["Communication/question"] = 2 }},
		"a conversation is lost":               {"lost", without("Task/talk")},
		"a conversation has lost a step":       {"lost", func(c *consultations, _ map[string]spoken) { c.talks.told["Task/talk"] = 4 }},
		"a conversation on hold has no message": {"torn", func(_ *consultations, all map[string]spoken) {
			s := all["Task/talk"]
			s.Status = "on-hold"
			all["Task/talk"] = s
		}},
	} {
		c, all := soundTalk()
		tt.plant(c, all)
		var found flaws
		if c.judge(&found, all); found.count(tt.want) == 0 {
			t.Errorf("%s: the checker says %v, and nothing of the kind %q, of %v", name, found, tt.want, slices.Sorted(maps.Keys(all)))
		}
	}
}

// TestTortureGrowth has a server take up more and more of one thing.
func TestTortureGrowth(t *testing.T) {
	t.Parallel()
	first := measure{resident: 80 << 20, heap: 16 << 20, goroutines: 50, files: 35}
	for want, last := range map[int]measure{
		0: {resident: 120 << 20, heap: 20 << 20, goroutines: 60, files: 40},
		1: {resident: 200 << 20, heap: 20 << 20, goroutines: 60, files: 40},
		2: {resident: 200 << 20, heap: 60 << 20, goroutines: 60, files: 40},
		3: {resident: 200 << 20, heap: 60 << 20, goroutines: 90, files: 40},
		4: {resident: 200 << 20, heap: 60 << 20, goroutines: 90, files: 80},
	} {
		var found flaws
		if judgeGrowth(&found, first, last); found.count("leak") != want {
			t.Errorf("from %v to %v: %v, want %d flaws", first, last, found, want)
		}
	}
}
