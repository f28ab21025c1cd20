package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestFlagDefaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args     string
		clients  int
		requests int64
		duration time.Duration
		set      int
	}{
		"none":         {"", 8, 0, 10 * time.Second, 1000},
		"number":       {"-n 5", 8, 5, 0, 1000},
		"both":         {"-n 5 -d 2s", 8, 5, 2 * time.Second, 1000},
		"open loop":    {"-rate 500", 64, 0, 10 * time.Second, 1000},
		"open with -c": {"-rate 500 -c 3", 3, 0, 10 * time.Second, 1000},
		"small set":    {"-set 2 -c 30", 30, 0, 10 * time.Second, 30},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-base", "http://127.0.0.1:8080/fhir/"}, strings.Fields(test.args)...)
			c, err := parseFlags(args, new(bytes.Buffer))
			if err != nil {
				t.Fatal(err)
			}
			if c.base != "http://127.0.0.1:8080/fhir" || c.workload.name != "create" || c.typeName != "Communication" {
				t.Errorf("base %q, workload %q, type %q", c.base, c.workload.name, c.typeName)
			}
			if c.clients != test.clients || c.requests != test.requests || c.duration != test.duration || c.set != test.set {
				t.Errorf("-c %d -n %d -d %v -set %d; want %d %d %v %d",
					c.clients, c.requests, c.duration, c.set, test.clients, test.requests, test.duration, test.set)
			}
		})
	}
}

func TestFlagsRefused(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                         "-base",
		"-base 127.0.0.1:8080":                     "-base",
		"-base http://h -workload think":           `-workload "think": give one of create, read, vread, update, mixed, search`,
		"-base http://h -type Basic":               "-type",
		"-base http://h -n -1":                     "-n",
		"-base http://h -rate NaN":                 "-rate",
		"-base http://h -return all":               "-return",
		"-base http://h -timeout 0s":               "-timeout",
		"-base http://h create":                    `unexpected argument "create"`,
		"-base http://h -unknown":                  "-unknown",
		"-base http://h -token a -token-command b": "one of -token and -token-command",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), strings.Fields(args), &stdout, &stderr); got != exitUsage {
				t.Errorf("exit status %d, want %d", got, exitUsage)
			}
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("it said %q, want %q in it", stderr.String(), want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"-h"}, &stdout, &stderr); got != exitOK || !strings.Contains(stderr.String(), "-workload") {
		t.Errorf("exit status %d and %q, want 0 and the flags", got, stderr.String())
	}
}
