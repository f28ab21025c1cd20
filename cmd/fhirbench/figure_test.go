package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// figuresOf runs the command for the figures as a person would, and returns what it printed.
func figuresOf(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), append([]string{figuresCommand}, args...), &stdout, &stderr); got != exitOK {
		t.Fatalf("exit status %d, want %d; it said: %s", got, exitOK, stderr.String())
	}
	return stdout.String()
}

// wantedFigures are rows of each part, with all clients or as often as they are measured.
var wantedFigures = []figure{
	{Group: groupFill, Name: "openconsult load", Clients: loadJobs},
	{Group: groupFill, Name: "on disk, for each resource with its rows, indexes and history"},
	{Group: groupTerms, Name: "$lookup in a code system of R4", Clients: 8},
	{Group: groupTerms, Name: "$expand, 20 below one in 500 concepts", Clients: 1},
	{Group: groupTransaction, Name: "Bundles of 20", Clients: 8},
	{Group: groupTransaction, Name: waySingles, Clients: 8},
	{Group: groupTransaction, Name: wayStore, Clients: 8},
	{Group: groupLoad, Name: wayLoad, Clients: loadJobs},
	{Group: groupExport, Name: wayExport, Clients: 1},
	{Group: groupFeed, Name: "from the acknowledgement", Clients: 8},
	{Group: groupHooks, Name: "10 subscriptions", Clients: 8},
	{Group: groupHooks, Name: "delivery, 10 subscriptions", Clients: 8},
	{Group: groupConversation, Name: "a form by a patient, which becomes a Task", Clients: 8},
	{Group: groupConversation, Name: "$thread of 50 messages, as the patient", Clients: 1},
	{Group: groupConversation, Name: "a message of the practice", Clients: 8},
	{Group: groupConversation, Name: "a Task is accepted", Clients: 1},
	{Group: groupStart, Name: "first answer, the database started as well", Clients: 1},
	{Group: groupStart, Name: "resident memory, with sign-in"},
	{Group: groupCode, Name: "fhir: Decode/task"},
}

// comparedFigures are those that stand beside the database itself.
func comparedFigures() []figure {
	var all []figure
	for _, typeName := range figureTypes {
		for _, kind := range []string{"create ", "read ", "update "} {
			for _, auth := range []string{"", ", --auth=none"} {
				all = append(all, figure{Group: groupSingle, Name: kind + typeName + auth, Clients: 8, Of: wayOwnSQL},
					figure{Group: groupSingle, Name: kind + typeName + auth, Clients: 1, Of: wayOwnSQL})
			}
		}
		all = append(all, figure{Group: groupValidation, Name: "create " + typeName + ", --validation full", Clients: 8, Of: "--validation structure"})
	}
	for _, q := range worklistQueries {
		all = append(all, figure{Group: groupWorklist, Name: q.name + ", signed in", Clients: 8, Of: waySearchSQL})
	}
	return append(all, figure{Group: groupSearch, Name: "identifier", Clients: 8, Of: waySearchSQL})
}

// TestFigures has the real server measured for a short time: every figure is there, nothing failed, and what was saved can be
// read and compared.
func TestFigures(t *testing.T) {
	t.Parallel()
	server := filepath.Join(t.TempDir(), "openconsult")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", server, "../openconsult").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	saved, page := filepath.Join(t.TempDir(), "saved.json"), filepath.Join(t.TempDir(), "page.md")
	const before, after = "Words before.\n\n", "\n\nWords after.\n"
	if err := os.WriteFile(page, []byte(before+figuresMark+"\nan old table\n"+figuresEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-quick", "-server", server, "-source", "../..", "-data-dir", filepath.Join(pgtest.Dir(t), "data"), "-commit", "abc", "-o", saved, "-markdown", page}
	printed := figuresOf(t, args...)
	r, err := readReport(saved)
	if err != nil {
		t.Fatal(err)
	}
	if r.Machine.Cores < 1 || r.Machine.PostgreSQL == "" || r.Commit != "abc" || r.Resources != quickResources || r.Seconds <= 0 {
		t.Errorf("the report is of %+v", r)
	}
	for _, f := range r.Figures {
		if f.Value <= 0 || f.Failed > 0 || f.Rounds > 0 && f.Requests == 0 {
			t.Errorf("%s, %s: %+v", f.Group, f.Name, f)
		}
	}
	for _, want := range append(wantedFigures, comparedFigures()...) {
		if !has(r, want) {
			t.Errorf("no figure for %s: %s by %d clients of %q", want.Group, want.Name, want.Clients, want.Of)
		}
	}
	for _, q := range searchQueries {
		if !has(r, figure{Group: groupSearch, Name: q.name, Clients: 8}) || !has(r, figure{Group: groupSearch, Name: q.name, Clients: 1}) {
			t.Errorf("no figure for the search %s", q.name)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil || string(text) != before+figuresMark+"\n\n"+printed+figuresEnd+after {
		t.Errorf("the page is %q, %v", text, err)
	}
	again := figuresOf(t, "-from", saved, "-against", saved)
	if n := strings.Count(again, "× 1.00 |"); n < len(wantedFigures) || strings.Contains(again, "**worse**") || strings.Contains(again, "**better**") {
		t.Errorf("%d rows are as they were:\n%s", n, again)
	}
}

// has reports whether a figure is there, and compared with what it should be.
func has(r *figureReport, want figure) bool {
	for _, f := range r.Figures {
		if f.Group == want.Group && f.Name == want.Name && f.Clients == want.Clients {
			return want.Of == "" || f.Of == want.Of && f.Ratio > 0 && f.RatioLow <= f.Ratio && f.Ratio <= f.RatioHigh
		}
	}
	return false
}

func TestCompete(t *testing.T) {
	t.Parallel()
	order := ""
	sideNamed := func(name string, err error) side {
		return side{name: name, clients: 1, next: func(int) func(context.Context) error {
			// One request for each turn.
			if strings.HasSuffix(order, name) {
				return nil
			}
			return func(context.Context) error { order += name; return err }
		}}
	}
	all, err := compete(t.Context(), 3, time.Minute, sideNamed("a", nil), sideNamed("b", nil), sideNamed("c", errors.New("no\n  luck")))
	if err != nil || order != "abc"+"abc"+"bca"+"cab" {
		t.Fatalf("the turns were %s, %v", order, err)
	}
	fine, broken := all[0].figure("g", "a"), all[2].figure("g", "c")
	if fine.Requests != 3 || fine.Failed != 0 || fine.Failure != "" || fine.Value <= 0 || fine.Rounds != 3 {
		t.Errorf("%+v; want 3 successes", fine)
	}
	if broken.Failed != 3 || broken.Failure != "3 of 3 failed, such as no luck" || broken.Value != 0 || broken.P50 != 0 {
		t.Errorf("%+v; want 3 failures and no rate", broken)
	}
	r := figureReport{Figures: []figure{broken}}
	if r.exitStatus() != exitUnexpected || !strings.Contains(r.markdown(nil), "**3 of 3 failed, such as no luck**") {
		t.Errorf("the report hides that all failed:\n%s", r.markdown(nil))
	}
}

func TestTurnEndsWhenAllFails(t *testing.T) {
	t.Parallel()
	s := side{clients: 2, next: func(int) func(context.Context) error {
		return func(context.Context) error { return errors.New("refused") }
	}}
	if got := s.take(t.Context(), time.Hour); got.failed != 2*mostFailures || got.rate() != 0 {
		t.Errorf("%d failed at %v/s", got.failed, got.rate())
	}
}

func TestRatioOfRounds(t *testing.T) {
	t.Parallel()
	f := figure{}.over("raw", []float64{1, 6, 4}, []float64{2, 8, 8})
	if f.Ratio != 0.5 || f.RatioLow != 0.5 || f.RatioHigh != 0.75 || f.Of != "raw" || f.share() != "50 % of raw (50–75)" {
		t.Errorf("%+v, %s", f, f.share())
	}
	if f := (figure{}).over("raw", []float64{1}, nil); f != (figure{}) {
		t.Errorf("%+v of nothing", f)
	}
	if got := (figure{Ratio: 3.55, RatioLow: 3, RatioHigh: 4, Of: "singles"}).share(); got != "3.5 × singles (3.0–4.0)" && got != "3.6 × singles (3.0–4.0)" {
		t.Error(got)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	rate := func(value, low, high float64) figure {
		return figure{Name: "x", Unit: unitRate, Value: value, Low: low, High: high}
	}
	lag := func(value float64) figure { return figure{Name: "x", Unit: "ms", Value: value} }
	tests := map[string]struct {
		old, now figure
		want     string
	}{
		"same":          {rate(100, 90, 110), rate(110, 100, 120), "× 1.10"},
		"faster":        {rate(100, 90, 110), rate(150, 140, 160), "× 1.50 **better**"},
		"slower":        {rate(100, 90, 110), rate(50, 40, 60), "× 0.50 **worse**"},
		"rounds meet":   {rate(100, 90, 150), rate(150, 140, 160), "× 1.50"},
		"small change":  {rate(100, 99, 101), rate(110, 109, 111), "× 1.10"},
		"less lag":      {lag(10), lag(5), "× 0.50 **better**"},
		"more lag":      {lag(10), lag(20), "× 2.00 **worse**"},
		"another unit":  {lag(10), rate(20, 10, 30), ""},
		"nothing there": {figure{}, lag(20), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.now.changed(&figureReport{Figures: []figure{test.old}}, 0.15); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestNotComparedWithAnotherSize(t *testing.T) {
	t.Parallel()
	path := func(resources int) string {
		text, err := json.Marshal(figureReport{Resources: resources, Figures: []figure{{Group: "g", Name: "n", Unit: unitRate, Value: 7}}})
		name := filepath.Join(t.TempDir(), "saved.json")
		if err == nil {
			err = os.WriteFile(name, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	small, large := path(100), path(1000)
	if got := figuresOf(t, "-from", small, "-against", large); !strings.Contains(got, "Not compared with") || strings.Contains(got, "×") {
		t.Errorf("it is compared:\n%s", got)
	}
	if got := figuresOf(t, "-from", small, "-against", filepath.Join(t.TempDir(), "absent.json")); !strings.Contains(got, "7.00/s") {
		t.Errorf("without a report before:\n%s", got)
	}
}

func TestHeadlines(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	r := figureReport{Figures: []figure{{Group: groupSingle, Name: "create Communication", Value: 1}, {Group: groupSingle, Name: "create Basic", Value: 1}}}
	if err := os.WriteFile(page, []byte(headlinesMark+"\n"+figuresEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.insert(page); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "create Communication") || strings.Contains(string(text), "create Basic") {
		t.Errorf("%s, %v; want the headlines alone", text, err)
	}
	const two = "<!-- figures of 100 -->\n" + figuresEnd + "\n<!-- figures of 1000 -->\nold\n" + figuresEnd
	if err := os.WriteFile(page, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Resources = 1000
	if err := r.insert(page); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(page)
	if first, second, _ := strings.Cut(string(text), figuresEnd); err != nil || strings.Contains(first, "create") || !strings.Contains(second, "create Basic") || strings.Contains(second, "old") {
		t.Errorf("%s, %v; want all in the second place", text, err)
	}
	if err := os.WriteFile(page, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.insert(page); err == nil {
		t.Error("a file without marks was changed")
	}
}

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	const said = "goos: linux\nBenchmarkDecode/task-2   \t   51234\t     19468 ns/op\t 118.2 MB/s\t    9216 B/op\t      30 allocs/op\n" +
		"BenchmarkDecode/utf-8-2 10 5.5 ns/op\nBenchmarkBroken\nBenchmarkLog some words here\nPASS\n"
	rows := parseBenchmarks("fhir", said)
	want := []figure{
		{Group: groupCode, Name: "fhir: Decode/task", Unit: "ns", Value: 19468, Allocs: 30, Requests: 51234},
		{Group: groupCode, Name: "fhir: Decode/utf-8", Unit: "ns", Value: 5.5, Requests: 10},
	}
	if len(rows) != 2 || rows[0] != want[0] || rows[1] != want[1] {
		t.Errorf("%+v, want %+v", rows, want)
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]figure{
		"3,710/s": {Unit: unitRate, Value: 3710.4}, "0.52/s": {Unit: unitRate, Value: 0.52}, "12.3 ms": {Unit: "ms", Value: 12.34},
		"1,234,567 bytes": {Unit: "bytes", Value: 1234567}, "19.5 µs": {Unit: "ns", Value: 19468}, "190 ns": {Unit: "ns", Value: 190},
	} {
		if got := f.amount(); got != want {
			t.Errorf("%+v is %q, want %q", f, got, want)
		}
	}
}

func TestFigureFlagsRefused(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                             "-server",
		"-server x -resources 5":       "-resources",
		"-server x -rounds 0":          "-rounds",
		"-server x -d 0s":              "-d",
		"-server x -noise NaN":         "-noise",
		"-server x -only (":            "-only",
		"-server x searches":           `unexpected argument "searches"`,
		"-server x -unknown":           "-unknown",
		"-from /absent/bench-100.json": "",
	} {
		var stdout, stderr bytes.Buffer
		status := exitUsage
		if want == "" {
			status = exitUnexpected
		}
		if got := run(t.Context(), append([]string{figuresCommand}, strings.Fields(args)...), &stdout, &stderr); got != status || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit status %d, want %d; it said %q", args, got, status, stderr.String())
		}
	}
}
