package fhir

import (
	"bytes"
	"strconv"
	"time"
)

// InstantFormat is how the server writes an instant, to the millisecond and in
// UTC.
const InstantFormat = "2006-01-02T15:04:05.000Z"

// Meta is what only the database knows of a version.
type Meta struct {
	Version int       // meta.versionId
	Updated time.Time // meta.lastUpdated
}

// Stamp appends the stored form of the resource named k to dst, with m spliced
// into its meta. It does not parse: stored must be what [Resource.Stored] made
// for k.
func Stamp(dst, stored []byte, k Key, m Meta) []byte {
	at := len(`{"resourceType":"","id":""`) + len(k.Type) + len(k.ID)
	dst = append(dst, stored[:at]...)
	dst = append(dst, `,"meta":{"versionId":"`...)
	dst = strconv.AppendInt(dst, int64(m.Version), 10)
	dst = append(dst, `","lastUpdated":"`...)
	dst = m.Updated.UTC().AppendFormat(dst, InstantFormat)
	dst = append(dst, '"')
	rest := stored[at:]
	if more, ok := bytes.CutPrefix(rest, []byte(`,"meta":{`)); ok {
		return append(append(dst, ','), more...)
	}
	return append(append(dst, '}'), rest...)
}
