package pgserver_test

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgserver"
)

func start(t *testing.T, dir string) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Settings: map[string]string{"shared_buffers": "32MB"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

func stop(t *testing.T, server *pgserver.Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func expectRefusal(t *testing.T, cfg pgserver.Config, want string) {
	t.Helper()
	server, err := pgserver.Start(t.Context(), cfg)
	if err == nil {
		t.Fatalf("started (%v), want a refusal with %q", server.Stop(), want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("refused with %q, want %q in it", err, want)
	}
}

func open(t *testing.T, server *pgserver.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // complains about connections to a postgres that was killed
	return db
}

func write(t *testing.T, server *pgserver.Server, row string) {
	t.Helper()
	db := open(t, server)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS note (text text)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO note VALUES ($1)", row); err != nil {
		t.Fatal(err)
	}
}

func expectRows(t *testing.T, server *pgserver.Server, want string) {
	t.Helper()
	var got string
	err := open(t, server).QueryRow("SELECT string_agg(text, ' ' ORDER BY text) FROM note").Scan(&got)
	if err != nil || got != want {
		t.Errorf("rows are %q, %v; want %q", got, err, want)
	}
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	// A session ends by itself when another one or the postmaster was killed before it.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

func children(t *testing.T, pid int) []int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

func credentialOf(t *testing.T, path string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited 30 s in vain")
		}
	}
}
