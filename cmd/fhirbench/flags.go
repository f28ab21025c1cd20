package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// config is what the command line asks for, with every default filled in.
type config struct {
	base         string
	dsn          string
	raw          bool // the workload goes to the database
	token        string
	tokenCommand string
	prefer       string
	timeout      time.Duration
	workload     workload
	typeName     string
	clients      int
	requests     int64
	duration     time.Duration
	rate         float64
	seed         uint64
	set          int
	people       int
	// resources is the size of the corpus that is searched; only names the searches to measure.
	resources int
	only      string
	// bundle is how many resources a Bundle has, rounds how often each of the ways that are compared has its turn.
	bundle, rounds           int
	followers, subscriptions int
	listen, deadListen       string // addresses for deliveries
	loadCommand              string
	// mix, times, connections, admin and pids are of the overload workload.
	mix         mixture
	times       float64
	connections int
	admin       string
	pids        []int
	json        bool
}

const (
	closedClients   = 8
	openClients     = 64
	defaultDuration = 10 * time.Second
)

func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	var workloadName string
	f := flag.NewFlagSet("fhirbench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.base, "base", "", "base `URL` of the server, such as http://127.0.0.1:8080/fhir (required but for raw workloads)")
	f.StringVar(&c.dsn, "dsn", "", "database of an OpenConsult server, as lib/pq takes it (raw workloads; with search, transaction, load and export it is measured as well)")
	f.StringVar(&c.token, "token", "", "bearer `token` sent with every request")
	f.StringVar(&c.tokenCommand, "token-command", "", fmt.Sprintf("shell `command` that prints the bearer token; it is run again every %v", renewToken))
	f.StringVar(&c.prefer, "return", "", "send Prefer: return=`what` with writes: minimal, representation or OperationOutcome")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "longest wait for one answer")
	f.StringVar(&workloadName, "workload", "create", strings.Join(workloadNames(), ", ")+"; raw-create, raw-read and raw-update run the server's statements on -dsn; fhirbench figures -help tells of all of them at once")
	f.StringVar(&c.typeName, "type", "Communication", strings.Join(typeNames(), ", "))
	f.IntVar(&c.clients, "c", 0, fmt.Sprintf("requests in flight at most (default %d, with -rate %d)", closedClients, openClients))
	f.Int64Var(&c.requests, "n", 0, "stop after this many requests")
	f.DurationVar(&c.duration, "d", 0, fmt.Sprintf("stop after this time (default %v without -n)", defaultDuration))
	f.Float64Var(&c.rate, "rate", 0, "open loop: requests due each second; latency counts from the due time")
	f.Uint64Var(&c.seed, "seed", 1, "seed of the content; the same seed makes the same resources")
	f.IntVar(&c.set, "set", 1000, "resources made before read, vread, update and mixed are measured")
	f.IntVar(&c.people, "people", 100, "patients made first, with a practice, to refer to; 0 refers to resources that do not exist")
	f.IntVar(&c.resources, "resources", 100_000, "resources that the search workload searches; they are made once for each seed and size")
	f.StringVar(&c.only, "only", "", "measure only the searches whose `name` contains this")
	c.exchangeFlags(f)
	c.overloadFlags(f)
	f.BoolVar(&c.json, "json", false, "print the report as one JSON object")
	if err := f.Parse(args); err != nil {
		return config{}, err
	}
	c, err := c.complete(workloadName, f.Args())
	if err != nil {
		fmt.Fprintf(stderr, "fhirbench: %v\n", err)
	}
	return c, err
}

// exchangeFlags are those of the workloads that compare.
func (c *config) exchangeFlags(f *flag.FlagSet) {
	f.IntVar(&c.bundle, "bundle", 100, "resources in a Bundle of the transaction and load workloads")
	f.IntVar(&c.rounds, "rounds", 3, fmt.Sprintf("turns of each way of the transaction, load, export and subscriptions workloads; a turn writes -n resources, by default %d", defaultPerRound))
	f.IntVar(&c.followers, "followers", 4, "clients of the feed workload that wait for changes while -c others write")
	f.IntVar(&c.subscriptions, "subscriptions", 1000, "active Subscriptions of the subscriptions workload")
	f.StringVar(&c.listen, "listen", "127.0.0.1:18185", "`address` on which the subscriptions workload takes deliveries, which the server must be allowed to ask")
	f.StringVar(&c.deadListen, "listen-dead", "127.0.0.1:18186", "`address` of an endpoint that accepts and never answers")
	f.StringVar(&c.loadCommand, "load-command", "", "shell `command` that loads the file $FILE into the server (load workload; without it, batch Bundles are sent)")
}

// complete checks what was asked for and fills in the defaults that depend on other flags.
func (c config) complete(workloadName string, rest []string) (config, error) {
	if len(rest) > 0 {
		return c, fmt.Errorf("unexpected argument %q: every setting is a flag", rest[0])
	}
	workloadName, c.raw = strings.CutPrefix(workloadName, rawPrefix)
	w, known := workloadNamed(workloadName)
	c.workload = w
	if err := c.check(); err != nil {
		return c, err
	}
	if !known {
		return c, fmt.Errorf("-workload %q: give one of %s", workloadName, strings.Join(workloadNames(), ", "))
	}
	c.base = strings.TrimRight(c.base, "/")
	if c.clients == 0 {
		c.clients = closedClients
		if c.rate > 0 && workloadName != overloadWorkload {
			c.clients = openClients
		}
	}
	// Each client writes only to its own share of the set, so that no two writes meet at one resource.
	c.set = max(c.set, c.clients)
	if c.requests == 0 && c.duration == 0 {
		c.duration = defaultDuration
		if workloadName == overloadWorkload {
			c.duration = time.Minute
		}
	}
	return c, nil
}

func (c config) check() error {
	u, err := url.Parse(c.base)
	switch {
	case c.raw && c.dsn == "", !c.raw && c.dsn != "" && !c.workload.takesDatabase():
		return errors.New("-dsn goes with the raw workloads, which need it, and with search, transaction, load and export")
	case c.raw && (c.workload.name == searchWorkload || c.workload.compare != nil):
		return fmt.Errorf("-workload %s measures the database as well when -dsn is given", c.workload.name)
	case c.raw:
	case err != nil:
		return fmt.Errorf("-base: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("-base %q: give the http or https URL of the server", c.base)
	}
	switch {
	case c.token != "" && c.tokenCommand != "":
		return errors.New("give one of -token and -token-command")
	case !slices.Contains(typeNames(), c.typeName):
		return fmt.Errorf("-type %q: give one of %s", c.typeName, strings.Join(typeNames(), ", "))
	case !slices.Contains([]string{"", "minimal", "representation", "OperationOutcome"}, c.prefer):
		return fmt.Errorf("-return %q: give minimal, representation or OperationOutcome", c.prefer)
	case c.clients < 0 || c.requests < 0 || c.resources < 0 || c.duration < 0 || c.set < 0 || c.people < 0 || c.timeout <= 0:
		return errors.New("-c, -n, -d, -set, -people and -resources must not be negative, and -timeout must be positive")
	case c.connections < 1 || !(c.times > 0):
		return errors.New("-connections and -times must be positive")
	case c.bundle < 1 || c.rounds < 1 || c.followers < 1 || c.subscriptions < 1:
		return errors.New("-bundle, -rounds, -followers and -subscriptions must be at least 1")
	case !(c.rate >= 0 && c.rate <= 1e6):
		return errors.New("-rate: give a number of requests a second from 0 to 1000000")
	}
	return nil
}
