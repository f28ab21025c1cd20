package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
)

// seeing returns a grant for all types that sees what has one of parties and none
// of denied, and of Tasks what meets where.
func seeing(parties, denied []access.Key, where ...access.Argument) access.Grant {
	scopes := []access.Scope{{Context: access.ForUser, Type: "*", Allows: access.MayRead | access.MaySearch}}
	if len(where) > 0 {
		scopes = []access.Scope{{Context: access.ForUser, Type: "Task", Allows: access.MayRead | access.MaySearch, Where: where}}
	}
	return access.NewGrant(access.Terms{Client: "c", Scopes: scopes, Standings: map[access.Context]access.Standing{access.ForUser: {Parties: parties, Denied: denied}}})
}

// staffGrant returns the grant of somebody with n party keys, each common, who is
// not cleared for anything.
func staffGrant(n int) access.Grant {
	parties := []access.Key{{Kind: access.Open}}
	for i := range n - 1 {
		parties = append(parties, access.Key{Kind: access.Party, Of: fmt.Sprintf("Organization/or%d", i)})
	}
	return seeing(parties, []access.Key{{Kind: access.Label, Of: "R"}, {Kind: access.Label, Of: "V"}, {Kind: access.Label, Of: "PSY"}})
}

// patientGrant returns the grant of a patient.
func patientGrant(n int) access.Grant {
	return seeing([]access.Key{{Kind: access.Open}, {Kind: access.Patient, Of: fmt.Sprintf("Patient/pa%d", n)}}, []access.Key{{Kind: access.Label, Of: "NOPAT"}})
}

// keysOfMany are the access keys of the n-th resource of many: those of its
// patient, and one of eight organisations; a tenth is restricted.
func keysOfMany(n int) []access.Key {
	patient := fmt.Sprintf("Patient/pa%d", n/2)
	keys := []access.Key{{Kind: access.Patient, Of: patient}, {Kind: access.Record, Of: patient}, {Kind: access.Party, Of: fmt.Sprintf("Organization/or%d", n/2%8)}}
	if n%10 == 0 {
		keys = append(keys, access.Key{Kind: access.Label, Of: "R"}, access.Key{Kind: access.Label, Of: access.AnyLabel})
	}
	return keys
}

// TestSightPlans explains searches of a patient, whose key leads to the rows, and
// of staff, whose keys are common and leave the path as it is.
func TestSightPlans(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 12_000)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	index := regexp.MustCompile(`(?:Index Scan|Index Only Scan|Bitmap Index Scan|Index Scan Backward|Index Only Scan Backward)(?: Backward)?(?: using| on) (\w+)`)
	patient, staff, both := patientGrant(7), staffGrant(9), access.NewGrant(access.Terms{
		Client:    "c",
		Scopes:    []access.Scope{{Context: access.ForUser, Type: "*", Allows: access.MaySearch}, {Context: access.ForPatient, Type: "*", Allows: access.MaySearch}},
		Standings: map[access.Context]access.Standing{access.ForUser: {Parties: []access.Key{{Kind: access.Patient, Of: "Patient/pa7"}}}, access.ForPatient: {Parties: []access.Key{{Kind: access.Patient, Of: "Patient/pa8"}}, Denied: []access.Key{{Kind: access.Label, Of: "R"}}}},
	})
	for _, c := range []struct {
		grant access.Grant
		text  string
		want  string
	}{
		{patient, "Task?_count=10", "res_task_keys_idx ver_pkey"},
		{patient, "Task?status=requested", "res_task_keys_idx ver_pkey"},
		{patient, "Task?status=requested&_sort=-_lastUpdated", "res_task_keys_idx ver_pkey"},
		{patient, "Task?_sort=-authored-on", "res_task_keys_idx ver_pkey"},
		{patient, "Task?status:not=failed&_sort=-authored-on", "res_task_keys_idx ver_pkey"},
		{patient, "Task?_id=ta7", "res_task_pkey ver_pkey"},
		{both, "Task?_sort=-_lastUpdated", "res_task_keys_idx ver_pkey"},
		{staff, "Task?patient=Patient/pa7", "res_task_keys_idx ver_pkey"},
		{staff, "Task?status=requested&_sort=-_lastUpdated", "res_task_updated_rid_idx ver_pkey"},
		{staff, "Task?status=requested&_sort=-authored-on", "res_task_t1 ver_pkey"},
		{staff, "Task?status=requested", "res_task_pkey ver_pkey"},
		{staff, "Patient?_sort=family", "res_patient_s1 ver_pkey"},
	} {
		q := ask(c.text)
		s := db.searching(db.sql, db.Registry(), c.grant)
		s.explanation = &Explanation{}
		if _, err := s.search(t.Context(), q, ""); err != nil {
			t.Fatal(c.text, err)
		}
		step := s.explanation.Steps[0]
		var used []string
		for _, u := range index.FindAllStringSubmatch(step.Plan, -1) {
			used = append(used, u[1])
		}
		slices.Sort(used)
		if got := strings.Join(slices.Compact(used), " "); got != c.want || strings.Count(step.Plan, "Seq Scan on res_") > strings.Count(step.Plan, "One-Time Filter") {
			t.Errorf("%s (%s) uses %s, want %s:\n%s", c.text, step.Why, got, c.want, step.Plan)
		}
		if len(s.explanation.Steps) != 1 {
			t.Errorf("%s took %d statements", c.text, len(s.explanation.Steps))
		}
	}
}

// TestSightHistoryPlans explains histories that are seen in part: versions come
// out of their index in order, and everything else is looked up by key.
func TestSightHistoryPlans(t *testing.T) {
	t.Parallel()
	db, _ := many(t, 12_000)
	within := seeing([]access.Key{{Kind: access.Open}}, nil, access.Argument{Param: "status", Value: "requested"})
	later := cursor{snapshot: "100:100:", safe: time.Now(), updated: time.Now(), seq: 9}
	for name, c := range map[string]struct {
		grant access.Grant
		h     History
		at    cursor
		sorts bool
	}{
		"instance":              {grant: staffGrant(9), h: History{Type: "Task", ID: "ta7"}, sorts: true},
		"instance within scope": {grant: within, h: History{Type: "Task", ID: "ta7"}, sorts: true},
		"type":                  {grant: staffGrant(9), h: History{Type: "Task"}},
		"next page of type":     {grant: staffGrant(9), h: History{Type: "Task"}, at: later},
		"type within scope":     {grant: within, h: History{Type: "Task"}},
		"system":                {grant: staffGrant(9)},
		"system since a time":   {grant: staffGrant(9), h: History{Since: time.Now().Add(-time.Second)}},
	} {
		c.h.Count = 20
		p := db.past(c.grant, c.h)
		p.at = c.at
		q := p.query(p.size())
		var lines []string
		rows, err := db.sql.Query("EXPLAIN "+q.sql.String(), q.args...)
		if err != nil {
			t.Fatal(name, err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			// A partition that is nearly empty is read as a whole.
			if !regexp.MustCompile(`Seq Scan on res_\w+ r_\d+  \(cost=0.00..\d\.`).MatchString(line) {
				lines = append(lines, line)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") && !c.sorts {
			t.Errorf("%s reads too much: %s", name, plan)
		}
	}
}
