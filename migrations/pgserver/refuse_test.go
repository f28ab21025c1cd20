package pgserver_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	expectRefusal(t, pgserver.Config{Dir: server.Dir()}, "in use by another server (process "+strconv.Itoa(os.Getpid())+")")
	if err := open(t, server).Ping(); err != nil {
		t.Errorf("the first server was disturbed: %v", err)
	}
}

func TestRefusedDirectories(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	stop(t, server)
	data := filepath.Join(server.Dir(), "pg")
	major, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}

	local := filepath.Join(server.Dir(), "postgresql.local.conf")
	replace(t, local, "no_such_setting = 1\n")
	expectRefusal(t, pgserver.Config{Dir: server.Dir()}, `unrecognized configuration parameter "no_such_setting"`)
	replace(t, local, "")

	replace(t, filepath.Join(data, "PG_VERSION"), "9\n")
	expectRefusal(t, pgserver.Config{Dir: server.Dir()}, "made by PostgreSQL 9, but PostgreSQL "+strings.TrimSpace(string(major)))
	replace(t, filepath.Join(data, "PG_VERSION"), string(major))

	stop(t, start(t, server.Dir()))

	if err := os.Remove(filepath.Join(data, "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, pgserver.Config{Dir: server.Dir()}, "holds no PostgreSQL data")
	expectRefusal(t, pgserver.Config{}, "no directory given")
	expectRefusal(t, pgserver.Config{Dir: pgtest.Dir(t), BinDir: t.TempDir()}, "apt-get install postgresql")
}

func TestUnreachableDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	hidden := filepath.Join(pgtest.Dir(t), "hidden")
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, pgserver.Config{Dir: filepath.Join(hidden, "data")}, "may not enter "+hidden)
}

// TestAsOrdinaryUser runs itself again as nobody if it is root.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		runAsNobody(t, "^TestAsOrdinaryUser$")
		return
	}
	server := pgtest.Cluster(t)
	write(t, server, "kept")
	kill(t, server.PID())
	await(t, func() bool { return server.Restarts() == 1 })
	if err := server.Detach(); err != nil {
		t.Fatal(err)
	}
	expectRows(t, start(t, server.Dir()), "kept")
	// Proof for the parent that this ran.
	fmt.Println("ordinary user: done")
}

// TestOtherUsersDirectory is the directory of a cluster that root made, opened by nobody.
func TestOtherUsersDirectory(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("OPENCONSULT_TEST_FOREIGN"); dir != "" {
		expectRefusal(t, pgserver.Config{Dir: dir}, "belongs to user")
		fmt.Println("ordinary user: done")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	server := pgtest.Cluster(t)
	runAsNobody(t, "^TestOtherUsersDirectory$", "OPENCONSULT_TEST_FOREIGN="+server.Dir())
}

func runAsNobody(t *testing.T, run string, env ...string) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("no user nobody: %v", err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	// The test binary lies where nobody may not go.
	dir := pgtest.Dir(t)
	program := filepath.Join(dir, "test")
	copyProgram(t, program)
	cmd := exec.Command(program, "-test.run="+run, "-test.v")
	cmd.Dir = dir
	temporary := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(temporary, 0o700), os.Chown(temporary, int(uid), int(uid))); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temporary}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ordinary user: done") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}
