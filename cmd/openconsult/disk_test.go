package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		disk *disk
		want string
	}{
		{"no disk of ours", &disk{minimum: 100}, "writable"},
		{"any room will do", &disk{path: t.TempDir()}, "writable"},
		{"never enough", &disk{path: t.TempDir(), minimum: 100.1}, "full"},
		{"nowhere", &disk{path: filepath.Join(t.TempDir(), "none")}, "broken"},
	} {
		// The second time it remembers.
		for range 2 {
			err := tt.disk.writable()
			o := fhir.AsOutcome(err)
			got := "broken"
			switch {
			case err == nil:
				got = "writable"
			case o != nil && o.Class == fhir.Full:
				got = "full"
			}
			if got != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
			}
		}
	}
}

func TestDiskRemembers(t *testing.T) {
	t.Parallel()
	d := &disk{path: t.TempDir()}
	if err := d.writable(); err != nil {
		t.Fatal(err)
	}
	d.path = "/nowhere/at/all"
	if err := d.writable(); err != nil {
		t.Errorf("it looks again at once: %v", err)
	}
	d.checked = d.checked.Add(-2 * diskInterval)
	if err := d.writable(); err == nil {
		t.Error("it never looks again")
	}
}

func TestBallast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &disk{path: dir, minimum: 100}
	d.keepBallast()
	if _, err := os.Stat(filepath.Join(dir, "ballast")); err == nil {
		t.Error("there is ballast where there is no room for it")
	}
	d.minimum = 0
	d.keepBallast()
	info, err := os.Stat(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Skipf("this file system cannot reserve room: %v", err)
	}
	if info.Size() != ballastSize {
		t.Errorf("the ballast has %d bytes", info.Size())
	}
}
