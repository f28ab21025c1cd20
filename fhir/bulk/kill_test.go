package bulk_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// workerDSN names the database that a process of this test works on.
const workerDSN = "BULK_TEST_DSN"

// turnOf counts how often a job was taken up: who is killed has taken it up, even when
// the one before came further than it was waited for.
const turnOf = `SELECT turn FROM bulk_job WHERE id = $1`

// killed is the configuration of those that are killed: with many small steps.
func killed() bulk.Config { return bulk.Config{Part: 5, Lease: 700 * time.Millisecond} }

// TestWorkerProcess is no test but a server that works on jobs until it is killed.
func TestWorkerProcess(t *testing.T) {
	dsn := os.Getenv(workerDSN)
	if dsn == "" {
		t.Skip("run by others")
	}
	db, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	c := killed()
	w := &world{TB: t}
	c.Store, c.Engine, c.DSN, c.Grants = db, interaction.New(interaction.Config{Store: db}), dsn, w.grantOf
	c.Log = slog.New(slog.DiscardHandler)
	e, err := bulk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("working")
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// launch starts a process that works on the jobs of w.
func (w *world) launch() *exec.Cmd {
	w.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWorkerProcess$", "-test.v")
	cmd.Env = append(os.Environ(), workerDSN+"="+w.dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "working") {
	}
	go func() {
		for lines.Scan() {
		}
	}()
	w.Cleanup(func() { end(cmd) })
	return cmd
}

// end kills a process as kill -9 does.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()
}

// reach waits until a query about a job counts at least so much.
func (w *world) reach(query, id string, least int) {
	w.Helper()
	late := time.After(patience)
	for {
		var n sql.NullInt64
		if err := w.database.QueryRow(query, id).Scan(&n); err != nil {
			w.Fatal(err)
		}
		if n.Int64 >= int64(least) {
			return
		}
		select {
		case <-late:
			w.Fatalf("the job is at %d and does not come to %d", n.Int64, least)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestExportKilled kills whoever works on an export five times, and finds what an
// undisturbed export has.
func TestExportKilled(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.New(t), killed())
	var body strings.Builder
	for n := range 2400 {
		fmt.Fprintf(&body, `{"resourceType":"%s","id":"r%d"}`+"\n", []string{"Patient", "Organization", "Location"}[n%3], n)
	}
	stop := w.run(w.bulk)
	w.await(w.trusted(), w.load(w.trusted(), body.String()))
	stop()
	ask := bulk.Export{}
	first, second := w.export(w.trusted(), ask), w.export(w.trusted(), ask)
	if _, err := w.database.Exec(`UPDATE bulk_job SET asked = (SELECT asked FROM bulk_job WHERE id = $1), state = CASE id WHEN $1 THEN 'waiting' ELSE 'receiving' END, lease = CASE id WHEN $1 THEN '-infinity' ELSE 'infinity' END::timestamptz WHERE kind = 'export'`, first); err != nil {
		t.Fatal(err)
	}
	for kill := range 5 {
		cmd := w.launch()
		w.reach(turnOf, first, kill+1)
		w.reach(`SELECT count(*) FROM bulk_file WHERE job = $1`, first, 20*(kill+1))
		end(cmd)
	}
	var turns int
	if err := w.database.QueryRow(`SELECT turn FROM bulk_job WHERE id = $1 AND state = 'waiting'`, first).Scan(&turns); err != nil || turns != 5 {
		t.Errorf("the export was not broken off five times: %d, %v", turns, err)
	}
	w.launch()
	disturbed := w.content(w.trusted(), w.await(w.trusted(), first))
	if _, err := w.database.Exec(`UPDATE bulk_job SET state = 'waiting', lease = '-infinity' WHERE id = $1`, second); err != nil {
		t.Fatal(err)
	}
	calm := w.content(w.trusted(), w.await(w.trusted(), second))
	if len(disturbed.versions) != 2400 || disturbed.sum != calm.sum {
		t.Errorf("%d resources in %v, undisturbed %d in %v", len(disturbed.versions), disturbed.names, len(calm.versions), calm.names)
	}
}

// TestImportKilled kills whoever works on an import five times. Each line is stored
// once.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	for n := range 3000 {
		switch {
		case n%100 == 99:
			fmt.Fprintf(&body, `{"resourceType":"Patient","id":"x%d","colour":"red"}`+"\n", n)
		case n%3 == 0:
			fmt.Fprintf(&body, `{"resourceType":"Observation","status":"final","code":{"text":"%d"}}`+"\n", n)
		default:
			fmt.Fprintf(&body, `{"resourceType":"Patient","id":"p%d","multipleBirthInteger":%d}`+"\n", n%500, n)
		}
	}
	calm := open(t, pgtest.New(t), killed())
	calm.run(calm.bulk)
	quiet := calm.await(calm.trusted(), calm.load(calm.trusted(), body.String()))
	w := open(t, pgtest.New(t), killed())
	id := w.load(w.trusted(), body.String())
	for kill := range 5 {
		cmd := w.launch()
		w.reach(turnOf, id, kill+1)
		w.reach(`SELECT (place->>'Line')::bigint FROM bulk_job WHERE id = $1`, id, 400*(kill+1))
		end(cmd)
	}
	w.launch()
	j := w.await(w.trusted(), id)
	var turns int
	if err := w.database.QueryRow(turnOf, id).Scan(&turns); err != nil || turns < 6 {
		t.Errorf("the import was not broken off five times: %d, %v", turns, err)
	}
	if fmt.Sprint(j.Inputs, j.Files) != fmt.Sprint(quiet.Inputs, quiet.Files) {
		t.Errorf("%v %v, undisturbed %v %v", j.Inputs, j.Files, quiet.Inputs, quiet.Files)
	}
	for _, f := range j.Files {
		if w.fetch(w.trusted(), id, f.Name) != calm.fetch(calm.trusted(), quiet.ID, f.Name) {
			t.Errorf("%s differs", f.Name)
		}
	}
	if a, b := w.state(), calm.state(); a != b {
		t.Errorf("there is %s, undisturbed %s", a, b)
	}
}

// state returns how many resources there are by type, and of what versions.
func (w *world) state() (state string) {
	w.Helper()
	const query = `SELECT string_agg(s, ' ' ORDER BY s) FROM (SELECT t.name || ' ' || v.ver || ': ' || count(*) AS s FROM ver v JOIN res_type t USING (type) GROUP BY t.name, v.ver) s`
	if err := w.database.QueryRow(query).Scan(&state); err != nil {
		w.Fatal(err)
	}
	return state
}

// TestTwoServers has two servers share the jobs.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{Node: "one", Workers: 1})
	w.run(w.server(bulk.Config{Node: "two", Workers: 1}))
	w.put(`{"resourceType":"Patient","id":"a"}`)
	var ids []string
	for range 20 {
		ids = append(ids, w.export(w.trusted(), bulk.Export{Types: []string{"Patient"}}))
	}
	for _, id := range ids {
		if c := w.content(w.trusted(), w.await(w.trusted(), id)); c.String() != "Patient/a" {
			t.Error(c)
		}
	}
	var again int
	if err := w.database.QueryRow(`SELECT count(*) FROM bulk_job WHERE turn <> 1`).Scan(&again); err != nil || again != 0 {
		t.Errorf("%d jobs were taken up more than once: %v", again, err)
	}
}
