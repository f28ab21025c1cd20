package store

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]snapshot{
		"10:10:":                           {xmax: 10},
		"7:12:7,9,11":                      {xmax: 12, running: []uint64{7, 9, 11}},
		"7:12:11,7":                        {xmax: 12, running: []uint64{7, 11}},
		"4294967297:4294967299:4294967297": {xmax: 4294967299, running: []uint64{4294967297}},
	} {
		got, err := parseSnapshot(text)
		if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(snapshot{})) {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
		again, err := parseSnapshot(got.String())
		if err != nil || !cmp.Equal(again, want, cmp.AllowUnexported(snapshot{})) {
			t.Errorf("%s is written as %s", text, got)
		}
		u := unpacker{rest: got.append(nil)}
		if packed := u.snapshot(); u.err != nil || len(u.rest) > 0 || !cmp.Equal(packed, want, cmp.AllowUnexported(snapshot{})) {
			t.Errorf("%s is packed as %+v, %v", text, packed, u.err)
		}
	}
	for _, text := range []string{"", "1:2", "1:x:", "1:2:x", "1:2:3:4"} {
		if s, err := parseSnapshot(text); err == nil {
			t.Errorf("%q is read as %+v", text, s)
		}
	}
}

// TestSnapshotExtended: what was going on behind xmax is known to be going on.
func TestSnapshotExtended(t *testing.T) {
	t.Parallel()
	s := snapshot{xmax: 1<<32 + 5, running: []uint64{9}}
	later := snapshot{xmax: 1<<32 + 5, running: []uint64{9}}
	if !s.extend(7) || s.xmax != 1<<32+7 || !slices.Equal(s.running, []uint64{9, 1<<32 + 5, 1<<32 + 6}) {
		t.Errorf("extended to %+v", s)
	}
	before := feedMoment{snapshot: s}
	if !before.quiet(feedMoment{snapshot: later}) {
		t.Error("something has ended although xmax is the same")
	}
	for _, ended := range []snapshot{{xmax: 1<<32 + 5}, {xmax: 1<<32 + 6, running: []uint64{9}}, {xmax: 1<<32 + 8, running: []uint64{9, 1<<32 + 5, 1<<32 + 6}}} {
		if before.quiet(feedMoment{snapshot: ended}) {
			t.Errorf("nothing has ended by %s", ended)
		}
	}
	if s.extend(uint32(s.xmax) + mostExtended + 1) {
		t.Error("extended by very many")
	}
}

// TestFeedCursorLength: a cursor fits into an address with hundreds of transactions
// going on at both ends of its window.
func TestFeedCursorLength(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	running := func(xmax uint64) snapshot {
		s := snapshot{xmax: xmax, running: []uint64{1 << 33}}
		for xid := xmax - 900; xid < xmax; xid += 1 + r.Uint64N(5) {
			s.running = append(s.running, xid)
		}
		return s
	}
	c := feedCursor{phase: feedWithin, feedSpan: feedSpan{then: feedMoment{running(1 << 40), 1 << 50, 1 << 33}, now: feedMoment{running(1<<40 + 100), 1 << 50, 1 << 33}, high: 1 << 51}, place: 1 << 50, open: 1 << 50}
	s := secret{cursor: bytes.Repeat([]byte{7}, 32)}
	word := s.sealFeed(&c)
	t.Logf("%d and %d transactions take %d bytes", len(c.then.running), len(c.now.running), len(word))
	if len(word) > 1500 {
		t.Errorf("a cursor of %d bytes", len(word))
	}
	back, err := s.openFeed(word)
	if err != nil || !cmp.Equal(back, c, cmp.AllowUnexported(feedCursor{}, feedSpan{}, feedMoment{}, snapshot{})) {
		t.Errorf("opened as %+v, %v", back, err)
	}
}

func FuzzUnpackFeed(f *testing.F) {
	c := feedCursor{phase: feedWithin, feedSpan: feedSpan{then: feedMoment{snapshot{12, []uint64{7, 9}}, 3, 4}, now: feedMoment{snapshot{13, nil}, 4, 5}, high: 6}, place: 7, open: 8, generation: 1}
	f.Add(c.pack())
	c.phase = feedBetween
	f.Add(c.pack())
	f.Add([]byte{feedFormat, 1, byte(feedState)})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := unpackFeed(b)
		if err != nil {
			return
		}
		again, err := unpackFeed(c.pack())
		if err != nil || !cmp.Equal(again, c, cmp.AllowUnexported(feedCursor{}, feedSpan{}, feedMoment{}, snapshot{})) {
			t.Errorf("%+v is packed as %+v, %v", c, again, err)
		}
	})
}

func FuzzParseSnapshot(f *testing.F) {
	for _, text := range []string{"10:10:", "7:12:7,9,11", "1:2", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSnapshot(text)
		if err != nil {
			return
		}
		again, err := parseSnapshot(s.String())
		if err != nil || again.xmax != max(s.xmax, 1) || !slices.Equal(again.running, s.running) {
			t.Errorf("%q is %+v, and then %+v, %v", text, s, again, err)
		}
	})
}

// TestFeedCursorsEnd: a cursor is refused to others, and has expired when it is too
// old, when what its holder sees has changed, and after a restore.
func TestFeedCursorsEnd(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	mustPut(t, db, `{"resourceType":"Patient","id":"a"}`)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mine := func(change func(*access.Terms)) access.Grant {
		terms := access.Terms{Client: "c", ID: "token", Scopes: []access.Scope{{Context: access.ForSystem, Type: "Patient", Allows: access.MaySearch}},
			Standings: map[access.Context]access.Standing{access.ForSystem: {Parties: []access.Key{{Kind: access.Open}, {Kind: access.Party, Of: "Organization/a"}}}}}
		change(&terms)
		return access.NewGrant(terms)
	}
	g := mine(func(*access.Terms) {})
	f := Feed{Types: []string{"Patient"}, Count: 5, Now: now, Retention: time.Hour}
	p, err := db.Changes(t.Context(), g, f)
	if err != nil {
		t.Fatal(err)
	}
	f.After = p.Next
	ask := func(g access.Grant, f Feed) string {
		_, err := db.Changes(t.Context(), g, f)
		o := fhir.AsOutcome(err)
		switch {
		case err == nil:
			return ""
		case o == nil:
			t.Fatal(err)
		case (o.Class == fhir.Gone) != (o.Issues[0].Detail == "cursor-expired"):
			t.Errorf("class %d for %s", o.Class, o.Issues[0].Detail)
		}
		return o.Issues[0].Detail
	}
	for name, c := range map[string]struct {
		grant  access.Grant
		change func(*Feed)
		want   string
	}{
		"the same":          {g, func(*Feed) {}, ""},
		"another token":     {mine(func(t *access.Terms) { t.ID = "next" }), func(*Feed) {}, ""},
		"another page size": {g, func(f *Feed) { f.Count = 7 }, ""},
		"keys in other order": {mine(func(t *access.Terms) {
			t.Standings[access.ForSystem] = access.Standing{Parties: []access.Key{{Kind: access.Party, Of: "Organization/a"}, {Kind: access.Open}}}
		}), func(*Feed) {}, ""},
		"another client":     {mine(func(t *access.Terms) { t.Client = "d" }), func(*Feed) {}, "invalid-cursor"},
		"another user":       {mine(func(t *access.Terms) { t.User = fhir.Key{Type: "Practitioner", ID: "p"} }), func(*Feed) {}, "invalid-cursor"},
		"trusted":            {access.Trusted("c"), func(*Feed) {}, "invalid-cursor"},
		"other types":        {g, func(f *Feed) { f.Types = nil }, "invalid-cursor"},
		"another origin":     {g, func(f *Feed) { f.NotOrigin = "x" }, "invalid-cursor"},
		"a changed word":     {g, func(f *Feed) { f.After = "A" + f.After[1:] + "A" }, "invalid-cursor"},
		"a word of a search": {g, func(f *Feed) { f.After = db.Seal([]byte("x")) }, "invalid-cursor"},
		"in time":            {g, func(f *Feed) { f.Now = now.Add(59 * time.Minute) }, ""},
		"too late":           {g, func(f *Feed) { f.Now = now.Add(61 * time.Minute) }, "cursor-expired"},
		"another organisation": {mine(func(t *access.Terms) {
			t.Standings[access.ForSystem] = access.Standing{Parties: []access.Key{{Kind: access.Open}}}
		}), func(*Feed) {}, "cursor-expired"},
		"another condition": {mine(func(t *access.Terms) { t.Scopes[0].Where = []access.Argument{{Param: "gender", Value: "male"}} }), func(*Feed) {}, "cursor-expired"},
	} {
		asked := f
		c.change(&asked)
		if got := ask(c.grant, asked); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	_, position, _, err := db.Follow(t.Context(), "", nil, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.BeginFeed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(g, f); got != "cursor-expired" {
		t.Errorf("after a restore: %q", got)
	}
	if _, _, _, err := db.Follow(t.Context(), position, nil, 5); err != ErrFollowing {
		t.Errorf("after a restore the follower goes on: %v", err)
	}
}
