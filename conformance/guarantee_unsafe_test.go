package conformance_test

import (
	"database/sql"
	"os/exec"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestGuaranteeUnsafeDatabase has the server not start on a database that may lose what it
// has acknowledged, whichever setting it is, and name that setting. With all of them on it
// starts.
func TestGuaranteeUnsafeDatabase(t *testing.T) {
	t.Parallel()
	program := build(t)
	server := pgtest.Cluster(t)
	db, err := sql.Open("postgres", server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		change(t, db, "ALTER SYSTEM SET "+setting+" = off", setting, "off")
		out, err := exec.CommandContext(t.Context(), program, "serve", "--auth=none", "--addr=127.0.0.1:0", "--dsn="+server.DSN()).CombinedOutput()
		if err == nil || !strings.Contains(string(out), setting+"=off") || !strings.Contains(string(out), "--unsafe") {
			t.Errorf("with %s=off: %v\n%s", setting, err, out)
		}
		change(t, db, "ALTER SYSTEM RESET "+setting, setting, "on")
	}
	newCaller(t, launch(t, program, "--dsn="+server.DSN()).base).send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
}

// change changes a setting of a whole database server and waits until it is in force.
func change(t *testing.T, db *sql.DB, statement, setting, value string) {
	t.Helper()
	for _, s := range []string{statement, "SELECT pg_reload_conf()"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	await(t, setting+" to be "+value, func() bool {
		var is string
		// A new session has what is in force.
		db.SetMaxIdleConns(0)
		return db.QueryRow("SELECT current_setting($1)", setting).Scan(&is) == nil && is == value
	})
}
