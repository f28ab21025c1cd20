package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"time"
)

// figureFlags is what the command line of figures asks for.
type figureFlags struct {
	server    string // the program openconsult
	source    string // its source tree, or ""
	keep      string // directory for the data that is kept, or ""
	resources int
	seed      uint64
	only      *regexp.Regexp
	quick     bool
	lasting   time.Duration // of a turn
	rounds    int
	concepts  int
	out       string
	against   string
	from      string
	markdown  string
	commit    string
	noise     float64
}

const (
	quickResources = 1000
	quickTurn      = 100 * time.Millisecond
	quickConcepts  = 500
)

func parseFigureFlags(args []string, stderr io.Writer) (figureFlags, error) {
	var c figureFlags
	only := ""
	f := flag.NewFlagSet("fhirbench "+figuresCommand, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.server, "server", "", "the `program` openconsult, which is started for this (required without -from)")
	f.StringVar(&c.source, "source", ".", "its source `tree`, whose Go benchmarks are run; empty for none")
	f.StringVar(&c.keep, "data-dir", "", "`directory` of the database, which is kept and found again; empty makes one and removes it")
	f.IntVar(&c.resources, "resources", 100_000, "resources in the database before anything is measured")
	f.Uint64Var(&c.seed, "seed", 1, "seed of the content")
	f.StringVar(&only, "only", "", "measure only the parts whose name matches this `expression`; see the headings of the table")
	f.BoolVar(&c.quick, "quick", false, fmt.Sprintf("see that everything works: %d resources, one turn of %v each; the figures mean nothing", quickResources, quickTurn))
	f.DurationVar(&c.lasting, "d", time.Second, "how long a turn takes")
	f.IntVar(&c.rounds, "rounds", 3, "turns of each way of doing the same")
	f.IntVar(&c.concepts, "concepts", 350_000, "concepts of the large code system; 0 leaves it out")
	f.StringVar(&c.out, "o", "", "`file` to save the figures in, as JSON")
	f.StringVar(&c.against, "against", "", "`file` with figures that were saved, to compare with; it need not exist")
	f.StringVar(&c.from, "from", "", "`file` with figures that were saved, to print in place of measuring anything")
	f.StringVar(&c.markdown, "markdown", "", "`file` in which the table replaces what stands between the lines <!-- figures -->, <!-- figures of N --> for N resources, or <!-- headline figures -->, and <!-- end of figures -->")
	f.StringVar(&c.commit, "commit", "", "the `commit` that is measured; by default what Go knows of it")
	f.Float64Var(&c.noise, "noise", 0.15, "change against the saved figures that is noise: 0.15 is 15 %")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	c, err := c.complete(only, f.Args())
	if err != nil {
		fmt.Fprintf(stderr, "fhirbench: %v\n", err)
	}
	return c, err
}

func (c figureFlags) complete(only string, rest []string) (figureFlags, error) {
	var err error
	if c.only, err = regexp.Compile("(?i)" + only); err != nil {
		return c, fmt.Errorf("-only: %w", err)
	}
	switch {
	case len(rest) > 0:
		return c, fmt.Errorf("unexpected argument %q: every setting is a flag", rest[0])
	case c.server == "" && c.from == "":
		return c, errors.New("-server: give the program openconsult that is to be measured")
	case c.resources < 100 || c.rounds < 1 || c.lasting <= 0 || c.concepts < 0:
		return c, errors.New("-resources must be at least 100, -rounds at least 1, -d positive and -concepts not negative")
	case !(c.noise >= 0):
		return c, errors.New("-noise must not be negative")
	}
	if c.quick {
		c.resources, c.lasting, c.rounds, c.concepts = quickResources, quickTurn, 1, quickConcepts
	}
	return c, nil
}

// config is what the workloads take, for the server without sign-in.
func (f *figures) config() config {
	c := config{
		base: f.open.base, dsn: f.dsn(), clients: figureClients, rounds: f.rounds, bundle: 100, timeout: 30 * time.Second,
		seed: f.newSeed(), set: 1000, people: 100, resources: f.resources, duration: f.lasting, typeName: allTypes,
		followers: 4, subscriptions: 1000, listen: f.listen, deadListen: f.dead, requests: 4000,
	}
	if f.quick {
		c.set, c.people, c.subscriptions, c.requests, c.bundle = 50, 20, 10, 200, 20
	}
	return c
}

// newSeed is one that nothing was made of before.
func (f *figures) newSeed() uint64 {
	f.seeds++
	return f.seed<<16 + f.seeds
}
