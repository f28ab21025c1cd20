package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a server may take to start or stop.
const patience = 2 * time.Minute

// served is a server that was started for the figures.
type served struct {
	*httpTarget // nil while there is none
	base        string
	command     *exec.Cmd
	began       time.Time
	ended       chan struct{} // closed when it has ended
	ready       chan string   // its address, once
	mu          sync.Mutex
	said        []string // its last lines; guarded by mu
}

// launch starts the program to serve with some arguments, and returns when it does.
func launch(ctx context.Context, program string, args ...string) (*served, error) {
	s := &served{ended: make(chan struct{}), ready: make(chan string, 1)}
	s.command = exec.Command(program, append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...)
	said, err := s.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	s.began = time.Now()
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	go s.listen(said)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case address := <-s.ready:
		s.base = "http://" + address + "/fhir"
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("a server ended at once: %s", s.last())
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = fmt.Errorf("a server does not start: %s", s.last())
	}
	return nil, errors.Join(err, s.stop())
}

// listen reads the log until it ends.
func (s *served) listen(said io.Reader) {
	defer close(s.ended)
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		var entry struct{ Msg, FHIR string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "serving" {
			s.ready <- entry.FHIR
		}
		s.keep(lines.Text())
	}
	// A line that is too long must not stop the server.
	_, _ = io.Copy(io.Discard, said)
	_ = s.command.Wait()
}

func (s *served) keep(line string) {
	const most = 10
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said = append(s.said, line); len(s.said) > most {
		s.said = s.said[1:]
	}
}

func (s *served) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

// connect makes the connections of clients, with the tokens that a command prints unless it is "".
func (s *served) connect(ctx context.Context, tokenCommand string) error {
	t, err := newHTTPTarget(ctx, config{base: s.base, clients: figureClients, timeout: patience, tokenCommand: tokenCommand})
	s.httpTarget = t
	return err
}

// stop ends it as an operator would. Nil has nothing to stop.
func (s *served) stop() error {
	if s == nil {
		return nil
	}
	if s.httpTarget != nil {
		s.close()
	}
	// It may have ended.
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		_ = s.command.Process.Kill()
		<-s.ended
		return fmt.Errorf("the server did not stop within %v: %s", patience, s.last())
	}
}

// resident returns the memory that it has now and has had at most, in MiB.
func (s *served) resident() (now, most float64) {
	path := fmt.Sprintf("/proc/%d/status", s.command.Process.Pid)
	return float64(kibibytes(fieldOf(path, "VmRSS"))) / 1024, float64(kibibytes(fieldOf(path, "VmHWM"))) / 1024
}

// operate runs a command of the program on the database, and returns what it prints.
func (f *figures) operate(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, f.server, append(args, "--dsn", f.dsn())...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("openconsult %s: %w: %s", args[0], err, excerpt(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// dsn is the database behind the socket that the server keeps in its directory.
func (f *figures) dsn() string {
	return fmt.Sprintf("host=%s/run user=openconsult dbname=openconsult sslmode=disable", f.dataDir)
}

// settle makes the places of everything.
func (f *figures) settle() (err error) {
	if f.dir, err = os.MkdirTemp("", "fhirbench-"); err != nil {
		return fmt.Errorf("make a place for the figures: %w", err)
	}
	// The database runs as another user when this is started by root.
	if err := os.Chmod(f.dir, 0o755); err != nil {
		return fmt.Errorf("make a place for the figures: %w", err)
	}
	if f.dataDir, err = dataDirectory(f.keep, f.dir); err != nil {
		return err
	}
	f.listen, f.dead, err = freeAddresses()
	return err
}

func (f *figures) clear() error { return os.RemoveAll(f.dir) }
