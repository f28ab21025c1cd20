package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A feedWorld changes resources at random: what they say, whom they are about, who has
// their labels, and what Patients and teams give to others.
type feedWorld struct {
	*rand.Rand
	db *DB
}

func (w *feedWorld) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *feedWorld) security() string {
	if w.IntN(4) > 0 {
		return ""
	}
	return fmt.Sprintf(`"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"%s"}]},`, w.pick("R", "V"))
}

// act makes one change.
func (w *feedWorld) act(t testing.TB) {
	t.Helper()
	patient, organization := fmt.Sprint("pa", w.IntN(3)), fmt.Sprint("or", w.IntN(4))
	n := w.IntN(4)
	var body string
	switch kind := w.pick("Patient", "Task", "Task", "Task", "Observation", "Observation", "Communication", "CareTeam"); kind {
	case "Patient":
		body = fmt.Sprintf(`{"resourceType":"Patient","id":"%s","gender":"%s","generalPractitioner":[{"reference":"Organization/%s"}]}`, patient, w.pick("male", "female"), organization)
	case "Task":
		body = fmt.Sprintf(`{"resourceType":"Task","id":"ta%d",%s"intent":"order","status":"%s","for":{"reference":"Patient/%s"},"owner":{"reference":"Organization/%s"},"priority":"%s"}`,
			n, w.security(), w.pick("requested", "failed", "completed"), patient, organization, w.pick("routine", "urgent", "stat"))
	case "Observation":
		body = fmt.Sprintf(`{"resourceType":"Observation","id":"ob%d",%s"status":"%s","code":{"coding":[{"code":"%s"}]},"subject":{"reference":"Patient/%s"}}`,
			n, w.security(), w.pick("final", "amended"), w.pick("a", "b"), patient)
	case "Communication":
		body = fmt.Sprintf(`{"resourceType":"Communication","id":"co%d",%s"status":"%s","subject":{"reference":"Patient/%s"},"recipient":[{"reference":"Organization/%s"}]}`,
			n, w.security(), w.pick("completed", "in-progress"), patient, organization)
	case "CareTeam":
		body = fmt.Sprintf(`{"resourceType":"CareTeam","id":"ct%d","status":"%s","subject":{"reference":"Patient/%s"},"participant":[{"member":{"reference":"Organization/%s"}}]}`,
			n, w.pick("active", "inactive"), patient, organization)
	}
	r := decoded(t, body)
	k := fhir.Key{Type: r.Type(), ID: r.ID()}
	if w.IntN(5) == 0 {
		if _, err := w.db.Delete(t.Context(), k, Anything, w.pick("", "x", "y"), nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	row, err := w.db.Row(k, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	row.Allowed, row.Origin = row.Gifts, w.pick("", "x", "y")
	if _, err := w.db.Put(t.Context(), row, Anything); err != nil {
		t.Fatal(err)
	}
}

// A replica is a client that keeps what it sees, and crashes.
type replica struct {
	grant access.Grant
	types []string
	saved kept
	kept
	everShown map[fhir.Key]bool // to its grant
	given     map[fhir.Key]bool // to it
	diligent  bool              // it reads to the end before anything else happens, and never crashes
}

// kept is what a client keeps in one place: what it has and where it is.
type kept struct {
	has    map[fhir.Key]string
	cursor string
}

// content is what a client has of a version.
func content(v *Version) string { return fmt.Sprintf("%d %s", v.Number, v.Stored) }

// shown returns what a search shows of some types now.
func (w *feedWorld) shown(t testing.TB, g access.Grant, types []string) map[fhir.Key]string {
	t.Helper()
	all := map[fhir.Key]string{}
	if len(types) == 0 {
		types = []string{"Patient", "Task", "Observation", "Communication", "CareTeam"}
	}
	world := newWorld(w.db, 0)
	for _, typ := range types {
		m, err := w.db.Search(t.Context(), g, world.ask(t, typ+"?_count=1000"), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Versions {
			all[m.Versions[i].Key] = content(&m.Versions[i])
		}
	}
	return all
}

// poll reads one page and applies it, and reports whether that was all there is.
func (r *replica) poll(t testing.TB, w *feedWorld, count int) bool {
	t.Helper()
	p, err := w.db.Changes(t.Context(), r.grant, Feed{Types: r.types, Count: count, After: r.cursor})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entries) > count {
		t.Fatalf("a page of %d has %d entries", count, len(p.Entries))
	}
	now, whole := w.shown(t, r.grant, r.types), w.db.feedReader(r.grant, Feed{Types: r.types}).whole
	for _, e := range p.Entries {
		if len(r.types) > 0 && !slices.Contains(r.types, e.Key.Type) {
			t.Fatalf("%s was not asked for", e.Key)
		}
		if e.Deleted() {
			if !r.everShown[e.Key] || r.diligent && !r.given[e.Key] {
				t.Fatalf("%s is gone (%s), which was never shown; diligent: %t", e.Key, e.Reason, r.diligent)
			}
			delete(r.has, e.Key)
			continue
		}
		if _, visible := now[e.Key]; !visible && !whole {
			t.Fatalf("version %d of %s is delivered, which is out of sight", e.Number, e.Key)
		}
		r.has[e.Key], r.given[e.Key] = content(&e.Version), true
	}
	if n := len(p.Entries); n > 0 && !p.More && !p.Entries[n-1].Settled {
		t.Fatal("the end of the feed is not settled")
	}
	r.cursor = p.Next
	return !p.More && !p.Snapshot && len(p.Entries) == 0
}

// crash loses what was not saved.
func (r *replica) crash() { r.has, r.cursor = maps.Clone(r.saved.has), r.saved.cursor }

func (r *replica) save() { r.saved = kept{maps.Clone(r.has), r.cursor} }

// TestFeedModel: whoever applies the feed, in pages of any size, with crashes, ends
// with what a search shows, hears of nothing that was never shown, and is sent nothing
// that is out of sight when it is sent.
func TestFeedModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			db, _ := openInside(t)
			if seed%2 == 1 {
				db.bounds.sorted, db.bounds.walked = 3, 5
			}
			w := &feedWorld{rand.New(rand.NewPCG(seed, 77)), db}
			source := newWorld(db, seed)
			var all []*replica
			for n := range 10 {
				r := &replica{diligent: n%2 == 1, grant: source.someGrant(), kept: kept{has: map[fhir.Key]string{}}, everShown: map[fhir.Key]bool{}, given: map[fhir.Key]bool{}}
				if w.IntN(2) == 0 {
					r.types = [][]string{{"Task"}, {"Observation", "Task"}, {"Patient"}}[w.IntN(3)]
				}
				r.save()
				all = append(all, r)
			}
			all[0].grant = access.Trusted("test")
			for _, r := range all {
				for r.diligent && !r.poll(t, w, 5) {
				}
			}
			delivered := 0
			for range 120 {
				for range w.IntN(3) {
					w.act(t)
					for _, r := range all {
						for k := range w.shown(t, r.grant, r.types) {
							r.everShown[k] = true
						}
					}
				}
				r := all[w.IntN(len(all))]
				for n := range 1000 {
					if n > w.IntN(5) && !r.diligent || r.poll(t, w, 1+w.IntN(6)) {
						break
					}
				}
				switch w.IntN(6) {
				case 0:
					if r.diligent {
						break
					}
					r.crash()
				case 1, 2, 3:
					r.save()
				}
			}
			for _, r := range all {
				for !r.poll(t, w, 1+w.IntN(9)) {
				}
				want := w.shown(t, r.grant, r.types)
				delivered += len(want)
				if diff := cmp.Diff(want, r.has); diff != "" {
					t.Errorf("types %s, %+v: %s", strings.Join(r.types, ","), r.grant.Terms(), diff)
				}
			}
			if delivered < 20 {
				t.Errorf("the clients have only %d resources in all", delivered)
			}
		})
	}
}

// TestFeedComesAndGoes: what comes, goes and comes again while a client is in the
// middle of a window, and then goes for good, is not left with the client.
func TestFeedComesAndGoes(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	r := &replica{grant: staffOf(0), kept: kept{has: map[fhir.Key]string{}}}
	for !r.apply(t, db, 1) {
	}
	task := func(id string, organization, n int) {
		trusted(t, db, fmt.Sprintf(`{"resourceType":"Task","id":"%s","intent":"order","status":"requested","owner":{"reference":"Organization/or%d"},"description":"%d"}`, id, organization, n))
	}
	task("other", 0, 0)
	task("it", 0, 1)
	task("it", 1, 2)
	task("more", 0, 0)
	if r.apply(t, db, 1); len(r.has) != 1 {
		t.Fatalf("the first page has %v", r.has)
	}
	task("it", 0, 3)
	r.apply(t, db, 1)
	task("it", 1, 4)
	for !r.apply(t, db, 1) {
	}
	w := &feedWorld{db: db}
	if diff := cmp.Diff(w.shown(t, r.grant, nil), r.has); diff != "" || len(r.has) != 2 {
		t.Error(diff, r.has)
	}
}
