package conformance_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The SMART client for browsers that most apps are written with, and what the
// package of that version hashes to.
const (
	fhirclientVersion = "2.6.3"
	fhirclientSHA512  = "CirZixcwWelbkIXxpxlNQx5+ZdJirl6F1s4y4yvA1X7hHAkr9n99aVHaMi0wX+97nATjKQ65X6NB5as/wZoJzg=="
)

// fhirclient returns the script of the client. It is not part of this repository:
// npm gets it once, into the user's directory for caches. Where that is not
// possible the test is skipped.
func fhirclient(t *testing.T) []byte {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "openconsult-test")
	path := filepath.Join(dir, "fhirclient-"+fhirclientVersion+".tgz")
	packed, err := os.ReadFile(path)
	if err != nil {
		packed = download(t, dir)
	}
	sum := sha512.Sum512(packed)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != fhirclientSHA512 {
		t.Fatalf("%s is not fhirclient %s: it hashes to %s; remove it", path, fhirclientVersion, got)
	}
	return extracted(t, packed, "package/build/fhir-client.js")
}

// download gets the package, whole or not at all: others may do the same.
func download(t *testing.T, dir string) []byte {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("there is no npm on this machine to get fhirclient with: install the package npm to try the server with a browser app")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, npm, "pack", "--silent", "--fetch-retries=1", "fhirclient@"+fhirclientVersion)
	c.Dir = fresh
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("npm cannot get fhirclient %s, so the server is not tried with a browser app: %v\n%s", fhirclientVersion, err, out)
	}
	name := "fhirclient-" + fhirclientVersion + ".tgz"
	packed, err := os.ReadFile(filepath.Join(fresh, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(fresh, name), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	return packed
}

// extracted returns a file of a package.
func extracted(t *testing.T, packed []byte, name string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err != nil {
			t.Fatalf("look for %s in fhirclient: %v", name, err)
		}
		if h.Name != name {
			continue
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}
