package main

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestDoubt kills the database's end of a write that it has been sent: the client is told that
// nobody knows whether it was carried out, and the server counts it.
func TestDoubt(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Cluster(t)
	if err := migrate(t.Context(), cluster.DSN()); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("postgres", cluster.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	at := serveOver(t, cluster.DSN())
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	tx, err := pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`LOCK TABLE ver IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		_, _, body := exchange(t, client, "PUT", "http://"+at.FHIR+"/fhir/Patient/p", "")
		answered <- body
	}()
	if err := syscall.Kill(writer(t, pool), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if body := <-answered; !strings.Contains(body, "outcome-unknown") {
		t.Errorf("the client is told %s", body)
	}
	if _, _, metrics := exchange(t, client, "GET", "http://"+at.Admin+"/metrics", ""); !strings.Contains(metrics, "\nopenconsult_writes_unknown_total 1\n") {
		t.Error("it is not counted")
	}
}

// writer returns the process of the database that waits to write a version.
func writer(t *testing.T, pool *sql.DB) (pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for pid == 0 {
		if err := pool.QueryRowContext(ctx, `SELECT coalesce(max(pid), 0) FROM pg_locks WHERE relation = 'ver'::regclass AND NOT granted`).Scan(&pid); err != nil {
			t.Fatal(err)
		}
	}
	return pid
}
