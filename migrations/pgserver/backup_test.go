package pgserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	write(t, server, "before")
	// A backup belongs to whom it was made for: nobody else need enter its directory.
	backup := filepath.Join(t.TempDir(), "backup")
	if err := server.BaseBackup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	write(t, server, "later")

	restored := filepath.Join(pgtest.Dir(t), "restored")
	if err := pgserver.Restore(t.Context(), backup, restored); err != nil {
		t.Fatal(err)
	}
	copied := start(t, restored)
	expectRows(t, copied, "before")
	expectRows(t, server, "before later")

	if err := server.BaseBackup(t.Context(), backup); err == nil {
		t.Error("a backup was written over another")
	}
	expectRestoreRefusal(t, backup, restored, "not empty")
	expectRestoreRefusal(t, t.TempDir(), filepath.Join(pgtest.Dir(t), "new"), "not a complete backup")

	damage(t, filepath.Join(backup, "global", "pg_control"))
	expectRestoreRefusal(t, backup, filepath.Join(pgtest.Dir(t), "new"), "damaged")
}

// TestBackupByAnotherProcess backs up a directory that this process does not serve, once running and once stopped.
func TestBackupByAnotherProcess(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	write(t, server, "kept")
	to := t.TempDir()
	if err := pgserver.Backup(t.Context(), server.Dir(), filepath.Join(to, "running")); err != nil {
		t.Fatal(err)
	}
	expectRows(t, server, "kept")
	stop(t, server)
	if err := pgserver.Backup(t.Context(), server.Dir(), filepath.Join(to, "stopped")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, server).Ping(); err == nil {
		t.Error("postgres runs after the backup of a stopped cluster")
	}
	for _, name := range []string{"running", "stopped"} {
		dir := filepath.Join(pgtest.Dir(t), name)
		if err := pgserver.Restore(t.Context(), filepath.Join(to, name), dir); err != nil {
			t.Fatal(err)
		}
		expectRows(t, start(t, dir), "kept")
	}
	err := pgserver.Backup(t.Context(), t.TempDir(), filepath.Join(to, "none"))
	if err == nil || !strings.Contains(err.Error(), "no private database") {
		t.Errorf("Backup() of an empty directory = %v", err)
	}
}

func expectRestoreRefusal(t *testing.T, from, dir, want string) {
	t.Helper()
	err := pgserver.Restore(t.Context(), from, dir)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Restore() = %v, want a refusal with %q", err, want)
	}
}

func damage(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	replace(t, path, string(text))
}
