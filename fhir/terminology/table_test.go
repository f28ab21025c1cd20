package terminology

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// sameConcept compares concepts with what they do not show.
var sameConcept = cmp.Options{cmp.AllowUnexported(concept{}, designation{}, property{}, header{}), cmpopts.EquateEmpty()}

// onTables returns a Service with a database of its own.
func onTables(t testing.TB) (*Service, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	return New(Config{DB: db.DB, Large: 1}), db
}

// seqOf yields copies of concepts.
func seqOf(all []concept) iter.Seq2[*concept, error] {
	return func(yield func(*concept, error) bool) {
		for _, c := range all {
			if !yield(&c, nil) {
				return
			}
		}
	}
}

// words of which texts, values and regular expressions are made.
var (
	drawnCodes  = []string{"a", "b", "c", "A", "B", "ab", "aB", "b-1", "c 2", "d", "e", "ä", "Ä", "x"}
	drawnTexts  = []string{"", "Heart attack", "heart-failure of a", "Ärger im Herz", "AB", "b 1", strings.Repeat("long ", 150), strings.Repeat("w", 600)}
	drawnNames  = []string{"status", "kind", "size", "parent", "child", "inactive", "note"}
	drawnValues = []string{"", "a", "B", "true", "false", "active", "retired", "1.0", strings.Repeat("v", 700), strings.Repeat("v", 699) + "w"}
	drawnOps    = []string{"=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "exists", "like"}
	drawnAsked  = []string{"concept", "code", "display", "definition", "designation", "parent", "child", "inactive", "notSelectable", "abstract", "status", "kind", "size", "note", "declared", "unknown"}
	drawnQuests = []string{"", "a", "heart", "HEART att", "är", "long", "w", strings.Repeat("w", 600), "b 1", "1", "none", "-", "im ärger"}
	drawnRegex  = []string{"a", ".*", "[a-b].*", "(?i)A", "true|active", "(", "v+w", "", "heart.*"}
)

func drawConcept(t *rapid.T) concept {
	text := rapid.SampledFrom(drawnTexts)
	c := concept{
		code: rapid.SampledFrom(append(drawnCodes, "")).Draw(t, "code"), display: text.Draw(t, "display"), definition: text.Draw(t, "definition"),
		parents:  rapid.SliceOfN(rapid.SampledFrom(drawnCodes), 0, 2).Draw(t, "parents"),
		inactive: rapid.Bool().Draw(t, "inactive"), abstract: rapid.Bool().Draw(t, "abstract"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "designations") {
		c.designations = append(c.designations, designation{rapid.SampledFrom([]string{"", "en", "de"}).Draw(t, "language"),
			Coding{System: rapid.SampledFrom([]string{"", "http://use"}).Draw(t, "use")}, text.Draw(t, "value")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "properties") {
		name := rapid.SampledFrom(drawnNames).Draw(t, "property")
		p := property{name, "code", rapid.SampledFrom(append(drawnValues, drawnCodes...)).Draw(t, "value")}
		if name == "kind" {
			p = property{name, "Coding", "http://s|" + p.value}
		}
		c.properties = append(c.properties, p)
	}
	return c
}

func drawFilter(t *rapid.T) filter {
	f := filter{property: rapid.SampledFrom(drawnAsked).Draw(t, "of"), op: rapid.SampledFrom(drawnOps).Draw(t, "op")}
	value := rapid.SampledFrom(append(drawnCodes, drawnValues...))
	switch f.op {
	case "regex":
		f.value = rapid.SampledFrom(drawnRegex).Draw(t, "regex")
	case "in", "not-in":
		f.value = strings.Join(rapid.SliceOfN(value, 1, 3).Draw(t, "in"), rapid.SampledFrom([]string{",", " , "}).Draw(t, "comma"))
	case "exists":
		f.value = rapid.SampledFrom([]string{"true", "false"}).Draw(t, "exists")
	default:
		f.value = value.Draw(t, "to")
	}
	return f
}

func drawSelection(t *rapid.T) selection {
	s := selection{
		text: rapid.SampledFrom(drawnQuests).Draw(t, "text"), active: rapid.Bool().Draw(t, "active"),
		offset: rapid.IntRange(0, 4).Draw(t, "offset"), count: rapid.IntRange(-1, 5).Draw(t, "count"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "filters") {
		s.filters = append(s.filters, drawFilter(t))
	}
	if rapid.IntRange(0, 3).Draw(t, "named") == 0 {
		s.codes = rapid.SliceOfN(rapid.SampledFrom(drawnCodes), 0, 6).Draw(t, "codes")
	}
	return s
}

// TestTableIsListed asks a code system in tables and the same one in memory the same
// questions.
func TestTableIsListed(t *testing.T) {
	t.Parallel()
	s, _ := onTables(t)
	rapid.Check(t, func(r *rapid.T) {
		h := header{url: "http://example.org/cs", content: "complete", caseSensitive: rapid.Bool().Draw(r, "caseSensitive"), version: "1", name: "N", title: "T", hierarchy: "is-a", language: "en"}
		all := rapid.SliceOfN(rapid.Custom(drawConcept), 0, 14).Draw(r, "concepts")
		table, err := s.load(t.Context(), origin{source: rand.Text()}, reading{h, []string{"declared"}, seqOf(all)})
		if err != nil {
			r.Fatal(err)
		}
		memory := newListed(h, slices.Clone(all))
		memory.allowed["declared"] = true
		if diff := cmp.Diff(*memory.head(), *table.head(), sameConcept); diff != "" {
			r.Fatalf("header: %s", diff)
		}
		for range 12 {
			compare(r, memory, table)
		}
	})
}

// compare asks two code systems one question of each kind.
func compare(t *rapid.T, want, got system) {
	ctx := context.Background()
	code, other := rapid.SampledFrom(drawnCodes).Draw(t, "one"), rapid.SampledFrom(drawnCodes).Draw(t, "other")
	ask := drawSelection(t)
	for _, question := range []struct {
		name string
		of   func(system) (any, error)
	}{
		{"concept", func(s system) (any, error) {
			c, err := s.concept(ctx, code)
			if c == nil {
				return nil, err
			}
			return *c, err
		}},
		{"subsumes", func(s system) (any, error) { return s.subsumes(ctx, code, other) }},
		{"holds", func(s system) (any, error) { return s.holds(ctx, code, ask.filters) }},
		{"pick", func(s system) (any, error) {
			found, total, err := s.pick(ctx, ask)
			return []any{found, total}, err
		}},
	} {
		w, wantErr := question.of(want)
		g, gotErr := question.of(got)
		if (wantErr == nil) != (gotErr == nil) || wantErr != nil && (fhir.AsOutcome(gotErr) == nil || gotErr.Error() != wantErr.Error()) {
			t.Fatalf("%s of %s, %s, %+v: %v in tables, %v in memory", question.name, code, other, ask, gotErr, wantErr)
		}
		if diff := cmp.Diff(w, g, sameConcept); wantErr == nil && diff != "" {
			t.Fatalf("%s of %s, %s, %+v: memory (-) and tables (+) differ\n%s", question.name, code, other, ask, diff)
		}
	}
}

// TestBits holds pages and complements against lists.
func TestBits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(r, "n")
		in := slices.Compact(slices.Sorted(slices.Values(rapid.SliceOf(rapid.Int32Range(0, int32(n-1))).Draw(r, "in"))))
		var p posting
		for _, i := range in {
			p.add(i)
			p.add(i)
		}
		set := newBits(n)
		if err := set.merge(p.members); err != nil || p.size != len(in) || set.count() != len(in) {
			r.Fatalf("%v: %d in the set, %d counted, %v", in, set.count(), p.size, err)
		}
		offset, count := rapid.IntRange(0, n).Draw(r, "offset"), rapid.IntRange(-1, n).Draw(r, "count")
		want := in[min(offset, len(in)):]
		if count >= 0 {
			want = want[:min(count, len(want))]
		}
		if got := set.page(offset, count); !slices.Equal(got, want) {
			r.Fatalf("page from %d of %d: %v, want %v", offset, count, got, want)
		}
		set.negate(n)
		if set.count() != n-len(in) {
			r.Fatalf("%d in the complement", set.count())
		}
	})
}

// FuzzMerge reads sets of any bytes.
func FuzzMerge(f *testing.F) {
	f.Add(100, []byte{1, 2, 3})
	f.Add(3, []byte{0})
	f.Add(64, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add(64, []byte{0x40, 1})
	f.Fuzz(func(t *testing.T, n int, members []byte) {
		if n < 0 || n > 1<<16 {
			return
		}
		set := newBits(n)
		if err := set.merge(members); err == nil && set.count() > len(members) {
			t.Errorf("%d members of %d bytes", set.count(), len(members))
		}
	})
}

// TestRecent keeps what was used last.
func TestRecent(t *testing.T) {
	t.Parallel()
	r := newRecent[int, string](10)
	for i := range 5 {
		r.put(i, fmt.Sprint(i), 3)
		r.get(0)
	}
	r.put(9, "too large", 11)
	r.put(4, "again", 4)
	r.drop(7)
	var left []string
	for i := range 10 {
		if v, ok := r.get(i); ok {
			left = append(left, v)
		}
	}
	if fmt.Sprint(left) != "[0 3 again]" || r.weight != 10 {
		t.Errorf("%v are left, they weigh %d", left, r.weight)
	}
}
