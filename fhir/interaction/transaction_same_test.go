package interaction_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	cmpdiff "github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// A twin is one of two worlds in which the same is done in different ways. What is
// created has another id in each, so it is known by a name.
type twin struct {
	*world
	ids map[string]string // of what was created, by name
}

// A wish is a request with names in place of ids: {o1}.
type wish struct {
	name   string // of what it creates
	line   string
	body   string
	expect store.Expect
}

func (w *twin) entry(t *testing.T, of wish) interaction.Entry {
	id := func(name string) string { return cmp.Or(w.ids[strings.Trim(name, "{}")], strings.Trim(name, "{}")) }
	names := regexp.MustCompile(`\{[a-z0-9-]+\}`)
	e := request(t, names.ReplaceAllStringFunc(of.line, id), names.ReplaceAllStringFunc(of.body, id))
	e.Expect = of.expect
	return e
}

// single performs a request by itself, as it comes over HTTP.
func single(t *testing.T, s *interaction.Session, e interaction.Entry) (interaction.Result, error) {
	ctx, target := t.Context(), interaction.Target{Type: e.Key.Type, Criteria: e.Criteria, Expect: e.Expect}
	switch {
	case e.Method == "POST" && e.Conditional:
		return s.CreateIf(ctx, e.Resource, e.Criteria)
	case e.Method == "POST":
		return s.Create(ctx, e.Resource)
	case e.Method == "PUT" && e.Conditional:
		return s.UpdateIf(ctx, e.Resource, target)
	case e.Method == "PUT":
		return s.Update(ctx, e.Key.ID, e.Resource, e.Expect)
	case e.Method == "PATCH" && e.Conditional:
		return s.PatchIf(ctx, target, *e.Patch)
	case e.Method == "PATCH":
		return s.Patch(ctx, e.Key, *e.Patch, e.Expect)
	case e.Method == "DELETE" && e.Conditional:
		return s.DeleteIf(ctx, target)
	}
	return s.Delete(ctx, e.Key, e.Expect)
}

// state returns what each of some callers sees, with names in place of ids, and
// how often it was changed.
func (w *twin) state(t *testing.T) string {
	uuid, names := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), map[string]string{}
	for name, id := range w.ids {
		names[id] = "{" + name + "}"
	}
	var b strings.Builder
	for who, s := range w.callers() {
		for _, typ := range []string{"Binary", "Communication", "Observation", "Patient", "ServiceRequest", "Task"} {
			found, err := s.Search(t.Context(), typedPage(typ, "_count=1000"))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, v := range found.Versions {
				lines = append(lines, uuid.ReplaceAllStringFunc(fmt.Sprintf("%d %s %d %s", who, v.Key, v.Number, v.Stored), func(id string) string { return names[id] }))
			}
			slices.Sort(lines)
			b.WriteString(strings.Join(append(lines, ""), "\n"))
		}
	}
	return b.String()
}

// callers returns sessions with all kinds of grants.
func (w *twin) callers() []*interaction.Session {
	return []*interaction.Session{
		w.trusted, w.as(w.doctor("a")), w.as(w.doctor("b")), w.as(w.patient("a")), w.as(w.doctor("c")),
		w.as(w.system(0)), w.as(w.system(access.Administer | access.AssertPatient)),
	}
}

// wishes makes up requests of one caller. Those of a batch have nothing to do with
// one another.
func wishes(r *rand.Rand, round int, known []string, apart bool) []wish {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var all []wish
	for i := range 1 + r.IntN(6) {
		name := fmt.Sprintf("n%d-%d", round, i)
		identifier := `"identifier":[{"system":"urn:x","value":"` + name + `"}],`
		patient := "Patient/" + pick("a", "a", "b", "none")
		observed := func(id, extra string) string {
			return `{"resourceType":"Observation",` + id + identifier + extra + `"status":"` + pick("final", "amended") + `","code":{"text":"x"},"subject":{"reference":"` + patient + `"}}`
		}
		target := "{" + pick(append(known, "none")...) + "}"
		expect := [...]store.Expect{0, 0, 0, 0, 1, 2}[r.IntN(6)]
		switch r.IntN(12) {
		case 0, 1, 2:
			all = append(all, wish{name, "POST Observation", observed("", ""), 0})
		case 3:
			all = append(all, wish{name, "POST Communication", `{"resourceType":"Communication",` + identifier + `"status":"completed","sender":{"reference":"` + pick("Practitioner/a", "Patient/a", "Organization/b") + `"},"recipient":[{"reference":"Organization/c"}],"subject":{"reference":"` + patient + `"}}`, 0})
		case 4:
			all = append(all, wish{name, "POST Observation?identifier=urn:x|" + pick(append(known, name)...), observed("", ""), 0})
		case 5, 6:
			all = append(all, wish{"", "PUT Observation/" + target, observed(`"id":"`+target+`",`, ""), expect})
		case 7:
			all = append(all, wish{"", "PATCH Observation/" + target, `[{"op":"replace","path":"/status","value":"` + pick("amended", "corrected") + `"}]`, expect})
		case 8:
			all = append(all, wish{"", "DELETE Observation/" + target, "", expect})
		case 9:
			all = append(all, wish{name, "PUT Observation?identifier=urn:x|" + strings.Trim(target, "{}"), observed("", ""), 0})
		case 10:
			all = append(all, wish{"", "DELETE Observation?identifier=urn:x|" + strings.Trim(target, "{}"), "", 0})
		case 11:
			if apart {
				continue
			}
			all = append(all, wish{name, "POST Task", `{"resourceType":"Task",` + identifier + `"status":"requested","intent":"order","for":{"reference":"` + patient + `"},"requester":{"reference":"Practitioner/a"},"owner":{"reference":"Organization/` + pick("b", "c") + `"}}`, 0})
		}
	}
	return all
}

// inOrder returns the places of requests in the order in which a transaction
// performs them.
func inOrder(all []wish) []int {
	rank := func(line string) int { return slices.Index([]string{"DEL", "POS", "PUT", "PAT"}, line[:3]) }
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(min(rank(all[i].line), 2), min(rank(all[j].line), 2)) })
	return order
}

// learn remembers the ids of what was created.
func (w *twin) learn(all []wish, i int, r interaction.Result) {
	if all[i].name != "" && r.Outcome == store.Created {
		w.ids[all[i].name] = r.Key.ID
	}
}

// mentionsTwice reports whether two of some requests may be about one resource,
// which a transaction refuses.
func mentionsTwice(all []wish) bool {
	seen := map[string]bool{}
	for _, w := range all {
		path, query, conditional := strings.Cut(strings.SplitN(w.line, " ", 2)[1], "?")
		name := path
		if conditional {
			name = "Observation/{" + strings.TrimPrefix(query, "identifier=urn:x|") + "}"
		}
		if strings.Contains(name, "/") && seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

func class(err error) fhir.Class {
	if o := fhir.AsOutcome(err); o != nil {
		return o.Class
	}
	return 255
}

// TestTransactionIsSingles does the same in two worlds: as transactions in one, as
// single requests in the order of R4 in the other. Where all of these succeed so does the
// transaction, with the same outcomes and the same effect, and otherwise it has
// none.
func TestTransactionIsSingles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	whole, parts := &twin{newWorld(t), map[string]string{"a": "a", "b": "b"}}, &twin{newWorld(t), map[string]string{"a": "a", "b": "b"}}
	succeeded, failed := 0, 0
	for round := range 120 {
		names := slices.Sorted(maps.Keys(whole.ids))
		all := wishes(r, round, names[max(0, len(names)-8):], false)
		if len(all) == 0 || mentionsTwice(all) {
			continue
		}
		who := r.IntN(len(whole.callers()))
		var good []wish
		results := map[string]interaction.Result{}
		var refused []string
		for _, i := range inOrder(all) {
			done, err := single(t, parts.callers()[who], parts.entry(t, all[i]))
			if err != nil {
				refused = append(refused, fmt.Sprintf("%s: %v", all[i].line, err))
				continue
			}
			parts.learn(all, i, done)
			good, results[all[i].line+all[i].body] = append(good, all[i]), done
		}
		perform := func(wishes []wish) ([]interaction.Reply, error) {
			var entries []interaction.Entry
			for _, of := range wishes {
				entries = append(entries, whole.entry(t, of))
			}
			return whole.callers()[who].Transaction(t.Context(), bundle(entries...))
		}
		if len(refused) > 0 {
			failed++
			if _, err := perform(all); err == nil {
				t.Fatalf("round %d, caller %d: %v\nsucceeds, though by itself fails %v", round, who, all, refused)
			}
		}
		if len(good) == 0 {
			continue
		}
		succeeded++
		r.Shuffle(len(good), func(i, j int) { good[i], good[j] = good[j], good[i] })
		replies, err := perform(good)
		if err != nil {
			t.Fatalf("round %d, caller %d: %v\nfails: %v", round, who, good, err)
		}
		for i, got := range replies {
			whole.learn(good, i, got.Result)
			want := results[good[i].line+good[i].body]
			if got.Outcome != want.Outcome || got.Number != want.Number || got.Hidden != want.Hidden {
				t.Errorf("round %d, caller %d: %s: outcome %d, version %d, hidden %v; by itself %d, %d, %v", round, who, good[i].line, got.Outcome, got.Number, got.Hidden, want.Outcome, want.Number, want.Hidden)
			}
		}
		if round%10 == 9 {
			if one, other := whole.state(t), parts.state(t); one != other {
				t.Fatalf("round %d, - transactions, + single requests:\n%s", round, cmpdiff.Diff(strings.Split(one, "\n"), strings.Split(other, "\n")))
			}
		}
	}
	if succeeded < 20 || failed < 20 {
		t.Errorf("%d transactions and %d that fail say nothing", succeeded, failed)
	}
}

// TestBatchIsSingles does the same with batches: each entry fares as it does by
// itself.
func TestBatchIsSingles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	whole, parts := &twin{newWorld(t), map[string]string{"a": "a", "b": "b"}}, &twin{newWorld(t), map[string]string{"a": "a", "b": "b"}}
	refused, performed := 0, 0
	for round := range 80 {
		names := slices.Sorted(maps.Keys(whole.ids))
		all := wishes(r, round, names[max(0, len(names)-8):], true)
		if mentionsTwice(all) {
			continue
		}
		who := r.IntN(len(whole.callers()))
		var entries []interaction.Entry
		for _, of := range all {
			entries = append(entries, whole.entry(t, of))
		}
		replies, err := whole.callers()[who].Batch(t.Context(), bundle(entries...))
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			want, err := single(t, parts.callers()[who], parts.entry(t, all[i]))
			parts.learn(all, i, want)
			got := replies[i]
			whole.learn(all, i, got.Result)
			switch {
			case (got.Err == nil) != (err == nil) || err != nil && (class(got.Err) != class(err) || got.Err.Error() != err.Error()):
				t.Errorf("round %d, caller %d: %s: %v, by itself %v", round, who, all[i].line, got.Err, err)
			case err != nil:
				refused++
			case got.Outcome != want.Outcome || got.Number != want.Number || got.Hidden != want.Hidden:
				t.Errorf("round %d, caller %d: %s: outcome %d, version %d; by itself %d, %d", round, who, all[i].line, got.Outcome, got.Number, want.Outcome, want.Number)
			default:
				performed++
			}
		}
	}
	if one, other := whole.state(t), parts.state(t); one != other {
		t.Errorf("- batches, + single requests:\n%s", cmpdiff.Diff(strings.Split(one, "\n"), strings.Split(other, "\n")))
	}
	if refused < 20 || performed < 20 {
		t.Errorf("%d entries performed and %d refused say nothing", performed, refused)
	}
}
