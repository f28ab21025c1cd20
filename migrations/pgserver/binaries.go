package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version of PostgreSQL that is supported.
const oldest = 15

// places are the directories where distributions install PostgreSQL beside PATH.
var places = []string{
	"/usr/lib/postgresql/*/bin",          // Debian
	"/usr/pgsql-*/bin",                   // PGDG for RPM
	"/usr/libexec/postgresql*",           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew
	"/usr/local/opt/postgresql@*/bin",
}

// binaries are the programs of one PostgreSQL installation.
type binaries struct {
	dir   string
	major int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// Program is the path of an installed PostgreSQL program such as pg_dump, of the installation that a new cluster would use.
func Program(ctx context.Context, name string) (string, error) {
	found, err := installed(ctx, candidates())
	if err != nil {
		return "", err
	}
	path := found[0].program(name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return path, nil
}

// choose picks the installation for a data directory of the given major version; 0 stands for a new one.
func choose(found []binaries, want int) (binaries, error) {
	if want == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.major == want {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("the data directory was made by PostgreSQL %d, but PostgreSQL %d is installed: install PostgreSQL %d again, "+
		"move the data with pg_upgrade, or export it with the old version and load it into a new directory", want, found[0].major, want)
}

// installed asks each directory for its version and keeps the usable ones.
func installed(ctx context.Context, dirs []string) ([]binaries, error) {
	var found []binaries
	var old []string
	for _, dir := range dirs {
		major, err := majorOf(ctx, dir)
		switch {
		case err != nil:
			continue
		case major < oldest:
			old = append(old, strconv.Itoa(major))
		default:
			found = append(found, binaries{dir, major})
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	if len(found) > 0 {
		return found, nil
	}
	if len(old) > 0 {
		return nil, fmt.Errorf("PostgreSQL %s is too old: install version %d or newer", strings.Join(old, ", "), oldest)
	}
	return nil, errors.New("no PostgreSQL found: install it (on Debian and Ubuntu: apt-get install postgresql), " +
		"or name a running server with --dsn")
}

// majorOf runs dir/postgres to learn its major version. It is an error if initdb is missing beside it.
func majorOf(ctx context.Context, dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("run postgres --version: %w", err)
	}
	return parseMajor(string(out))
}

// parseMajor reads the 15 in "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parseMajor(version string) (int, error) {
	_, number, found := strings.Cut(version, "(PostgreSQL) ")
	digits := len(number) - len(strings.TrimLeft(number, "0123456789"))
	if !found || digits == 0 {
		return 0, fmt.Errorf("not a version of PostgreSQL: %q", version)
	}
	return strconv.Atoi(number[:digits])
}

// candidates lists directories that may hold PostgreSQL: that of PATH first, then the newest. Links are followed, because only the
// real directory holds all programs.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(resolve(path)))
	}
	for _, pattern := range places {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue // unreachable: the patterns are constants
		}
		slices.SortFunc(matches, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, matches...)
	}
	return unique(dirs)
}

func resolve(path string) string {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return target
}

// numberIn is the first number in a path, or 0.
func numberIn(path string) int {
	start := strings.IndexAny(path, "0123456789")
	if start < 0 {
		return 0
	}
	end := start
	for end < len(path) && path[end] >= '0' && path[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(path[start:end])
	if err != nil {
		return 0
	}
	return n
}

func unique(dirs []string) []string {
	var kept []string
	for _, dir := range dirs {
		if !slices.Contains(kept, dir) {
			kept = append(kept, dir)
		}
	}
	return kept
}
