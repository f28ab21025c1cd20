package pgserver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 16":                               16,
		"postgres (PostgreSQL) devel":                            0,
		"initdb 15":                                              0,
		"":                                                       0,
	} {
		got, err := parseMajor(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("parseMajor(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	found := []binaries{{"a", 17}, {"b", 15}}
	for want, dir := range map[int]string{0: "a", 17: "a", 15: "b", 16: ""} {
		got, err := choose(found, want)
		if got.dir != dir || (err == nil) != (dir != "") {
			t.Errorf("choose(%d) = %v, %v; want %q", want, got, err, dir)
		}
	}
}

func TestInstalled(t *testing.T) {
	t.Parallel()
	good, old, lone := fakeBinaries(t, "16.2", true), fakeBinaries(t, "9.6", true), fakeBinaries(t, "16.2", false)
	found, err := installed(t.Context(), []string{lone, old, good, "/nowhere"})
	if err != nil || !slices.Equal(found, []binaries{{good, 16}}) {
		t.Errorf("installed() = %v, %v", found, err)
	}
	if _, err := installed(t.Context(), []string{old}); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9 is too old") {
		t.Errorf("an old version: %v", err)
	}
	if _, err := installed(t.Context(), []string{lone}); err == nil || !strings.Contains(err.Error(), "no PostgreSQL found") {
		t.Errorf("no initdb: %v", err)
	}
}

func fakeBinaries(t *testing.T, version string, initdb bool) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if !initdb {
		return dir
	}
	if err := os.WriteFile(filepath.Join(dir, "initdb"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNumberIn(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{"/usr/lib/postgresql/15/bin": 15, "/usr/pgsql-16/bin": 16, "/opt": 0, "postgresql@17": 17} {
		if got := numberIn(path); got != want {
			t.Errorf("numberIn(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestTuned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		memory, disk    int64
		buffers, maxWAL string
	}{
		{0, 0, "256MB", "2048MB"},
		{128 * mib, gib, "64MB", "1024MB"},
		{4 * gib, 50 * gib, "1024MB", "5120MB"},
		{256 * gib, 2000 * gib, "2048MB", "8192MB"},
	} {
		got := tuned(c.memory, c.disk)
		if got["shared_buffers"] != c.buffers || got["max_wal_size"] != c.maxWAL {
			t.Errorf("tuned(%d, %d): shared_buffers %s, max_wal_size %s; want %s, %s",
				c.memory, c.disk, got["shared_buffers"], got["max_wal_size"], c.buffers, c.maxWAL)
		}
		for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
			if value, ok := got[name]; ok {
				t.Errorf("%s is set to %s: durability is not for tuning", name, value)
			}
		}
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	got := render("/it's/local", map[string]string{"b": "1", "a": `x\y`}, map[string]string{"b": "2"})
	_, got, _ = strings.Cut(got, "\n")
	if want := "a = 'x\\\\y'\nb = '2'\ninclude = '/it\\'s/local'\n"; got != want {
		t.Errorf("render() = %q, want %q", got, want)
	}
	if strings.Contains(render("", nil), "include") {
		t.Error("no file is included")
	}
}

func TestSocketDir(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("x", 90)
	for dir, inside := range map[string]bool{"/var/lib/openconsult": true, long: false, "/a,b": false} {
		got := socketDir(dir)
		if (got == filepath.Join(dir, "run")) != inside || len(got) > 90 || got != socketDir(dir) {
			t.Errorf("socketDir(%q) = %q", dir, got)
		}
	}
	if socketDir(long) == socketDir(long+"y") {
		t.Error("two directories share a socket")
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		pid   int
		state string
	}{
		"77\n/d\n1\n5432\n/run\n\n1 2\nready   \n": {77, "ready"},
		"77\n/d\n1\n":                      {77, ""},
		"":                                 {0, ""},
		"-77\n":                            {0, ""},
		"x\n/d\n1\n5432\n/r\n\n1\nready\n": {0, ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, state := status(dir); pid != want.pid || state != want.state {
			t.Errorf("status of %q = %d, %q; want %d, %q", text, pid, state, want.pid, want.state)
		}
	}
	if pid, _ := status(t.TempDir()); pid != 0 {
		t.Errorf("process %d from no file", pid)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	for _, serves := range []func(int, string) bool{serves, servesByPS} {
		if serves(os.Getpid(), "/d") {
			t.Error("this test was taken for postgres")
		}
		if serves(1<<30, "/d") {
			t.Error("a process that does not exist was taken for postgres")
		}
	}
}

func TestIsPostmaster(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"/usr/lib/postgresql/15/bin/postgres -D /d -c config_file=/c": true,
		"postmaster -D /d":                  true,
		"postgres -D /d2 -c config_file=/c": false,
		"postgres -D":                       false,
		"postgres":                          false,
		"tar -D /d":                         false,
		"":                                  false,
	} {
		if got := isPostmaster(strings.Split(line, " "), "/d"); got != want {
			t.Errorf("isPostmaster(%q) = %t", line, got)
		}
	}
}

func TestSearchBit(t *testing.T) {
	t.Parallel()
	a := account{uid: 1, gid: 2, drop: true}
	for _, c := range []struct {
		uid, gid int
		want     os.FileMode
	}{{1, 9, 0o100}, {9, 2, 0o010}, {9, 9, 0o001}, {1, 2, 0o100}} {
		if got := a.searchBit(c.uid, c.gid); got != c.want {
			t.Errorf("searchBit(%d, %d) = %o, want %o", c.uid, c.gid, got, c.want)
		}
	}
}
