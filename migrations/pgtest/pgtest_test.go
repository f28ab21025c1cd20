package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

func TestNewIsMigratedAndApart(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := New(t)
			version, err := migrations.Version(t.Context(), db.DB)
			if err != nil || version != migrations.Latest() {
				t.Fatalf("Version() = %d, %v; want %d", version, err, migrations.Latest())
			}
			if _, err := db.Exec("CREATE TABLE mine (n int)"); err != nil {
				t.Fatalf("it is the database of another test: %v", err)
			}
		})
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("use", func(t *testing.T) {
		if err := Empty(t).QueryRow("SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var left int
	err := sharedServer(t).admin.QueryRow("SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&left)
	if err != nil || left != 0 {
		t.Fatalf("database %q is still there (%v)", name, err)
	}
}

// TestSharedClusterHeals damages a shared cluster in every way that earlier runs can leave it in.
func TestSharedClusterHeals(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(Dir(t), "shared")
	t.Cleanup(func() { stopShared(t, dir) })
	damages := []struct {
		name string
		do   func(t *testing.T)
	}{
		{"absent", func(*testing.T) {}},
		{"running", func(*testing.T) {}},
		{"stopped", func(t *testing.T) { stopShared(t, dir) }},
		{"killed", func(t *testing.T) { killShared(t, dir) }},
		{"without its control file", func(t *testing.T) {
			stopShared(t, dir)
			if err := os.Remove(filepath.Join(dir, "cluster/pg/global/pg_control")); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, damage := range damages {
		damage.do(t)
		dsn, err := startShared(t.Context(), dir)
		if err != nil {
			t.Fatalf("%s: %v", damage.name, err)
		}
		s, err := connect(t.Context(), dsn, true)
		if err != nil {
			t.Fatalf("%s: %v", damage.name, err)
		}
		if err := s.admin.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepDropsWhatDeadProcessesLeft(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf("%s%d_left", testPrefix, child.Process.Pid)
	live := fmt.Sprintf("%s%d_left", testPrefix, os.Getpid())
	t.Cleanup(func() { s.must(t, "DROP DATABASE IF EXISTS "+live) })
	s.must(t, "CREATE DATABASE "+dead+" TEMPLATE template0 STRATEGY file_copy")
	s.must(t, "CREATE DATABASE "+live+" TEMPLATE template0 STRATEGY file_copy")
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	err := s.admin.QueryRow("SELECT count(*) FILTER (WHERE datname = $1) + 10 * count(*) FILTER (WHERE datname = $2) FROM pg_database",
		dead, live).Scan(&left)
	if err != nil || left != 10 {
		t.Fatalf("got %d, %v; want the dead process's database dropped and the live one's kept", left, err)
	}
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dsn, want string }{
		{"host=/run user=u dbname=x", "host=/run user=u dbname=x dbname=y binary_parameters=yes"},
		{"postgres://u:p@h:1/x?sslmode=disable", "postgres://u:p@h:1/y?binary_parameters=yes&sslmode=disable"},
	} {
		if got, err := withDatabase(c.dsn, "y"); err != nil || got != c.want {
			t.Errorf("withDatabase(%q) = %q, %v; want %q", c.dsn, got, err, c.want)
		}
	}
	if _, err := withDatabase("postgres://%zz", "y"); err == nil {
		t.Error("a broken address was taken")
	}
}

func stopShared(t *testing.T, dir string) {
	t.Helper()
	if err := takeShared(t, dir).Stop(); err != nil {
		t.Fatal(err)
	}
}

func killShared(t *testing.T, dir string) {
	t.Helper()
	s := takeShared(t, dir)
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func takeShared(t *testing.T, dir string) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(context.Background(), pgserver.Config{Dir: filepath.Join(dir, "cluster")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
