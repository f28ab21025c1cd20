package store

import (
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A cursor is a place in a history: the snapshot that all pages share, the safe
// time of the first page, and the last version shown.
type cursor struct {
	snapshot string // empty before the first page
	safe     time.Time
	updated  time.Time
	seq      int64
}

// cursorVersion is the first field of every cursor, so that its format can grow.
const cursorVersion = 1

// seal writes c as an opaque word that is good for h only.
func (s *secret) seal(c cursor, h History) string {
	text := fmt.Sprintf("%d %s %d %d %d", cursorVersion, c.snapshot, c.safe.UnixMicro(), c.updated.UnixMicro(), c.seq)
	return base64.RawURLEncoding.EncodeToString(append(s.sign([]byte(text+purpose(h))), text...))
}

// open reads what seal wrote. A cursor that was changed, belongs to another
// history, or is from before a restore is refused.
func (s *secret) open(word string, h History) (cursor, error) {
	refused := fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link is not valid here any more; start again from the first page.")
	b, err := base64.RawURLEncoding.DecodeString(word)
	if err != nil || len(b) < 12 {
		return cursor{}, refused
	}
	code, text := b[:12], b[12:]
	if !hmac.Equal(code, s.sign([]byte(string(text)+purpose(h)))) {
		return cursor{}, refused
	}
	var c cursor
	var version int
	var safe, updated int64
	if _, err := fmt.Fscanf(strings.NewReader(string(text)), "%d %s %d %d %d", &version, &c.snapshot, &safe, &updated, &c.seq); err != nil || version != cursorVersion {
		return cursor{}, refused
	}
	c.safe, c.updated = time.UnixMicro(safe).UTC(), time.UnixMicro(updated).UTC()
	return c, nil
}

// purpose is what a cursor is bound to: everything of h but the page.
func purpose(h History) string {
	return fmt.Sprintf(" %s/%s %d %d %d", h.Type, h.ID, h.Since.UnixMicro(), h.From.UnixMicro(), h.To.UnixMicro())
}
