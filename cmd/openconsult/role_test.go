package main

import (
	"database/sql"
	"log/slog"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestServerIsNoSuperuser opens a private database as a server does, twice.
func TestServerIsNoSuperuser(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	for range 2 {
		db, err := openDatabase(t.Context(), &settings{DataDir: dir}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		pool, err := sql.Open("postgres", db.dsn)
		if err != nil {
			t.Fatal(err)
		}
		var user string
		var super, stats bool
		const query = `SELECT session_user, rolsuper, pg_has_role(session_user, 'pg_read_all_stats', 'usage') FROM pg_roles WHERE rolname = session_user`
		if err := pool.QueryRow(query).Scan(&user, &super, &stats); err != nil || user != serverRole || super || !stats {
			t.Errorf("works as %s, superuser %t, sees activity %t (%v)", user, super, stats, err)
		}
		if _, err := pool.Exec("INSERT INTO audit (interaction, request, outcome) VALUES ('read', '', 0)"); err != nil {
			t.Error(err)
		}
		for _, statement := range []string{"SET ROLE openconsult", "SET SESSION AUTHORIZATION openconsult", "UPDATE audit SET outcome = 1", "ALTER TABLE audit DISABLE TRIGGER ALL"} {
			if _, err := pool.Exec(statement); err == nil {
				t.Errorf("%s was done", statement)
			}
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		if err := db.stop(); err != nil {
			t.Error(err)
		}
	}
}
