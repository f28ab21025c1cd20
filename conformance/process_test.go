package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// patience bounds the wait for anything that a process under test should do.
const patience = time.Minute

// build compiles the server and returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "openconsult")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../cmd/openconsult").CombinedOutput()
	if err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	return program
}

// dataDir returns a directory for a private database. What still runs in it
// when the test ends is killed.
func dataDir(t *testing.T) string {
	t.Helper()
	parent, err := filepath.EvalSymlinks(pgtest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "data")
	t.Cleanup(func() { killDatabase(t, dir) })
	return dir
}

// A process is a server that runs by itself, with its own memory and its own
// death.
type process struct {
	cmd   *exec.Cmd
	base  string // URL of the FHIR endpoint, ending in /fhir
	admin string // URL of the admin listener
	said  *transcript
	ended chan struct{} // closed when it has ended
}

// launch starts program to serve without sign-in on a free port and returns when
// it does. It is stopped when the test ends.
func launch(t *testing.T, program string, args ...string) *process {
	t.Helper()
	return startProgram(t, program, append([]string{"--auth=none", "--addr=127.0.0.1:0"}, args...)...)
}

// startProgram is launch with all the arguments of the server.
func startProgram(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{said: &transcript{serving: make(chan announcement, 1)}, ended: make(chan struct{})}
	p.cmd = exec.Command(program, append([]string{"serve"}, args...)...)
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its state says how it ended
	}()
	t.Cleanup(func() { p.dismiss(t) })
	select {
	case a := <-p.said.serving:
		p.base, p.admin = "http://"+a.FHIR+"/fhir", "http://"+a.Admin
	case <-p.ended:
		t.Fatalf("the server ended at once:\n%s", p.said)
	case <-time.After(patience):
		t.Fatalf("the server does not start:\n%s", p.said)
	}
	return p
}

// dismiss stops p if it still runs, and shows what it said if the test failed.
func (p *process) dismiss(t *testing.T) {
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("process %d said at last:\n%s", p.cmd.Process.Pid, p.said.end())
	}
}

// stop asks p to end and waits for that.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("process %d did not stop within %v", p.cmd.Process.Pid, patience)
	}
}

// kill ends p at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// memory returns the resident memory of p in bytes: at present, and the highest
// since it began or since [process.forgetPeak].
func (p *process) memory(t *testing.T) (now, peak int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the memory of a process is not to be seen here: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		// A line that is neither leaves both as they are.
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	return now << 10, peak << 10
}

// forgetPeak makes the peak of p's memory what it takes at present.
func (p *process) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o200); err != nil {
		t.Skipf("the memory of a process cannot be watched here: %v", err)
	}
}

// run runs another command of program to its end.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("openconsult %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// An announcement is the line of the log that says where a server serves.
type announcement struct{ Msg, FHIR, Admin string }

// A transcript is what a process said, and where it serves as soon as it says
// so.
type transcript struct {
	serving chan announcement

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
	seen int          // bytes of it that were read for an announcement; guarded by mu
}

// Write takes more of what the process says.
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	for {
		line, _, whole := bytes.Cut(s.text.Bytes()[s.seen:], []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.seen += len(line) + 1
		var a announcement
		if json.Unmarshal(line, &a) == nil && a.Msg == "serving" {
			s.serving <- a
		}
	}
}

// String returns everything that was said.
func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// end returns the last of what was said.
func (s *transcript) end() string {
	said := s.String()
	return said[max(0, len(said)-shownBytes):]
}

// postmaster returns the process id of the private database in dir, or 0.
func postmaster(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "pg", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return pid
}

// databaseProcesses returns every process that works in the data directory of
// the private database in dir, the postmaster first.
func databaseProcesses(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil && cwd == filepath.Join(dir, "pg") {
			pids = append(pids, pid)
		}
	}
	first := postmaster(dir)
	slices.SortFunc(pids, func(a, b int) int {
		switch first {
		case a:
			return -1
		case b:
			return 1
		}
		return a - b
	})
	return pids
}

// killDatabase kills every process of the private database in dir, as a machine
// does that loses its power, and says how many there were.
func killDatabase(t *testing.T, dir string) int {
	t.Helper()
	pids := databaseProcesses(dir)
	for _, pid := range pids {
		kill(t, pid)
	}
	return len(pids)
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Errorf("kill process %d: %v", pid, err)
	}
}

// await waits until done says so, and returns whether it has. The test fails
// when that takes too long. It may be called from any goroutine.
func await(t *testing.T, what string, done func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return true
		}
	}
	t.Errorf("waited %v in vain: %s", patience, what)
	return false
}
