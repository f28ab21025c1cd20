package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the generator, and the processes that were named with their children, have used.
type usage struct {
	at        time.Duration
	generator time.Duration // of CPU
	server    time.Duration // of CPU, of the first process that was named, by itself
	others    time.Duration // of CPU, of its children and of the others that were named
	resident  int64         // bytes, of the first process that was named
}

// watch looks at what is used every second until ctx ends, and once more then.
func watch(ctx context.Context, pids []int) []usage {
	began := time.Now()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	all := []usage{used(began, pids)}
	for {
		select {
		case <-ctx.Done():
			return append(all, used(began, pids))
		case <-ticker.C:
			all = append(all, used(began, pids))
		}
	}
}

func used(began time.Time, pids []int) usage {
	u := usage{at: time.Since(began)}
	var self syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) == nil {
		u.generator = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	}
	if len(pids) == 0 {
		return u
	}
	u.resident = residentOf(pids[0])
	all := processes()
	for pid, p := range all {
		switch {
		case pid == pids[0]:
			u.server += p.cpu
		case descends(all, pid, pids):
			u.others += p.cpu
		}
	}
	return u
}

// descends reports whether a process is one of pids or comes from one.
func descends(all map[int]process, pid int, pids []int) bool {
	for ; pid > 1; pid = all[pid].parent {
		if slices.Contains(pids, pid) {
			return true
		}
	}
	return false
}

// A process is what /proc says of one.
type process struct {
	parent int
	cpu    time.Duration
}

// clockTick is the unit of time in /proc, which Linux has fixed.
const clockTick = 10 * time.Millisecond

// processes reads /proc, where there is one. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func processes() map[int]process {
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		all[pid] = process{parent: parent, cpu: time.Duration(user+system) * clockTick}
	}
	return all
}

func residentOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// A healthCheck is what must answer in a storm, too.
type healthCheck struct {
	Address  string  `json:"address"`
	Asked    int     `json:"asked"`
	Answered int     `json:"answered"`
	Slowest  float64 `json:"slowest_ms"`
}

// visit asks every second for what must answer until ctx ends.
func visit(ctx context.Context, c config) []healthCheck {
	checks := []healthCheck{{Address: c.base + "/metadata"}}
	if c.admin != "" {
		for _, path := range []string{"/livez", "/readyz", "/metrics"} {
			checks = append(checks, healthCheck{Address: strings.TrimRight(c.admin, "/") + path})
		}
	}
	client := &http.Client{Timeout: c.timeout}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return checks
		case <-ticker.C:
		}
		for i := range checks {
			checks[i].ask(ctx, client)
		}
	}
}

// ask asks once. What the end of the storm interrupts is not counted.
func (h *healthCheck) ask(ctx context.Context, client *http.Client) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Address, nil)
	if err != nil {
		return
	}
	began := time.Now()
	resp, err := client.Do(r)
	if ctx.Err() != nil {
		return
	}
	h.Asked++
	if err != nil {
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode == http.StatusOK {
		h.Answered++
	}
	h.Slowest = max(h.Slowest, thousandths(float64(time.Since(began))/float64(time.Millisecond)))
}
