package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Between one of these lines of a file and the last of them the table is put in.
const (
	figuresOfMark = "<!-- figures of %d -->" // of a run with so many resources
	figuresMark   = "<!-- figures -->"
	headlinesMark = "<!-- headline figures -->" // some of them
	figuresEnd    = "<!-- end of figures -->"
)

// headlines are the names of the figures that say most, each of all clients.
var headlines = []string{
	groupSingle + "/create Communication", groupSingle + "/read Communication", groupSingle + "/create Task", groupSingle + "/create QuestionnaireResponse",
	groupTransaction + "/Bundles of 100", groupLoad + "/" + wayLoad, groupExport + "/" + wayExport,
	groupSearch + "/identifier", groupSearch + "/subject+sent sorted", groupSearch + "/chain by name",
	groupWorklist + "/of an owner, due first, signed in",
	groupFeed + "/from the acknowledgement", groupHooks + "/delivery, 1000 subscriptions",
	groupConversation + "/a form by a patient, which becomes a Task", groupConversation + "/a message of the practice",
	groupStart + "/first answer, the database started as well", groupStart + "/resident memory, with sign-in",
	groupFill + "/on disk, for each resource with its rows, indexes and history",
}

func isHeadline(f figure) bool { return slices.Contains(headlines, f.Group+"/"+f.Name) }

// insert puts the table into a file.
func (r *figureReport) insert(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("put the table into a file: %w", err)
	}
	for _, place := range []struct {
		mark  string
		brief bool
	}{{fmt.Sprintf(figuresOfMark, r.Resources), false}, {figuresMark, false}, {headlinesMark, true}} {
		before, rest, begun := strings.Cut(string(text), place.mark+"\n")
		_, after, ended := strings.Cut(rest, figuresEnd)
		if !begun || !ended {
			continue
		}
		table := r.markdown(nil)
		if place.brief {
			table = r.brief()
		}
		all := before + place.mark + "\n\n" + table + figuresEnd + after
		if err := os.WriteFile(path, []byte(all), 0o644); err != nil {
			return fmt.Errorf("put the table into a file: %w", err)
		}
		return nil
	}
	return fmt.Errorf("put the table into %s: it has no lines %s and %s", path, figuresMark, figuresEnd)
}

// The head of a table.
const (
	tableHead = "| | | p50 | p99 | 1 client p50 | p99 | |"
	tableLine = "|---|--:|--:|--:|--:|--:|---|"
)

// brief writes the headlines as a table.
func (r *figureReport) brief() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n%s\n", r.heading(), tableHead, tableLine)
	for _, f := range r.Figures {
		if isHeadline(f) && !r.isAside(f) {
			b.WriteString(strings.Replace(r.row(f), "| ", "| "+f.Group+": ", 1) + "\n")
		}
	}
	r.admit(&b)
	return b.String()
}

// isAside reports whether f has no row of its own.
func (r *figureReport) isAside(f figure) bool { return f.Reference || f.Clients == 1 && r.hasAll(f) }

// markdown writes all figures as a table, and what changed against those before unless that is nil.
func (r *figureReport) markdown(before *figureReport) string {
	var b strings.Builder
	b.WriteString(r.heading())
	last, head, line := "", tableHead, tableLine
	if before != nil {
		fmt.Fprintf(&b, "The last column is against %s of %s.\n\n", before.commitName(), before.Date.Format(time.DateOnly))
		head, line = head+" before |", line+"--:|"
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, line)
	for _, f := range r.Figures {
		if r.isAside(f) {
			continue
		}
		if f.Group != last {
			fmt.Fprintf(&b, "| **%s** |%s\n", f.Group, strings.Repeat(" |", strings.Count(head, "|")-2))
			last = f.Group
		}
		b.WriteString(r.row(f))
		if before != nil {
			fmt.Fprintf(&b, " %s |", f.changed(before, r.Noise))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	r.admit(&b)
	return b.String()
}

// admit writes what went wrong.
func (r *figureReport) admit(b *strings.Builder) {
	for _, p := range r.Problems {
		fmt.Fprintf(b, "\n**Went wrong:** %s\n", p)
	}
}

func (r *figureReport) heading() string {
	m := r.Machine
	made := ""
	if r.Quick {
		made = "This was a quick run: it shows that everything works, and the figures mean nothing.\n\n"
	}
	return made + fmt.Sprintf(`%s, %s: %s resources of seed %d in PostgreSQL %s, on %s of %s with %.0f GiB (%s) that server, database and
clients share, with a load of %.1f before. %d clients in a closed loop, fsync on; p50 and p99 in ms; a share of raw, own SQL or another way is the median
of the rounds, with the lowest and highest. The run took %s.

`, r.commitName(), r.Date.Format(time.DateOnly), number(float64(r.Resources)), r.Seed, m.PostgreSQL, plural(m.Cores, "core"), m.CPU,
		float64(m.MemoryMiB)/1024, m.Go, m.LoadBefore, figureClients, (time.Duration(r.Seconds)*time.Second).String())
}

func (r *figureReport) commitName() string {
	const whole, short = 40, 12
	switch {
	case r.Commit == "":
		return "A build without a commit"
	case len(r.Commit) == whole:
		return "Commit " + r.Commit[:short]
	}
	return "Commit " + r.Commit
}

// hasAll reports whether what one client did was done by all of them, too: both are in one row then.
func (r *figureReport) hasAll(alone figure) bool {
	alone.Clients = figureClients
	_, found := r.find(alone)
	return found
}

// row writes the cells of a figure, with those of one client alone.
func (r *figureReport) row(f figure) string {
	alone := figure{}
	if f.Clients == figureClients {
		like := f
		like.Clients = 1
		alone, _ = r.find(like)
	}
	var remarks []string
	if f.Of != "" {
		remarks = append(remarks, f.share())
	}
	if f.Matches > 0 {
		remarks = append(remarks, number(f.Matches)+" matches")
	}
	if f.Allocs > 0 {
		remarks = append(remarks, fmt.Sprintf("%.0f allocations", f.Allocs))
	}
	for _, failure := range []string{f.Failure, alone.Failure} {
		if failure != "" {
			remarks = append(remarks, "**"+strings.ReplaceAll(failure, "|", "/")+"**")
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |", f.Name, f.amount(), filled(f.P50), filled(f.P99), filled(alone.P50), filled(alone.P99), strings.Join(remarks, "; "))
}

// share writes the ratio: as a percentage, or where it is more than two as a multiple.
func (f figure) share() string {
	const multiple = 2
	if f.Ratio > multiple {
		return fmt.Sprintf("%.1f × %s (%.1f–%.1f)", f.Ratio, f.Of, f.RatioLow, f.RatioHigh)
	}
	return fmt.Sprintf("%.0f %% of %s (%.0f–%.0f)", 100*f.Ratio, f.Of, 100*f.RatioLow, 100*f.RatioHigh)
}

// filled writes a number, and nothing for none.
func filled(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
}
