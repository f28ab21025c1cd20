package conformance_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// unanswered is when a effort was answered that never was.
const unanswered = time.Duration(math.MaxInt64)

// The kinds of efforts.
const (
	putting   = "put"
	creating  = "post"
	deleting  = "delete"
	reading   = "read"
	searching = "search"
)

// An effort is one operation of a client, as far as the client knows of it.
type effort struct {
	who, op        string
	key            string         // Type/id; empty for a create whose answer was lost
	marker         string         // of what was written, or of what a read was shown
	content        string         // of what was written, canonical
	together       string         // the transaction that it is part of, or empty
	only           string         // the condition of a conditional create, or empty
	expect         int            // the version that it was to replace: -1 is none, 0 any
	version        int            // that it made or was shown; 0 if there is none or it is not known
	gone           bool           // a read was shown that it is deleted
	group          string         // what a search asked for, or what was written belongs to
	rows           map[string]int // versions that a search found
	status         int
	fate           fate
	sent, answered time.Duration // since the beginning
}

// writes reports whether d was to change something.
func (d effort) writes() bool { return d.op != reading && d.op != searching }

func (d effort) String() string {
	return fmt.Sprintf("%s %s %s (marker %q, group %q, transaction %q, If-Match %d) from %v to %v: %d, version %d, gone %t", d.who, d.op, d.key, d.marker, d.group,
		d.together, d.expect, d.sent, d.answered, d.status, d.version, d.gone)
}

// A trace is a version that the server has in the end.
type trace struct {
	version  int
	marker   string // of a client's write; empty for what the server itself wrote and for a deletion
	together string // the transaction it is said to be part of
	only     string // the condition it was created under
	group    string
	deleted  bool
	content  string // canonical
	status   string
}

// A hearing is what one subscriber was told, and what it should have been told.
type hearing struct {
	want []string // "Type/id", once for each time, and those of one key in order with "/version" if the subscriber sees that
	got  []told
}

// Evidence is all that is known of a run: what clients did, and what the server has.
type evidence struct {
	efforts  []effort
	traces   map[string][]trace  // by key, oldest first
	audited  map[string]bool     // "Type/id/version"
	feeds    map[string][]string // "Type/id/version" as each reader got them
	hearings map[string]hearing
}

// A flaw is something that must not be.
type flaw struct{ what, detail string }

// flaws collects them.
type flaws []flaw

func (f *flaws) add(what, format string, args ...any) {
	*f = append(*f, flaw{what, fmt.Sprintf(format, args...)})
}

// count returns how many are of a kind.
func (f flaws) count(what string) (n int) {
	for _, one := range f {
		if one.what == what {
			n++
		}
	}
	return n
}

// judge holds everything against everything else.
func (e *evidence) judge() (f flaws) {
	e.judgeVersions(&f)
	e.judgeStored(&f)
	e.judgeShown(&f)
	e.judgeDeletions(&f)
	e.judgeTogether(&f)
	e.judgeOnly(&f)
	e.judgeSearches(&f)
	e.judgeOrder(&f)
	e.judgeAudit(&f)
	for who, got := range e.feeds {
		e.judgeFeed(&f, who, got)
	}
	for who, h := range e.hearings {
		h.judge(&f, who)
	}
	return f
}

// judgeVersions wants versions without gaps.
func (e *evidence) judgeVersions(f *flaws) {
	for key, all := range e.traces {
		for i, v := range all {
			if v.version != i+1 {
				f.add("gap", "%s has version %d after %d", key, v.version, i)
				break
			}
		}
	}
}

// at returns a version, or nil.
func (e *evidence) at(key string, version int) *trace {
	all := e.traces[key]
	if version < 1 || version > len(all) {
		return nil
	}
	return &all[version-1]
}

// judgeStored wants what was acknowledged to be stored as it was sent, and what is
// stored to have been sent, not refused, and stored once.
func (e *evidence) judgeStored(f *flaws) {
	sent := map[string]effort{}
	for _, d := range e.efforts {
		if !d.writes() || d.op == deleting {
			continue
		}
		sent[d.marker] = d
		if d.fate != stored || d.only != "" {
			continue
		}
		if v := e.at(d.key, d.version); v == nil || v.marker != d.marker {
			f.add("lost", "acknowledged and not there: %s; version %d is %+v", d, d.version, v)
		}
	}
	where := map[string]string{}
	for key, all := range e.traces {
		for _, v := range all {
			if v.marker == "" {
				continue
			}
			at := fmt.Sprintf("%s/%d", key, v.version)
			d, known := sent[v.marker]
			switch {
			case !known:
				f.add("unsent", "%s with the marker %s was never sent", at, v.marker)
			case where[v.marker] != "":
				f.add("twice", "%s is stored as %s and as %s", d, where[v.marker], at)
			case d.fate == refused:
				f.add("refused", "%s was refused, and is stored as %s", d, at)
			case d.content != v.content || d.key != "" && d.key != key:
				f.add("changed", "%s is stored as %s\nsent %s\nhas  %s", d, at, d.content, v.content)
			}
			where[v.marker] = at
		}
	}
}

// judgeShown wants what a reader was shown to be there for good, also where the writer
// was never answered.
func (e *evidence) judgeShown(f *flaws) {
	for _, d := range e.efforts {
		if d.op != reading || d.fate != stored || d.version == 0 {
			continue
		}
		if v := e.at(d.key, d.version); v == nil || v.deleted != d.gone || v.marker != d.marker {
			f.add("lost", "shown and not there: %s; version %d is %+v", d, d.version, v)
		}
	}
}

// judgeDeletions wants every deletion to have been asked for, and every one that was
// acknowledged to be there.
func (e *evidence) judgeDeletions(f *flaws) {
	asked := map[string]effort{}
	for _, d := range e.efforts {
		if d.op != deleting {
			continue
		}
		if d.fate != refused {
			asked[fmt.Sprintf("%s/%d", d.key, d.expect+1)] = d
		}
		before, after := e.at(d.key, d.expect), e.at(d.key, d.expect+1)
		if d.fate == stored && (after == nil || !after.deleted) && !e.wasGone(d) {
			f.add("lost", "acknowledged and not there: %s; the versions are %+v and %+v", d, before, after)
		}
	}
	for key, all := range e.traces {
		for _, v := range all {
			if _, ok := asked[fmt.Sprintf("%s/%d", key, v.version)]; v.deleted && !ok {
				f.add("unsent", "version %d of %s is a deletion that nobody asked for", v.version, key)
			}
		}
	}
}

// wasGone reports whether what d was to delete was deleted at some time: deleting that
// changes nothing, whatever version is named.
func (e *evidence) wasGone(d effort) bool {
	return slices.ContainsFunc(e.traces[d.key], func(v trace) bool { return v.deleted })
}

// judgeTogether wants all of a transaction or nothing.
func (e *evidence) judgeTogether(f *flaws) {
	parts, found := map[string][]effort{}, map[string]int{}
	for _, d := range e.efforts {
		if d.together != "" && d.writes() {
			parts[d.together] = append(parts[d.together], d)
		}
	}
	for _, all := range e.traces {
		for _, v := range all {
			if v.together != "" {
				found[v.together]++
			}
		}
	}
	for name, all := range parts {
		n := found[name]
		if n != 0 && n != len(all) {
			f.add("torn", "%d of %d parts of %s are stored: %v", n, len(all), name, all)
		}
	}
}

// judgeOnly wants one resource for each condition, and everybody told of that.
func (e *evidence) judgeOnly(f *flaws) {
	found := map[string]string{}
	for key, all := range e.traces {
		for _, v := range all {
			if v.only == "" || v.version > 1 {
				continue
			}
			if other := found[v.only]; other != "" {
				f.add("twice", "%s and %s are both created where there was no %s", key, other, v.only)
			}
			found[v.only] = key
		}
	}
	for _, d := range e.efforts {
		if d.only != "" && d.fate == stored && d.key != found[d.only] {
			f.add("lost", "%s, and what there is is %q", d, found[d.only])
		}
	}
}

// An interval is when a version may have been made.
type interval struct{ sent, answered time.Duration }

// times returns when each version that clients wrote was made, by "Type/id/version". Of several who
// may have deleted one version it was the one who was told so, or else any of them.
func (e *evidence) times() map[string]interval {
	made, at, sure := map[string]interval{}, map[string]interval{}, map[string]bool{}
	for _, d := range e.efforts {
		if !d.writes() || d.fate == refused {
			continue
		}
		when := interval{d.sent, d.answered}
		if d.op == deleting {
			version := fmt.Sprintf("%s/%d", d.key, d.expect+1)
			if before, is := at[version]; is && d.fate != stored {
				when = interval{min(before.sent, when.sent), max(before.answered, when.answered)}
			}
			if !sure[version] {
				at[version] = when
			}
			sure[version] = sure[version] || d.fate == stored
			continue
		}
		made[d.marker] = when
	}
	for key, all := range e.traces {
		for _, v := range all {
			if when, ok := made[v.marker]; ok && v.marker != "" {
				at[fmt.Sprintf("%s/%d", key, v.version)] = when
			}
		}
	}
	return at
}

// judgeSearches wants each search to have found exactly what belongs to its group, as
// it was at some time between the question and the answer.
func (e *evidence) judgeSearches(f *flaws) {
	made, members := e.times(), map[string][]string{}
	for key, all := range e.traces {
		if len(all) > 0 && all[0].group != "" {
			members[all[0].group] = append(members[all[0].group], key)
		}
	}
	for _, d := range e.efforts {
		if d.op != searching || d.fate != stored {
			continue
		}
		for key := range d.rows {
			if !slices.Contains(members[d.group], key) {
				f.add("stray", "%s found %s, which does not belong there", d, key)
			}
		}
		for _, key := range members[d.group] {
			if !e.plausible(made, d, key) {
				f.add("stale", "%s shows version %d of %s, 0 being none; that is not what was there: %+v", d, d.rows[key], key, e.traces[key])
			}
		}
	}
}

// plausible reports whether the version of key that d shows, or none, was current at
// some time from when d was sent until it was answered.
func (e *evidence) plausible(made map[string]interval, d effort, key string) bool {
	all := e.traces[key]
	moment := func(version int) interval { return made[fmt.Sprintf("%s/%d", key, version)] }
	ok := func(version int) bool { // it was current at such a time
		begun := version == 0 || moment(version).sent <= d.answered
		over := version < len(all) && moment(version+1).answered < d.sent
		return begun && !over
	}
	if shown := d.rows[key]; shown > 0 {
		return shown <= len(all) && !all[shown-1].deleted && ok(shown)
	}
	if ok(0) {
		return true
	}
	for _, v := range all {
		if v.deleted && ok(v.version) {
			return true
		}
	}
	return false
}

// judgeAudit wants a line for everything that was acknowledged.
func (e *evidence) judgeAudit(f *flaws) {
	for _, d := range e.efforts {
		if !d.writes() || d.fate != stored || d.only != "" {
			continue
		}
		version := d.version
		if d.op == deleting {
			version = d.expect + 1
			if v := e.at(d.key, version); v == nil || !v.deleted {
				continue // it was deleted already
			}
		}
		if at := fmt.Sprintf("%s/%d", d.key, version); !e.audited[at] {
			f.add("unaudited", "there is no line about %s", d)
		}
	}
}

// judgeFeed wants a reader to have got every version once, and those of one resource
// in order.
func (e *evidence) judgeFeed(f *flaws, who string, got []string) {
	seen, newest := map[string]bool{}, map[string]int{}
	for _, at := range got {
		i := strings.LastIndexByte(at, '/')
		var version int
		if _, err := fmt.Sscan(at[i+1:], &version); err != nil {
			f.add("missed", "%s got %q, which is no version", who, at)
			continue
		}
		if key := at[:i]; seen[at] {
			f.add("doubled", "%s got %s again", who, at)
		} else if version < newest[key] {
			f.add("disordered", "%s got %s after version %d", who, at, newest[key])
		} else {
			newest[key] = version
		}
		seen[at] = true
	}
	for key, all := range e.traces {
		for _, v := range all {
			if at := fmt.Sprintf("%s/%d", key, v.version); !seen[at] {
				f.add("missed", "%s never got %s", who, at)
			} else {
				delete(seen, at)
			}
		}
	}
	for at := range seen {
		f.add("unsent", "%s got %s, which is not there", who, at)
	}
}

// judge wants events numbered from one without gaps, and about everything that there
// was to tell, that of one resource in order.
func (h hearing) judge(f *flaws, who string) {
	for i, x := range h.got {
		if x.number != int64(i+1) {
			f.add("hook", "%s got event %d after %d", who, x.number, i)
			break
		}
	}
	want, got := byResource(h.want), byResource(foci(h.got))
	for key, list := range want {
		if !slices.Equal(list, got[key]) {
			f.add("hook", "%s should be told of %v, and was told of %v", who, list, got[key])
		}
	}
	for key, list := range got {
		if want[key] == nil {
			f.add("hook", "%s was told of %v, which there is no reason for", who, list)
		}
	}
}

// byResource sorts "Type/id" and "Type/id/version" by "Type/id".
func byResource(all []string) map[string][]string {
	sorted := map[string][]string{}
	for _, one := range all {
		parts := strings.SplitN(one, "/", 3)
		key := strings.Join(parts[:min(2, len(parts))], "/")
		sorted[key] = append(sorted[key], one)
	}
	return sorted
}
