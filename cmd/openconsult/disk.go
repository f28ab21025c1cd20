package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openconsult/openconsult/fhir"
)

const (
	diskInterval = 2 * time.Second
	ballastSize  = 64 << 20
)

// A disk watches how much room there is where the private database lives. A
// Postgres that runs out of it stops for good, so writes stop before.
type disk struct {
	path    string  // empty watches nothing
	minimum float64 // percentage that must be free

	mu      sync.Mutex
	checked time.Time // guarded by mu
	free    float64   // guarded by mu
}

// newDisk watches the disk of a private database. It keeps a ballast file there,
// which the operator can delete to get a full disk going again.
func newDisk(s *settings, db *database) *disk {
	if db.private == nil {
		return &disk{}
	}
	d := &disk{path: s.DataDir, minimum: s.DiskFree}
	d.keepBallast()
	return d
}

// keepBallast makes the ballast file where there is plenty of room for it. The
// server works without it, so a failure is nobody's concern.
func (d *disk) keepBallast() {
	path := filepath.Join(d.path, "ballast")
	if _, err := os.Stat(path); err == nil {
		return
	}
	if free, err := freePercentage(d.path); err != nil || free < 2*d.minimum {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, ballastSize); err != nil {
		_ = os.Remove(path)
	}
}

// writable returns an Outcome of class Full when there is too little room.
func (d *disk) writable() error {
	if d.path == "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.checked) > diskInterval {
		free, err := freePercentage(d.path)
		if err != nil {
			return err
		}
		d.free, d.checked = free, time.Now()
	}
	if d.free < d.minimum {
		return fhir.Errorf(fhir.Full, fhir.NoStore, "", "There is too little room left to store anything safely; reading goes on. Tell the operator.")
	}
	return nil
}

func freePercentage(path string) (float64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("look for room under %s: %w", path, err)
	}
	return 100 * float64(s.Bavail) / float64(max(s.Blocks, 1)), nil
}
