package api

import (
	"strings"
	"testing"
)

func TestParsePrefer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		headers string // separated by |
		want    string
	}{
		{"", ""},
		{"return=minimal", "minimal"},
		{"return=representation", "representation"},
		{"return=OperationOutcome", "OperationOutcome"},
		{"return=operationoutcome", "OperationOutcome"},
		{"RETURN=Minimal", "minimal"},
		{`return="minimal"`, "minimal"},
		{"return = minimal ; foo=bar", "minimal"},
		{"respond-async, return=minimal", "minimal"},
		{"handling=strict|return=minimal", "minimal"},
		{"return=minimal, return=representation", "minimal"},
		{"return=representation|return=minimal", "representation"},
		{"return=shiny", ""},
		{"return", ""},
		{"return=", ""},
		{"handling=lenient", ""},
		{"returns=minimal", ""},
	} {
		if got := parsePrefer(strings.Split(tt.headers, "|")).Return; got != tt.want {
			t.Errorf("Prefer: %s: %q, want %q", tt.headers, got, tt.want)
		}
	}
}

func TestPreferHandling(t *testing.T) {
	t.Parallel()
	for headers, want := range map[string]bool{
		"":                                      false,
		"handling=lenient":                      true,
		"handling=strict":                       false,
		`Handling="Lenient"`:                    true,
		"return=minimal, handling=lenient":      true,
		"return=minimal|handling=lenient":       true,
		"handling=strict, handling=lenient":     false,
		"handling=lenient; x=y|handling=strict": true,
		"handling=lenientish":                   false,
		"return=lenient":                        false,
	} {
		if got := parsePrefer(strings.Split(headers, "|")).Lenient; got != want {
			t.Errorf("Prefer: %s: lenient is %v", headers, got)
		}
	}
}

func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{"return=minimal", `return="representation"; x=y, handling=strict`, ",=;", "return=OperationOutcome"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		got := parsePrefer([]string{one, two})
		if got.Return == "" {
			return
		}
		if got.Return != returnValue(got.Return) {
			t.Errorf("%q is no value of return", got.Return)
		}
		if again := parsePrefer([]string{"return=" + got.Return, one, two}); again != got {
			t.Errorf("said first %v, said later %v", again, got)
		}
	})
}

func TestPreferDryRun(t *testing.T) {
	t.Parallel()
	for headers, want := range map[string]bool{"": false, "dry-run": true, "return=minimal, Dry-Run": true, "return=minimal|dry-run; a=b": true, "dry-runs": false, "return=dry-run": false} {
		if got := parsePrefer(strings.Split(headers, "|")).Dry; got != want {
			t.Errorf("Prefer: %s: %v, want %v", headers, got, want)
		}
	}
}
