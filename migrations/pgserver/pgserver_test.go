package pgserver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestClusterIsPrivateAndDurable(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	db := open(t, server)
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on", "wal_level": "replica",
		"server_encoding": "UTF8", "listen_addresses": "", "unix_socket_permissions": "0700", "jit": "off", "shared_buffers": "32MB",
		"log_min_error_statement": "panic", "application_name": "openconsult",
	} {
		var got string
		if err := db.QueryRow("SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", setting, got, err, want)
		}
	}
	for _, name := range []string{"run", "pg"} {
		info, err := os.Stat(filepath.Join(server.Dir(), name))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want mode 0700", name, info.Mode(), err)
		}
	}
	group, err := syscall.Getpgid(server.PID())
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("postgres is in process group %d (%v): Ctrl-C would reach it", group, err)
	}
}

func TestRestartKeepsRowsAndSettings(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	write(t, server, "kept")
	stop(t, server)
	select {
	case <-server.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := server.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	local := filepath.Join(server.Dir(), "postgresql.local.conf")
	if err := os.WriteFile(local, []byte("work_mem = '7MB'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := start(t, server.Dir())
	expectRows(t, again, "kept")
	var memory string
	if err := open(t, again).QueryRow("SHOW work_mem").Scan(&memory); err != nil || memory != "7MB" {
		t.Errorf("work_mem = %q, %v; want the operator's 7MB", memory, err)
	}
	if again.DSN() != server.DSN() {
		t.Errorf("DSN changed from %s to %s", server.DSN(), again.DSN())
	}
}

// TestLongPath uses a directory whose path is no good for a socket, and starts a second time under another TMPDIR while postgres
// listens in the old one.
func TestLongPath(t *testing.T) {
	temporary := pgtest.Dir(t)
	t.Setenv("TMPDIR", temporary)
	dir := filepath.Join(pgtest.Dir(t), strings.Repeat("long,", 20), "it's")
	first := start(t, dir)
	write(t, first, "kept")
	sockets, err := filepath.Glob(temporary + "/*/.s.PGSQL.5432")
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets %v, %v; want one in the directory of temporary files", sockets, err)
	}
	if info, err := os.Stat(filepath.Dir(sockets[0])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory: %v, %v; want mode 0700", info, err)
	}
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}

	t.Setenv("TMPDIR", pgtest.Dir(t))
	second := start(t, dir)
	if second.DSN() != first.DSN() || second.PID() != first.PID() {
		t.Errorf("adopted %s (process %d), want %s (process %d)", second.DSN(), second.PID(), first.DSN(), first.PID())
	}
	expectRows(t, second, "kept")
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := pgtest.Dir(t)
	if _, err := pgserver.Start(ctx, pgserver.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start() = %v with a cancelled context", err)
	}
	start(t, dir)
}
