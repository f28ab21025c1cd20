package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollEvery is the pace at which states of another process are looked at.
const pollEvery = 50 * time.Millisecond

// postmaster is a running PostgreSQL of one data directory: a child of this process, or left over from an earlier one.
type postmaster struct {
	pid    int
	handle *os.Process   // stays bound to this very process even if its number is used again
	exited chan struct{} // closed when it is gone
}

// child watches a postmaster that this process started.
func child(cmd *exec.Cmd) *postmaster {
	p := &postmaster{pid: cmd.Process.Pid, handle: cmd.Process, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // its log says why it ended
	}()
	return p
}

// leftover finds the postmaster of a data directory that an earlier process started, or nil.
func leftover(data string) (*postmaster, error) {
	pid, _ := status(data)
	if pid == 0 {
		return nil, nil
	}
	handle, err := os.FindProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("find process %d: %w", pid, err)
	}
	// Looked at after the handle was taken: what it says is about the process that the handle holds.
	if !serves(pid, data) {
		return nil, handle.Release()
	}
	p := &postmaster{pid: pid, handle: handle, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for serves(pid, data) {
			<-tick.C
		}
	}()
	return p, nil
}

// How PostgreSQL can be asked to end. https://www.postgresql.org/docs/15/server-shutdown.html
const (
	fast      = syscall.SIGINT  // ends sessions, and writes a checkpoint
	immediate = syscall.SIGQUIT // ends as in a crash; the next start recovers
)

// end asks the postmaster to end, and waits until it has.
func (p *postmaster) end(how syscall.Signal, patience time.Duration) error {
	if err := p.handle.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop postgres (process %d): %w", p.pid, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("postgres (process %d) has not ended after %s", p.pid, patience)
	}
}

// status reads postmaster.pid: the process id, and what PostgreSQL says about itself in line 8 (starting, ready, stopping). 0 if
// there is no such file or it is not complete.
func status(data string) (int, string) {
	lines := pidFile(data)
	if len(lines) == 0 {
		return 0, ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return 0, ""
	}
	if len(lines) < 8 {
		return pid, ""
	}
	return pid, strings.TrimSpace(lines[7])
}

// pidFile returns the lines of postmaster.pid, none if it cannot be read.
func pidFile(data string) []string {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// serves says whether a process is a live postmaster of the data directory. Process ids are used again, so its command line decides;
// a dead process that nobody has waited for has none.
func serves(pid int, data string) bool {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		return servesByPS(pid, data)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	return isPostmaster(strings.Split(string(line), "\x00"), data)
}

func isPostmaster(args []string, data string) bool {
	at := slices.Index(args, "-D")
	return isPostgres(args[0]) && at > 0 && at+1 < len(args) && args[at+1] == data
}

// servesByPS is for systems without /proc.
func servesByPS(pid int, data string) bool {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return false
	}
	program, rest, _ := strings.Cut(string(out), " -D ")
	return isPostgres(program) && strings.HasPrefix(rest, data+" ")
}

func isPostgres(program string) bool {
	name := filepath.Base(program)
	return name == "postgres" || name == "postmaster"
}

// alive says whether any process has the number.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// endOrphans ends the sessions of a dead postmaster that are too busy to notice. Only a process that works in the data directory and
// calls itself a PostgreSQL process is touched. Systems without /proc leave it to the sessions.
func endOrphans(data string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var errs []error
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !isOrphan(pid, data) {
			continue
		}
		handle, err := os.FindProcess(pid)
		// Looked at again: now the handle is known to hold the right process.
		if err == nil && isOrphan(pid, data) {
			err = handle.Signal(syscall.SIGQUIT)
		}
		if !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func isOrphan(pid int, data string) bool {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || dir != data {
		return false
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(line), "postgres: ")
}
