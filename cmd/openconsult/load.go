package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// loadOptions are the flags of load.
type loadOptions struct {
	reach
	batch       int
	jobs        int
	state       string
	rejects     string
	history     bool
	ids         string
	serverIDs   bool
	missing     string
	sourceToken string
	out         io.Writer // for what was loaded
	log         io.Writer // for what else is to be said
}

func (o *loadOptions) declare(f *pflag.FlagSet) {
	o.reach.declare(f)
	f.IntVar(&o.batch, "batch", 200, "lines that are sent together at most")
	f.IntVar(&o.jobs, "jobs", 4, "requests under way together")
	f.StringVar(&o.state, "state", "", "file that tells how far the load is, so that it can go on; by default one in this directory, named after what is loaded where")
	f.StringVar(&o.rejects, "rejects", "", "file for the lines that are rejected, as they are, to be loaded again; FILE.reasons says why, line by line; the default is beside --state")
	f.BoolVar(&o.history, "history", false, "load finished things of the past: ids, authors and times are kept, the time of the last change in an extension of meta, and nobody is notified")
	f.StringVar(&o.ids, "ids", "derived", "ids of resources that have none: derived from file, line and content, so that loading them again stores nothing twice; or server, which lets the server choose")
	f.StringVar(&o.missing, "missing-references", "fail", "what Bundles refer to by identifier and is not there: fail rejects the Bundle; create-stub makes a resource with that identifier and nothing else, tagged stub")
	f.StringVar(&o.sourceToken, "source-token", "", "access token for the http(s) addresses that are loaded from")
}

func (o *loadOptions) check() error {
	o.serverIDs = o.ids == "server"
	var problems []error
	refuse := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, errors.New(text))
		}
	}
	refuse(o.batch < 1 || o.batch > 5000, "--batch is 1 to 5000")
	refuse(o.jobs < 1 || o.jobs > 64, "--jobs is 1 to 64")
	refuse(o.ids != "derived" && o.ids != "server", "--ids is derived or server")
	refuse(o.missing != "fail" && o.missing != "create-stub", "--missing-references is fail or create-stub")
	return errors.Join(problems...)
}

func loadCommand() *cobra.Command {
	o := &loadOptions{out: os.Stdout, log: os.Stderr}
	var c *cobra.Command
	c = command("load FILE|DIRECTORY|ADDRESS|-...", "Store NDJSON, Bundles and single resources, packed or not; what was broken off goes on when it is started again",
		func(ctx context.Context, s *settings, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			t, err := o.open(ctx, s, c.Flags())
			if err != nil {
				return err
			}
			return errors.Join(load(ctx, o, t, args), t.stop())
		})
	c.Long = loadHelp
	c.Args = cobra.MinimumNArgs(1)
	o.declare(c.Flags())
	return c
}

const loadHelp = `Store what files hold: NDJSON (.ndjson, .jsonl), single resources and Bundles (.json), each also with .gz.
Directories are walked in the order of their names. An address is that of a file, or of the manifest of an export.

Lines of NDJSON are stored under the ids that they have. Bundles of type transaction and batch are carried out as they
are; of others each entry is stored, and all together where they name each other by urn:uuid. In NDJSON a Bundle is
a resource like others, but for a transaction or batch without an id.

Of the output of Synthea, hospitalInformation and practitionerInformation are loaded first: patients name them by
identifier. Where they are missing, each Bundle that names them is rejected, or --missing-references=create-stub makes
what they name.

A load that was broken off, however it was, goes on where it was when the same command is given again. Nothing is left
out, and nothing is stored twice. With --ids=server that holds for as long as the server remembers requests (seven
days), and so does that the same transaction or batch is carried out once, in whichever load it comes again.`

// load stores what the arguments name, and says what became of it.
func load(ctx context.Context, o *loadOptions, t *target, args []string) error {
	f := &fetcher{client: &http.Client{Transport: http.DefaultTransport}, tokens: &tokens{fixed: o.sourceToken}}
	l, err := f.list(ctx, args)
	if err != nil {
		return err
	}
	if len(l.sources) == 0 {
		return fmt.Errorf("there is nothing to load: %s holds no files named .ndjson, .jsonl or .json, with or without .gz", strings.Join(args, ", "))
	}
	if err := o.name(t, args); err != nil {
		return err
	}
	if err := o.keepSources(l); err != nil {
		return err
	}
	book, err := openLedger(o.state, o.rejects, loadState{Files: l.fingerprint(), Batch: o.batch})
	if err != nil {
		return err
	}
	if book.resumed() {
		fmt.Fprintf(o.log, "going on after %d resources; remove %s to begin anew\n", book.resources, o.state)
	}
	o.batch = book.state.Batch
	err = runLoad(ctx, o, t, loading{f, l, book})
	ended := err == nil
	if err := errors.Join(err, book.close(ended)); err != nil {
		return unended(ctx, o, err)
	}
	return book.report(o.out)
}

// A loading is what a load works on.
type loading struct {
	fetcher *fetcher
	listing *listing
	ledger  *ledger
}

// runLoad runs the pipeline: one reads and cuts, several send.
func runLoad(ctx context.Context, o *loadOptions, t *target, on loading) error {
	q := newQueue(o.jobs)
	c := &cutter{options: o, fetcher: on.fetcher, queue: q, begun: on.ledger.begun, sight: newSight(), count: on.ledger.state.Chunks}
	from := on.ledger.state.Place
	for _, s := range on.listing.sources[:from.Source] {
		c.read.Add(s.size)
	}
	s := &sender{target: t, options: o, ledger: on.ledger}
	if o.missing == "create-stub" {
		s.stubs = &stubs{target: t, seen: map[string]bool{}}
	}
	end := startMeter(os.Stderr, "loading", func() measure {
		m := on.ledger.measure()
		m.at, m.of = c.read.Load(), on.listing.bytes
		return m
	})
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.cut(ctx, on.listing, from) })
	for range o.jobs {
		group.Go(func() error { return s.run(ctx, q) })
	}
	return group.Wait()
}

// name gives the state and the rejected lines their names where none were given: after
// what is loaded where.
func (o *loadOptions) name(t *target, args []string) error {
	h := sha256.New()
	fmt.Fprintf(h, "%s %t %s", t.name, o.history, o.ids)
	for _, arg := range args {
		if arg != "-" && !strings.Contains(arg, "://") {
			path, err := filepath.Abs(arg)
			if err != nil {
				return fmt.Errorf("find what to load: %w", err)
			}
			arg = path
		}
		fmt.Fprintf(h, " %q", arg)
	}
	stem := ".openconsult-load-" + hex.EncodeToString(h.Sum(nil)[:6])
	if o.state == "" && !slices.Contains(args, "-") {
		o.state = stem + ".json"
	}
	if o.rejects == "" {
		o.rejects = strings.TrimPrefix(stem, ".") + ".rejects.ndjson"
	}
	return nil
}

// keepSources sees to it that no rejected line is written over what is loaded, and
// removes those of an earlier load.
func (o *loadOptions) keepSources(l *listing) error {
	target, err := os.Stat(o.rejects)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at --rejects: %w", err)
	}
	for _, s := range l.sources {
		if info, err := os.Stat(s.name); err == nil && os.SameFile(info, target) {
			return fmt.Errorf("%s is loaded itself: name another file with --rejects", o.rejects)
		}
	}
	return nil
}

// unended says why a load has not ended, and how it goes on.
func unended(ctx context.Context, o *loadOptions, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if o.state == "" {
		return err
	}
	return fmt.Errorf("%w; give the same command again to go on", err)
}

// report says what was loaded. It fails if anything was rejected.
func (l *ledger) report(out io.Writer) error {
	for _, typ := range slices.Sorted(maps.Keys(l.state.Loaded)) {
		fmt.Fprintf(out, "%s\t%d\n", typ, l.state.Loaded[typ])
	}
	fmt.Fprintf(out, "loaded\t%d\n", l.resources)
	if l.state.Rejected == 0 {
		return nil
	}
	fmt.Fprintf(out, "rejected\t%d\n", l.state.Rejected)
	return fmt.Errorf("%d lines were rejected; they are in %s, and %[2]s.reasons says why", l.state.Rejected, l.rejects)
}
