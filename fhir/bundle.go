package fhir

import (
	"strconv"
	"time"
)

// A Bundle is a Bundle to be written. https://hl7.org/fhir/R4/bundle.html
type Bundle struct {
	Type        string    // "history", "searchset"
	LastUpdated time.Time // zero leaves it out
	Total       int       // negative leaves it out
	Links       []Link
	Entries     []Entry
}

// A Link is one of the links of a Bundle.
type Link struct {
	Relation string // "self", "next"
	URL      string
}

// An Entry is one entry of a Bundle. The parts that are empty are left out.
type Entry struct {
	FullURL  string
	Resource []byte // a resource as JSON

	Method string // of the request that made this version: "PUT"
	URL    string // of that request, relative: "Patient/1"

	Status       string // of the response to it: "200 OK"
	ETag         string
	LastModified time.Time
}

// Append appends b as JSON to dst.
func (b *Bundle) Append(dst []byte) []byte {
	dst = append(dst, `{"resourceType":"Bundle"`...)
	if !b.LastUpdated.IsZero() {
		dst = appendInstant(append(dst, `,"meta":{"lastUpdated":`...), b.LastUpdated)
		dst = append(dst, '}')
	}
	dst = appendField(dst, `,"type":`, b.Type)
	if b.Total >= 0 {
		dst = strconv.AppendInt(append(dst, `,"total":`...), int64(b.Total), 10)
	}
	separator := `,"link":[`
	for _, l := range b.Links {
		dst = appendField(append(dst, separator...), `{"relation":`, l.Relation)
		dst = append(appendField(dst, `,"url":`, l.URL), '}')
		separator = `,`
	}
	dst = closeArray(dst, len(b.Links))
	separator = `,"entry":[`
	for _, e := range b.Entries {
		dst = e.append(append(dst, separator...))
		separator = `,`
	}
	return append(closeArray(dst, len(b.Entries)), '}')
}

func closeArray(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	return append(dst, ']')
}

func (e *Entry) append(dst []byte) []byte {
	dst = appendField(dst, `{"fullUrl":`, e.FullURL)
	if e.Resource != nil {
		dst = append(append(dst, `,"resource":`...), e.Resource...)
	}
	if e.Method != "" {
		dst = appendField(dst, `,"request":{"method":`, e.Method)
		dst = append(appendField(dst, `,"url":`, e.URL), '}')
	}
	if e.Status != "" {
		dst = appendField(dst, `,"response":{"status":`, e.Status)
		dst = appendField(dst, `,"etag":`, e.ETag)
		dst = append(appendInstant(append(dst, `,"lastModified":`...), e.LastModified), '}')
	}
	return append(dst, '}')
}

func appendField(dst []byte, name, value string) []byte {
	return AppendString(append(dst, name...), value)
}

func appendInstant(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), InstantFormat), '"')
}
