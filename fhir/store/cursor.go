package store

import (
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
const cursorVersion = 2

// seal writes c as an opaque word that is good for one purpose only. It is
// encrypted: its numbers count what others write.
func (s *secret) seal(c cursor, purpose string) string {
	return s.encrypt(fmt.Appendf(nil, "%d %s %d %d %d %s", cursorVersion, c.snapshot, c.safe.UnixMicro(), c.updated.UnixMicro(), c.seq, purpose))
}

// open reads what seal wrote. A cursor that was changed, belongs to another
// history or to somebody else, or is from before a restore is refused.
func (s *secret) open(word, purpose string) (cursor, error) {
	text, err := s.decrypt(word)
	if err != nil {
		return cursor{}, err
	}
	var c cursor
	var version int
	var safe, updated int64
	place, found := strings.CutSuffix(string(text), " "+purpose)
	if _, err := fmt.Sscanf(place, "%d %s %d %d %d", &version, &c.snapshot, &safe, &updated, &c.seq); err != nil || !found || version != cursorVersion {
		return cursor{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link is not valid here any more; start again from the first page.")
	}
	c.safe, c.updated = time.UnixMicro(safe).UTC(), time.UnixMicro(updated).UTC()
	return c, nil
}

// purpose is what a cursor is bound to: everything of h but the page, and whose it
// is.
func purpose(h History, holder string) string {
	return fmt.Sprintf("%s/%s %d %d %d %q", h.Type, h.ID, h.Since.UnixMicro(), h.From.UnixMicro(), h.To.UnixMicro(), holder)
}
