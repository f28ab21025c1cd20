package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A feedSpan is what became visible between two snapshots: a window of the feed.
type feedSpan struct {
	then, now feedMoment
	high      int64 // no change in it has a greater seq
}

// A feedMoment is a snapshot and what belongs to it.
type feedMoment struct {
	snapshot
	low int64 // transactions that the snapshot does not know of yet have greater numbers of seq
	at  int64 // when it was taken, in seconds since 1970
}

// A feedCursor is a place in the feed of one caller.
type feedCursor struct {
	phase feedPhase
	feedSpan
	place int64 // the seq that was reached in the window, or the rid in the first state
	open  int64 // the greatest seq of transactions of which a part has been delivered

	generation int64
	purpose    [feedSum]byte // what was asked, and by whom
	shows      [feedSum]byte // what the grant showed
}

// A feedPhase says where in the feed a cursor is.
type feedPhase byte

const (
	feedState   feedPhase = 1 + iota // in the first state, as of then
	feedBetween                      // before the window that begins with then
	feedWithin                       // in the window
)

// feedSum is how many bytes a digest in a cursor has.
const feedSum = 12

// feedFormat is the first byte of a cursor. It is followed by the number of
// database nodes, each of which has transactions of its own.
const feedFormat = 1

// pack writes c.
func (c *feedCursor) pack() []byte {
	const nodes = 1
	b := append(make([]byte, 0, 128), feedFormat, nodes, byte(c.phase))
	b = binary.AppendVarint(b, c.generation)
	b = append(append(b, c.purpose[:]...), c.shows[:]...)
	b = c.then.append(b)
	if c.phase == feedWithin {
		b = binary.AppendVarint(c.now.append(b), c.high)
	}
	return binary.AppendVarint(binary.AppendVarint(b, c.place), c.open)
}

func (m feedMoment) append(b []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(m.snapshot.append(b), m.low), m.at)
}

func (u *unpacker) moment() feedMoment {
	return feedMoment{snapshot: u.snapshot(), low: u.int(), at: u.int()}
}

// unpackFeed reads what pack wrote.
func unpackFeed(b []byte) (feedCursor, error) {
	var c feedCursor
	if len(b) < 3 || b[0] != feedFormat || b[1] != 1 || b[2] < byte(feedState) || b[2] > byte(feedWithin) {
		return c, errPacked
	}
	c.phase = feedPhase(b[2])
	u := unpacker{rest: b[3:]}
	c.generation = u.int()
	copy(c.purpose[:], u.bytes(feedSum))
	copy(c.shows[:], u.bytes(feedSum))
	c.then = u.moment()
	if c.phase == feedWithin {
		c.now, c.high = u.moment(), u.int()
	}
	c.place, c.open = u.int(), u.int()
	if u.err == nil && len(u.rest) > 0 {
		u.err = errPacked
	}
	return c, u.err
}

// sealFeed encrypts a cursor: it counts what others write. Unlike other words it
// outlives a restore, so that whoever comes with it can be told what happened.
func (s *secret) sealFeed(c *feedCursor) string {
	plain := c.pack()
	nonce := s.derive(sealNonce, plain)[:12]
	return base64.RawURLEncoding.EncodeToString(s.aead().Seal(nonce, nonce, plain, feedBound))
}

// feedBound is what a cursor of the feed is bound to beside its content.
var feedBound = []byte("feed")

func (s *secret) openFeed(word string) (feedCursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(word)
	if err != nil || len(b) < 12 {
		return feedCursor{}, refusedCursor()
	}
	plain, err := s.aead().Open(nil, b[:12], b[12:], feedBound)
	if err != nil {
		return feedCursor{}, refusedCursor()
	}
	c, err := unpackFeed(plain)
	if err != nil {
		return feedCursor{}, refusedCursor()
	}
	return c, nil
}

func refusedCursor() error {
	o := fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The cursor is none that was given to you for this request. Send it unchanged, with the same _type and _origin and by the same client, or leave it out to start from the current state.")
	o.Issues[0].Detail = "invalid-cursor"
	return o
}

func expiredCursor(why string) error {
	o := fhir.Errorf(fhir.Gone, fhir.Processing, "", "%s, so what has changed since cannot be told any more. Start again without a cursor: that gives the current state first, and what you have besides is gone.", why)
	o.Issues[0].Detail = "cursor-expired"
	return o
}

// feedPurpose says what a cursor was given for: the same question by the same caller,
// whatever token they come with.
func feedPurpose(g access.Grant, f Feed) [feedSum]byte {
	types := slices.Clone(f.Types)
	slices.Sort(types)
	t := g.Terms()
	return feedDigest(fmt.Appendf(nil, "%t %q %q %q %q %q", g.IsTrusted(), t.Client, t.User.String(), t.Patient.String(), types, f.NotOrigin))
}

// feedShows says what g shows of some types. Another answer means that there are
// resources which it shows now and has not shown before, or the other way round,
// without any change of theirs.
func feedShows(g access.Grant, types []string) [feedSum]byte {
	if len(types) == 0 {
		types = []string{""}
	}
	var all []string
	for _, typ := range types {
		for _, b := range g.View(access.MaySearch, typ) {
			for _, keys := range []*[]access.Key{&b.Parties, &b.Within, &b.Denied} {
				if *keys != nil {
					*keys = sortedKeys(*keys)
				}
			}
			// A branch has only names and lists.
			text, _ := json.Marshal(b)
			all = append(all, typ+string(text))
		}
	}
	slices.Sort(all)
	text, _ := json.Marshal(slices.Compact(all))
	return feedDigest(text)
}

func sortedKeys(keys []access.Key) []access.Key {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b access.Key) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return bytes.Compare([]byte(a.Of), []byte(b.Of))
	})
	return sorted
}

func feedDigest(of []byte) [feedSum]byte {
	sum := sha256.Sum256(of)
	return [feedSum]byte(sum[:])
}

// cursor returns the cursor that f goes on from, or nil for the beginning.
func (db *DB) cursor(g access.Grant, f Feed) (*feedCursor, error) {
	if f.After == "" {
		return nil, nil
	}
	c, err := db.secret.openFeed(f.After)
	switch {
	case err != nil:
		return nil, err
	case c.purpose != feedPurpose(g, f):
		return nil, refusedCursor()
	case c.generation != db.secret.generation:
		return nil, expiredCursor("The database was restored after this cursor was given")
	case f.Retention > 0 && f.now().Sub(time.Unix(c.then.at, 0)) > f.Retention:
		return nil, expiredCursor("The cursor is older than what is kept")
	case c.shows != feedShows(g, f.Types):
		return nil, expiredCursor("What you may see is not what it was when this cursor was given")
	}
	return &c, nil
}
