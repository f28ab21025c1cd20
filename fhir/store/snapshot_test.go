package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestSnapshotReads reads one state while others write, and writes nothing.
func TestSnapshotReads(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	mustPut(t, db, fmt.Sprintf(basic, "a", "before"))
	k := fhir.Key{Type: "Basic", ID: "a"}
	err := db.Snapshot(t.Context(), func(ctx context.Context, tx *Tx) error {
		for _, change := range []func(){func() { mustPut(t, db, fmt.Sprintf(basic, "a", "after")) }, func() { mustPut(t, db, fmt.Sprintf(basic, "b", "new")) }} {
			now, err := tx.Current(ctx, []fhir.Key{k})
			if err != nil {
				return err
			}
			found, err := tx.Matching(ctx, "Basic", "_id=a,b", 10)
			if err != nil {
				return err
			}
			if now[k].Number != 1 || len(found) != 1 || found[0].Number != 1 {
				t.Errorf("version %d is current, and %v is found", now[k].Number, found)
			}
			change()
		}
		_, err := tx.Write(ctx, []Change{changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "c", "never"))}, nil)
		return err
	})
	if err == nil {
		t.Error("it writes")
	}
	if v, err := db.Read(t.Context(), fhir.Key{Type: "Basic", ID: "c"}); v != nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	stop := errors.New("enough")
	if err := db.Snapshot(t.Context(), func(context.Context, *Tx) error { return stop }); err != stop {
		t.Error(err)
	}
}

// TestFeedRetracted tells who had what is taken back that it was, and nobody else.
func TestFeedRetracted(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	const message = `{"resourceType":"Communication","id":"m"%s,"status":"completed","recipient":[{"reference":"Organization/c"}],"payload":[{"contentString":"x"}]}`
	mustPut(t, db, fmt.Sprintf(message, ""))
	grants := map[string]access.Grant{"recipient": seeing([]access.Key{{Kind: access.Party, Of: "Organization/c"}}, access.DeniedLabels(nil, false)),
		"stranger": seeing([]access.Key{{Kind: access.Party, Of: "Organization/d"}}, access.DeniedLabels(nil, false)),
		"auditor":  seeing([]access.Key{{Kind: access.Party, Of: "Organization/c"}}, access.DeniedLabels([]string{access.Retracted}, false))}
	cursors := map[string]string{}
	read := func(who string) FeedPage {
		p, err := db.Changes(t.Context(), grants[who], Feed{Count: 10, After: cursors[who]})
		if err != nil {
			t.Fatal(err)
		}
		cursors[who] = p.Next
		return p
	}
	for who, want := range map[string]int{"recipient": 1, "stranger": 0, "auditor": 1} {
		if p := read(who); len(p.Entries) != want {
			t.Errorf("%s: %v", who, p.Entries)
		}
	}
	mustPut(t, db, fmt.Sprintf(message, `,"meta":{"security":[{"system":"`+access.LabelSystem+`","code":"`+access.Retracted+`"}]}`))
	if p := read("recipient"); len(p.Entries) != 1 || p.Entries[0].Reason != ReasonError || !p.Entries[0].Deleted() || p.Entries[0].Stored != nil {
		t.Errorf("the recipient is told %v", p.Entries)
	}
	if p := read("stranger"); len(p.Entries) != 0 {
		t.Errorf("a stranger is told %v", p.Entries)
	}
	if p := read("auditor"); len(p.Entries) != 1 || p.Entries[0].Reason != "" || p.Entries[0].Stored == nil {
		t.Errorf("the auditor is told %v", p.Entries)
	}
}
