package pgserver_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestKilledPostmasterIsReplaced(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	for i := range 2 {
		write(t, server, fmt.Sprint(i))
		killed := server.PID()
		kill(t, killed)
		await(t, func() bool { return server.Restarts() == int64(i+1) })
		if server.PID() == killed {
			t.Errorf("process %d was killed and is still named", killed)
		}
	}
	expectRows(t, server, "0 1")
}

// TestBusySessionOutlivesPostmaster leaves a session in a loop that never looks whether its postmaster is there.
func TestBusySessionOutlivesPostmaster(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	write(t, server, "kept")
	conn, err := open(t, server).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var session int
	if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&session); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.Background(), "DO 'BEGIN LOOP END LOOP; END'")
		ended <- err
	}()
	watcher := open(t, server)
	await(t, func() bool {
		var busy bool
		err := watcher.QueryRow("SELECT query LIKE 'DO%' FROM pg_stat_activity WHERE pid = $1", session).Scan(&busy)
		return err == nil && busy
	})
	kill(t, server.PID())
	await(t, func() bool { return server.Restarts() == 1 })
	if err := <-ended; err == nil {
		t.Error("the endless statement ended well")
	}
	expectRows(t, server, "kept")
}

func TestStopWhilePostmasterIsDead(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	kill(t, server.PID())
	stop(t, server)
	start(t, server.Dir())
}

// TestStopWhileRecovering stops PostgreSQL when one of its sessions was killed, and it begins to
// recover: asked to shut down before it has read its log it would never end.
func TestStopWhileRecovering(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	write(t, server, "kept")
	db := open(t, server)
	await(t, func() bool { return holdRecovery(t, server.PID(), db) })
	stop(t, server)
	expectRows(t, start(t, server.Dir()), "kept")
}

// holdRecovery kills a session of a postmaster, and keeps the process from running that
// reads the log then. It reports whether that was met before it was done.
func holdRecovery(t *testing.T, postmaster int, db *sql.DB) bool {
	t.Helper()
	await(t, func() bool { return db.PingContext(t.Context()) == nil })
	kill(t, session(t, db))
	for began := time.Now(); time.Since(began) < time.Second; {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
		if err != nil {
			t.Skip("which processes PostgreSQL has cannot be read here: ", err)
		}
		for _, child := range strings.Fields(string(list)) {
			// It may be gone already.
			name, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if pid, err := strconv.Atoi(child); err == nil && strings.Contains(string(name), "startup") {
				return syscall.Kill(pid, syscall.SIGSTOP) == nil
			}
		}
	}
	return false
}

// session returns the process of a session of its own, which is open until the test ends.
func session(t *testing.T, db *sql.DB) (pid int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestLeftoverIsAdopted(t *testing.T) {
	t.Parallel()
	first := pgtest.Cluster(t)
	write(t, first, "kept")
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	second := start(t, first.Dir())
	if second.PID() != first.PID() {
		t.Errorf("postgres is process %d, want the adopted %d", second.PID(), first.PID())
	}
	expectRows(t, second, "kept")

	kill(t, second.PID())
	await(t, func() bool { return second.Restarts() == 1 })
	expectRows(t, second, "kept")
}

func TestLeftoverIsStopped(t *testing.T) {
	t.Parallel()
	first := pgtest.Cluster(t)
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	stop(t, start(t, first.Dir()))
	if err := open(t, first).Ping(); err == nil {
		t.Error("postgres answers after Stop")
	}
}

// TestEverythingKilled is kill -9 of the server and of all of PostgreSQL.
func TestEverythingKilled(t *testing.T) {
	t.Parallel()
	first := pgtest.Cluster(t)
	write(t, first, "kept")
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(children(t, first.PID()), first.PID()) {
		kill(t, pid)
	}
	second := start(t, first.Dir())
	if second.PID() == first.PID() {
		t.Error("a dead postgres was adopted")
	}
	expectRows(t, second, "kept")
}

// TestStaleLock gives the process id of an innocent process to the lock files of a dead postgres.
func TestStaleLock(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	stop(t, server)
	data := filepath.Join(server.Dir(), "pg")
	innocent := exec.Command("sleep", "300")
	innocent.SysProcAttr = &syscall.SysProcAttr{Credential: credentialOf(t, data)}
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- innocent.Wait() }()
	for _, path := range []string{"pg/postmaster.pid", "run/.s.PGSQL.5432.lock"} {
		text := fmt.Sprintf("%d\n%s\n0\n5432\n%s\n*\n0 0\nready\n", innocent.Process.Pid, data, filepath.Join(server.Dir(), "run"))
		if err := os.WriteFile(filepath.Join(server.Dir(), path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, start(t, server.Dir()))
	select {
	case err := <-ended:
		t.Errorf("the innocent process was killed: %v", err)
	default:
	}
	if err := innocent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}
