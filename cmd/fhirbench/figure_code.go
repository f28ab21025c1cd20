package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const groupCode = "Code"

// codeBenchmarks are the Go benchmarks of what every request goes through, by package.
var codeBenchmarks = []struct{ directory, pattern string }{
	{"fhir", "^BenchmarkDecode$/^(communication|task|qr30|qr300)$"},
	{"fhir/validate", "^Benchmark(Communication|Task|QuestionnaireResponse30)$"},
	{"fhir/questionnaire", "^BenchmarkCheck$"},
	{"fhir/fhirpath", "^Benchmark(Evaluate|Compile)$"},
	{"fhir/search", "^Benchmark(Index|Parse|Match)$"},
	{"fhir/searchsql", "^Benchmark(Row|Page)$"},
	{"fhir/access", "^BenchmarkKeysAndGifts$"},
	{"fhir/consultation", "^Benchmark(Decide|Submit)$"},
	{"fhir/subscription", "^BenchmarkLookUp$"},
	{"auth/bearer", "^Benchmark(Cached|New)$"},
}

// code runs Go benchmarks, where there are Go and the source.
func (f *figures) code(ctx context.Context) error {
	if f.source == "" {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		f.Notes = append(f.Notes, groupCode+": there is no Go here to run the benchmarks")
		return nil
	}
	benchmarks, lasting := codeBenchmarks, f.lasting/4
	if f.quick {
		benchmarks, lasting = benchmarks[:1], 10*time.Millisecond
	}
	for _, b := range benchmarks {
		if err := f.benchmark(ctx, lasting, b.directory, b.pattern); err != nil {
			return err
		}
	}
	return nil
}

func (f *figures) benchmark(ctx context.Context, lasting time.Duration, directory, pattern string) error {
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", lasting.String(), "-timeout", "5m", ".")
	command.Dir = filepath.Join(f.source, directory)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("go test -bench in %s: %w: %s", directory, err, excerpt(said.String()))
	}
	rows := parseBenchmarks(directory, said.String())
	if len(rows) == 0 {
		return fmt.Errorf("go test -bench in %s: no benchmark has a name like %s", directory, pattern)
	}
	for _, row := range rows {
		f.add(row)
	}
	return nil
}

// parseBenchmarks reads what go test -bench prints: https://go.dev/design/14313-benchmark-format.
func parseBenchmarks(directory, text string) []figure {
	var rows []figure
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		iterations, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		row := figure{Group: groupCode, Name: directory + ": " + benchmarkName(fields[0]), Unit: "ns", Requests: iterations}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			switch {
			case err != nil:
			case fields[i+1] == "ns/op":
				row.Value = value
			case fields[i+1] == "allocs/op":
				row.Allocs = value
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// benchmarkName takes off what all names have: Benchmark, and the number of processors.
func benchmarkName(name string) string {
	name = strings.TrimPrefix(name, "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			name = name[:i]
		}
	}
	return name
}
