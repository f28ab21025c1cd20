package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// figuresCommand is the first argument that has everything measured at once.
const figuresCommand = "figures"

// figureClients is how many clients there are beside the figures of one alone.
const figureClients = 8

// figures measures everything on servers of its own. Two of them share one database: open has no sign-in and runs it, signed
// has sign-in and the audit.
type figures struct {
	figureFlags
	*figureReport
	progress     io.Writer
	dir          string // of what is made on the way
	dataDir      string
	listen, dead string // addresses for deliveries
	open, signed *served
	set          *corpus
	seeds        uint64 // that were taken
}

// figurePart is some of the figures, chosen by -only.
type figurePart struct {
	name    string
	measure func(f *figures, ctx context.Context) error
}

// figureParts are in the order in which they are measured: searches first, since what follows writes.
func figureParts() []figurePart {
	return []figurePart{
		{groupSearch, (*figures).searches},
		{groupWorklist, (*figures).worklists},
		{groupTerms, (*figures).terms},
		{groupSingle, (*figures).singles},
		{groupValidation, (*figures).validation},
		{groupTransaction, (*figures).transactions},
		{groupLoad, (*figures).loads},
		{groupExport, (*figures).exports},
		{groupFeed, (*figures).feed},
		{groupHooks, (*figures).hooks},
		{groupConversation, (*figures).conversation},
		{groupStart, (*figures).starts},
	}
}

// runFigures is the command for all figures.
func runFigures(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFigureFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	r, err := c.report(ctx, stderr)
	if err == nil {
		err = c.publish(r, stdout)
	}
	if err != nil {
		return failed(ctx, stderr, err)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(stderr, "fhirbench: %s\n", problem)
	}
	return r.exitStatus()
}

// report reads a report that was saved, or measures everything anew.
func (c figureFlags) report(ctx context.Context, progress io.Writer) (*figureReport, error) {
	if c.from != "" {
		return readReport(c.from)
	}
	f := &figures{figureFlags: c, figureReport: newFigureReport(c), progress: progress}
	began := time.Now()
	if err := f.measure(ctx); err != nil {
		return nil, err
	}
	f.Seconds = thousandths(time.Since(began).Seconds())
	return f.figureReport, ctx.Err()
}

// publish prints the table, compares it with a report that was saved, and saves the new one.
func (c figureFlags) publish(r *figureReport, stdout io.Writer) error {
	before, err := c.before(r)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, r.markdown(before)); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	if c.markdown != "" {
		if err := r.insert(c.markdown); err != nil {
			return err
		}
	}
	if c.out == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.WriteFile(c.out, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("save the figures: %w", err)
	}
	return nil
}

// before reads the report to compare with; nil when there is none, or one that cannot be compared.
func (c figureFlags) before(r *figureReport) (*figureReport, error) {
	if c.against == "" {
		return nil, nil
	}
	before, err := readReport(c.against)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case before.Resources != r.Resources || before.Quick != r.Quick:
		r.Notes = append(r.Notes, fmt.Sprintf("Not compared with %s, which is of %s", c.against, plural(before.Resources, "resource")))
		return nil, nil
	}
	return before, nil
}

func readReport(path string) (*figureReport, error) {
	text, err := os.ReadFile(path)
	r := &figureReport{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read saved figures: %w", err)
	}
	return r, nil
}

// measure goes through all parts. What is wrong with one of them is noted, and the others are measured nevertheless.
func (f *figures) measure(ctx context.Context) error {
	var parts []figurePart
	for _, p := range figureParts() {
		if f.only.MatchString(p.name) {
			parts = append(parts, p)
		}
	}
	if len(parts) > 0 {
		if err := f.prepared(ctx, parts); err != nil {
			return err
		}
	}
	if f.only.MatchString(groupCode) {
		f.note(groupCode, f.code(ctx))
	}
	return nil
}

// prepared starts the servers, fills them and measures the parts that need them.
func (f *figures) prepared(ctx context.Context, parts []figurePart) (err error) {
	if err := f.settle(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.clear()) }()
	if err := f.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.fill(ctx); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	for _, p := range parts {
		switch {
		case ctx.Err() != nil:
			return nil
		case f.open == nil || f.signed == nil:
			f.note(p.name, errors.New("a server is gone"))
			continue
		}
		f.tell("%s", p.name)
		f.note(p.name, p.measure(f, ctx))
	}
	return nil
}

// note keeps an error as a problem of the run.
func (f *figures) note(part string, err error) {
	if err != nil {
		f.Problems = append(f.Problems, strings.ToLower(part)+": "+err.Error())
		f.tell("%s: %v", part, err)
	}
}

func (f *figures) tell(format string, values ...any) {
	fmt.Fprintf(f.progress, "fhirbench: "+format+"\n", values...)
}

// add notes a figure.
func (f *figures) add(one figure) {
	f.Figures = append(f.Figures, one)
	by := ""
	if one.Clients > 0 {
		by = ", " + plural(one.Clients, "client")
	}
	f.tell("  %s%s: %s", one.Name, by, one.amount())
}
