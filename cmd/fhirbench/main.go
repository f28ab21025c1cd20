// Command fhirbench measures how fast a FHIR R4 server answers. It makes resources of a general practice's online
// consultations, sends them over HTTP in one of a few named workloads, in a closed or an open loop, and reports
// throughput, latency percentiles and every answer that was not a success.
//
// It knows the RESTful API of FHIR R4 (https://hl7.org/fhir/R4/http.html) and nothing about the server behind it. The raw
// workloads and -dsn are the exception: they run OpenConsult's own statements on its database, as the ceiling of what it can
// do. The feed workload follows OpenConsult's $changes.
//
// fhirbench figures starts an OpenConsult server on a database of its own, measures all of this and more, and prints one table.
//
// Exit status: 0 when every request was answered with 2xx, 1 when one was not or the preparation went wrong, 2 when the
// command line is wrong, 130 when the run was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the measurement; giving the signals back lets a second one end the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// openTarget returns the server, or for a raw workload its database.
func openTarget(ctx context.Context, c config) (target, error) {
	if c.raw {
		return openRaw(ctx, c)
	}
	return newHTTPTarget(ctx, c)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == figuresCommand {
		return runFigures(ctx, args[1:], stdout, stderr)
	}
	c, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	t, err := openTarget(ctx, c)
	if err != nil {
		fmt.Fprintf(stderr, "fhirbench: %v\n", err)
		return exitUnexpected
	}
	defer t.close()
	if c.workload.name == searchWorkload {
		return runSearch(ctx, c, t, stdout, stderr)
	}
	if c.workload.name == overloadWorkload {
		return runOverload(ctx, c, t, stdout, stderr)
	}
	if c.workload.compare != nil {
		return runComparison(ctx, c, t, stdout, stderr)
	}
	r, err := bench(ctx, c, t)
	if err != nil {
		return failed(ctx, stderr, err)
	}
	if err := r.print(stdout, c.json); err != nil {
		fmt.Fprintf(stderr, "fhirbench: print the report: %v\n", err)
		return exitUnexpected
	}
	r.complain(stderr)
	return r.exitStatus()
}

// failed says what went wrong before anything was measured.
func failed(ctx context.Context, stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "fhirbench: %v\n", err)
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitUnexpected
}

// runComparison is the command for the workloads that compare.
func runComparison(ctx context.Context, c config, t target, stdout, stderr io.Writer) int {
	server, ok := t.(*httpTarget)
	if !ok {
		return failed(ctx, stderr, fmt.Errorf("the %s workload goes to a server; give -base", c.workload.name))
	}
	r, err := c.workload.compare(ctx, c, server, stderr)
	if err == nil {
		err = r.print(stdout, c.json)
	}
	if err != nil {
		return failed(ctx, stderr, err)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(stderr, "fhirbench: %s\n", problem)
	}
	return r.exitStatus()
}
