package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// completed returns the settings from a command line, an environment and the
// text of a configuration file.
func completed(t *testing.T, args, environment []string, file string) (*settings, error) {
	t.Helper()
	s := &settings{}
	f := s.flags()
	if file != "" {
		args = append(args, "--config", writeFile(t, "openconsult.yaml", file))
	}
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := complete(f, environment)
	return s, err
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		args, environment []string
		file, want        string
	}{
		{"defaults", nil, nil, "", "127.0.0.1:8080 5242880 5 false"},
		{"file", nil, nil, "addr: localhost:1\nmax-body: 100\ndisk-free: 2.5\npurge: true", "localhost:1 100 2.5 true"},
		{"environment", nil, []string{"OPENCONSULT_ADDR=localhost:2", "OPENCONSULT_MAX_BODY=200", "OPENCONSULT_PURGE=true", "HOME=/"}, "", "localhost:2 200 5 true"},
		{"environment before file", nil, []string{"OPENCONSULT_ADDR=localhost:2"}, "addr: localhost:1\nmax-body: 100", "localhost:2 100 5 false"},
		{"flag before both", []string{"--addr", "localhost:3", "--purge=false"}, []string{"OPENCONSULT_ADDR=localhost:2"}, "addr: localhost:1\npurge: true", "localhost:3 5242880 5 false"},
		{"a flag given with its default", []string{"--addr", "127.0.0.1:8080"}, []string{"OPENCONSULT_ADDR=localhost:2"}, "", "127.0.0.1:8080 5242880 5 false"},
		{"empty environment", nil, []string{"OPENCONSULT_ADDR="}, "addr: localhost:1", " 5242880 5 false"},
		{"for tests", nil, []string{"OPENCONSULT_SHARED=x", "OPENCONSULT_TEST_DSN=x"}, "", "127.0.0.1:8080 5242880 5 false"},
		{"a value with an equals sign", nil, []string{"OPENCONSULT_ADDR=a=b"}, "", "a=b 5242880 5 false"},
		{"empty file", nil, nil, "# nothing\n", "127.0.0.1:8080 5242880 5 false"},
	} {
		s, err := completed(t, tt.args, tt.environment, tt.file)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := fmt.Sprint(s.Addr, " ", s.MaxBody, " ", s.DiskFree, " ", s.Purge); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestCompleteList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, environment []string
		file, want        string
	}{
		{nil, nil, "outbound: []", "[]"},
		{nil, nil, "outbound: [a.example:443, \"b.example:443\"]", "[a.example:443 b.example:443]"},
		{nil, nil, "outbound: a.example:443", "[a.example:443]"},
		{nil, []string{"OPENCONSULT_OUTBOUND=c.example:443,d.example:443"}, "outbound: [a.example:443]", "[c.example:443 d.example:443]"},
		{[]string{"--outbound=e.example:443"}, nil, "outbound: [a.example:443]", "[e.example:443]"},
	} {
		s, err := completed(t, tt.args, tt.environment, tt.file)
		if err != nil || fmt.Sprint(s.Outbound) != tt.want {
			t.Errorf("%v, %v, %s: %q, %v; want %s", tt.args, tt.environment, tt.file, s.Outbound, err, tt.want)
		}
	}
}

func TestCompleteRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		environment []string
		file, want  string
	}{
		{"unknown variable", []string{"OPENCONSULT_ADR=x"}, "", "environment: OPENCONSULT_ADR"},
		{"several", []string{"OPENCONSULT_Z=x", "OPENCONSULT_A=x"}, "", "OPENCONSULT_A, OPENCONSULT_Z"},
		{"help", []string{"OPENCONSULT_HELP=true"}, "", "OPENCONSULT_HELP"},
		{"unknown key", nil, "addr: x\nadr: y", ": adr "},
		{"wrong case", nil, "Addr: x", ": Addr "},
		{"file in a file", nil, "config: other.yaml", ": config "},
		{"list", nil, "addr: [a, b]", ": addr "},
		{"list of lists", nil, "outbound: [[a]]", ": outbound "},
		{"twice", nil, "addr: a\naddr: b", "already defined"},
		{"no YAML", nil, "addr: [", "read configuration"},
		{"no mapping", nil, "- addr", "read configuration"},
		{"no number", nil, "conns: many", "setting conns"},
		{"no number in the environment", []string{"OPENCONSULT_CONNS=many"}, "", "setting conns"},
		{"no file", []string{"OPENCONSULT_CONFIG=/nowhere.yaml"}, "", "there is no configuration file /nowhere.yaml"},
		{"a directory", []string{"OPENCONSULT_CONFIG=/"}, "", "read configuration"},
	} {
		if _, err := completed(t, nil, tt.environment, tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestConfigByEnvironment(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "c.yaml", "addr: localhost:7")
	s, err := completed(t, nil, []string{"OPENCONSULT_CONFIG=" + path}, "")
	if err != nil || s.Addr != "localhost:7" {
		t.Errorf("%s, %v", s.Addr, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--log-level=debug":  "",
		"--log-level=error":  "",
		"--log-level=loud":   "debug, info, warn or error",
		"--log-level=":       "debug, info, warn or error",
		"--log-level=INFO":   "debug, info, warn or error",
		"--dsn=(hidden)":     "give the DSN itself",
		"--conns=-1":         "--conns",
		"--disk-free=-1":     "--disk-free",
		"--disk-free=101":    "--disk-free",
		"--disk-free=NaN":    "--disk-free",
		"--disk-free=0":      "",
		"--max-body=0":       "--max-body",
		"--max-bundle=-5":    "--max-body",
		"--max-binary=1":     "",
		"--dsn=host=/run/pg": "",
	} {
		s, err := completed(t, []string{arg}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		err = s.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}
