package conformance_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// An auditor holds the search rows of a database against what a fresh extraction
// from each resource gives.
type auditor struct {
	t        *testing.T
	db       *sql.DB
	data     *store.DB
	secret   searchsql.Secret
	registry *search.Registry
}

// checkRows holds every search row of a database against its resource: all must
// have exactly the columns and ranges that the search parameters in force give
// it. It returns how many there are. base is the URL that the servers were started
// with, if any.
func checkRows(t *testing.T, dsn, base string) int {
	t.Helper()
	a := newAuditor(t, dsn, base)
	keys := a.keys()
	var group errgroup.Group
	group.SetLimit(4)
	wrong := make(chan string, len(keys))
	for _, k := range keys {
		group.Go(func() error {
			difference, err := a.compare(t.Context(), k)
			if difference != "" {
				wrong <- fmt.Sprintf("%s: %s", k, difference)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	close(wrong)
	if n := len(wrong); n > 0 {
		t.Errorf("%d of %d search rows are not what a fresh extraction gives, the first:\n%s", n, len(keys), <-wrong)
	}
	for what, query := range rowInvariants {
		var n int
		if err := a.db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	return len(keys)
}

// rowInvariants are questions to the tables that must have the answer 0.
var rowInvariants = map[string]string{
	"ranges of resources that are not there":         `SELECT count(*) FROM rng g WHERE NOT EXISTS (SELECT FROM res r WHERE r.rid = g.rid AND NOT r.deleted)`,
	"deleted resources that could be found":          `SELECT count(*) FROM res WHERE deleted AND (cardinality(keys) > 0 OR cardinality(refs) > 0 OR coalesce(sorts, s1, strs) IS NOT NULL OR coalesce(t1, t2, t3) IS NOT NULL)`,
	"rows that were never built":                     `SELECT count(*) FROM res WHERE idx_gen <= 0 AND NOT deleted`,
	"rows that an active parameter is not built for": `SELECT count(*) FROM res r JOIN search_param p USING (type) WHERE p.state = 'active' AND r.idx_gen < p.gen AND NOT r.deleted`,
}

func newAuditor(t *testing.T, dsn, base string) *auditor {
	t.Helper()
	a := &auditor{t: t}
	var err error
	if a.db, err = sql.Open("postgres", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.db.Close() })
	if a.data, err = store.Open(t.Context(), store.Config{DSN: dsn, Conns: 4, Unsafe: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.data.Close() })
	var key []byte
	if err := a.db.QueryRow(`SELECT hash_secret FROM installation`).Scan(&key); err != nil {
		t.Fatal(err)
	}
	if a.secret, err = searchsql.NewSecret(key); err != nil {
		t.Fatal(err)
	}
	if a.registry, err = search.NewRegistry(spec.R4(), base, 1, a.custom()); err != nil {
		t.Fatal(err)
	}
	return a
}

// custom reads the search parameters that were added.
func (a *auditor) custom() []search.Custom {
	rows, err := a.db.Query(`SELECT t.name, p.position, p.definition FROM search_param p JOIN res_type t USING (type)
		WHERE state <> 'retired' ORDER BY jsonb_array_length(coalesce(definition -> 'component', '[]')), 1, 2`)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	var all []search.Custom
	for rows.Next() {
		c := search.Custom{Definition: &spec.SearchParameter{}}
		var text []byte
		if err := rows.Scan(&c.Type, &c.Position, &text); err != nil {
			a.t.Fatal(err)
		}
		var d struct {
			URL, Code, Type, Expression string
			Base, Target                []string
			Component                   []spec.Component
		}
		if err := json.Unmarshal(text, &d); err != nil {
			a.t.Fatal(err)
		}
		*c.Definition = spec.SearchParameter{URL: d.URL, Code: d.Code, Type: d.Type, Expression: d.Expression, Base: d.Base, Targets: d.Target, Components: d.Component}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return all
}

// keys returns all resources that are not deleted.
func (a *auditor) keys() []fhir.Key {
	rows, err := a.db.Query(`SELECT t.name, r.id FROM res r JOIN res_type t USING (type) WHERE NOT deleted`)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	var keys []fhir.Key
	for rows.Next() {
		var k fhir.Key
		if err := rows.Scan(&k.Type, &k.ID); err != nil {
			a.t.Fatal(err)
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return keys
}

// compare returns what a row and its resource differ in, or "".
func (a *auditor) compare(ctx context.Context, k fhir.Key) (string, error) {
	v, err := a.data.Read(ctx, k)
	if err != nil || v == nil {
		return "", fmt.Errorf("read %s: %v, %w", k, v, err)
	}
	r, err := fhir.Decode(k.Type, v.Stored)
	if err != nil {
		return "", fmt.Errorf("decode %s: %w", k, err)
	}
	ix, err := a.registry.Index(r.Root(), k.ID)
	if err != nil {
		return "", fmt.Errorf("index %s: %w", k, err)
	}
	row := a.secret.Row(ix, search.WordsOf(r.Root(), false))
	row.Keys = append(row.Keys, v.Keys...)
	slices.Sort(row.Keys)
	row.Keys = slices.Compact(row.Keys) // some may be there twice, which means nothing
	want := textOf(row)
	got, err := a.row(ctx, a.secret.RID(k))
	if err != nil {
		return "", fmt.Errorf("read the row of %s: %w", k, err)
	}
	for i := range want {
		if got[i] != want[i] {
			return fmt.Sprintf("%s is\n%s, want\n%s", rowParts[i], got[i], want[i]), nil
		}
	}
	return "", nil
}

// rowParts name what is compared.
var rowParts = [...]string{"keys", "refs", "times", "s1", "strs", "sorts", "ranges", "words"}

// textOf writes a row to compare it.
func textOf(r searchsql.Row) [len(rowParts)]string {
	var times [6]string
	for i, span := range r.Times {
		if span.Set {
			times[2*i], times[2*i+1] = momentText(span.Lo), momentText(span.Hi)
		}
	}
	slices.SortFunc(r.Ranges, func(a, b searchsql.Range) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	return [...]string{fmt.Sprint(r.Keys), fmt.Sprint(r.Refs), fmt.Sprint(times), r.S1, fmt.Sprintf("%q", r.Strs), fmt.Sprintf("%q", r.Sorts), fmt.Sprint(r.Ranges), fmt.Sprintf("%x", r.Words)}
}

// momentText writes microseconds since 1970 as Postgres does, open ends as they
// are stored.
func momentText(micros float64) string {
	switch {
	case math.IsInf(micros, 1):
		return "20000-01-01T00:00:00"
	case math.IsInf(micros, -1):
		return "4001-01-01T00:00:00 BC"
	}
	return time.UnixMicro(int64(micros)).UTC().Format("2006-01-02T15:04:05.999999")
}

// row reads what the database has.
func (a *auditor) row(ctx context.Context, rid int64) (text [len(rowParts)]string, err error) {
	const query = `SELECT ARRAY(SELECT DISTINCT k FROM unnest(r.keys) k ORDER BY k), r.refs,
		ARRAY(SELECT coalesce(rtrim(rtrim(to_char(x AT TIME ZONE 'UTC', CASE WHEN x < '0001-01-01' THEN 'FMYYYY-MM-DD"T"HH24:MI:SS BC' ELSE 'FMYYYY-MM-DD"T"HH24:MI:SS.US' END), '0'), '.'), '')
			FROM unnest(ARRAY[t1, t1h, t2, t2h, t3, t3h]) WITH ORDINALITY o (x, n) ORDER BY n),
		coalesce(r.s1, ''), coalesce(r.strs, ''), coalesce(r.sorts, ''), v.words,
		ARRAY(SELECT grp FROM rng g WHERE g.rid = r.rid AND g.ver = r.ver ORDER BY grp, lo, hi),
		ARRAY(SELECT lo FROM rng g WHERE g.rid = r.rid AND g.ver = r.ver ORDER BY grp, lo, hi),
		ARRAY(SELECT hi FROM rng g WHERE g.rid = r.rid AND g.ver = r.ver ORDER BY grp, lo, hi)
		FROM res r JOIN ver v USING (rid, ver) WHERE r.rid = $1`
	var r searchsql.Row
	var times []string
	var groups []int64
	var lows, highs []float64
	err = a.db.QueryRowContext(ctx, query, rid).Scan((*pq.Int64Array)(&r.Keys), (*pq.Int64Array)(&r.Refs), (*pq.StringArray)(&times), &r.S1, &r.Strs, &r.Sorts, &r.Words,
		(*pq.Int64Array)(&groups), (*pq.Float64Array)(&lows), (*pq.Float64Array)(&highs))
	for i := range groups {
		r.Ranges = append(r.Ranges, searchsql.Range{Group: groups[i], Lo: lows[i], Hi: highs[i]})
	}
	text = textOf(r)
	text[2] = fmt.Sprint(times)
	return text, err
}
