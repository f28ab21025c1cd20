package fhir

import (
	"slices"
	"strconv"
	"time"
)

// A Bundle is a Bundle to be written. https://hl7.org/fhir/R4/bundle.html
type Bundle struct {
	Type        string    // "history", "searchset", "batch-response"
	LastUpdated time.Time // zero leaves it out
	Identifier  string    // a URI that names a document: "urn:uuid:…"; empty leaves it out
	Timestamp   time.Time // when a document was put together; zero leaves it out
	Total       int       // negative leaves it out
	Estimated   bool      // Total is an estimate, and says so
	Links       []Link
	Base        string // of the full URLs of entries with a Key, without a last slash
	Entries     []Entry
}

// EstimateURL is the extension of a total that is an estimate.
const EstimateURL = "https://fhir.openconsult.example/StructureDefinition/estimate"

// A Link is one of the links of a Bundle.
type Link struct {
	Relation string // "self", "next"
	URL      string
}

// An Entry is one entry of a Bundle. The parts that are empty are left out.
type Entry struct {
	FullURL  string
	Resource []byte // a resource as JSON

	// Stored is, in place of Resource, the stored form of the resource Key, which
	// is stamped with Meta while it is written. A Key also stands in for FullURL.
	Stored []byte
	Key    Key
	Meta   Meta

	Mode string // of a searchset: "match", "include", "outcome"

	Method string // of the request that made this version: "PUT"
	URL    string // of that request, relative: "Patient/1"

	Status       string // of the response to it: "200 OK"
	Location     string
	ETag         string
	LastModified time.Time
	Outcome      []byte // an OperationOutcome as JSON

	Extensions []byte // of the entry itself, as a JSON array; nil for none
	Links      []Link // of the entry itself
}

// Size returns how many bytes Append appends, rounded up.
func (b *Bundle) Size() int {
	size := 500
	for _, l := range b.Links {
		size += 2*len(l.URL) + 50
	}
	for i := range b.Entries {
		size += b.Entries[i].size(b.Base)
	}
	return size
}

// Append appends b as JSON to dst.
func (b *Bundle) Append(dst []byte) []byte {
	dst = append(dst, `{"resourceType":"Bundle"`...)
	if !b.LastUpdated.IsZero() {
		dst = appendInstant(append(dst, `,"meta":{"lastUpdated":`...), b.LastUpdated)
		dst = append(dst, '}')
	}
	if b.Identifier != "" {
		dst = append(appendField(dst, `,"identifier":{"system":"urn:ietf:rfc:3986","value":`, b.Identifier), '}')
	}
	dst = appendField(dst, `,"type":`, b.Type)
	if !b.Timestamp.IsZero() {
		dst = appendInstant(append(dst, `,"timestamp":`...), b.Timestamp)
	}
	if b.Total >= 0 {
		dst = strconv.AppendInt(append(dst, `,"total":`...), int64(b.Total), 10)
	}
	if b.Total >= 0 && b.Estimated {
		dst = append(dst, `,"_total":{"extension":[{"url":"`+EstimateURL+`","valueBoolean":true}]}`...)
	}
	dst = appendLinks(dst, b.Links)
	separator := `,"entry":[`
	for i := range b.Entries {
		dst = b.Entries[i].append(append(dst, separator...), b.Base)
		separator = `,`
	}
	return append(closeArray(dst, len(b.Entries)), '}')
}

// appendLinks appends links as a property with a comma before it; nothing for none.
func appendLinks(dst []byte, links []Link) []byte {
	separator := `,"link":[`
	for _, l := range links {
		dst = appendField(append(dst, separator...), `{"relation":`, l.Relation)
		dst = append(appendField(dst, `,"url":`, l.URL), '}')
		separator = `,`
	}
	return closeArray(dst, len(links))
}

func closeArray(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	return append(dst, ']')
}

// size returns about how many bytes e takes, and not less.
func (e *Entry) size(base string) int {
	const frame = 400 // names of properties, stamp, request and response
	links := 0
	for _, l := range e.Links {
		links += 2*len(l.URL) + 50
	}
	return frame + links + len(base) + len(e.FullURL) + len(e.Resource) + len(e.Stored) + 2*len(e.Location) + len(e.Outcome) + len(e.Extensions)
}

func (e *Entry) append(dst []byte, base string) []byte {
	dst = append(dst, '{')
	open := len(dst)
	dst = e.appendContent(dst, base)
	dst = appendLinks(dst, e.Links)
	if e.Extensions != nil {
		dst = append(append(dst, `,"extension":`...), e.Extensions...)
	}
	if e.Mode != "" {
		dst = append(appendField(dst, `,"search":{"mode":`, e.Mode), '}')
	}
	if e.Method != "" {
		dst = appendField(dst, `,"request":{"method":`, e.Method)
		dst = append(appendField(dst, `,"url":`, e.URL), '}')
	}
	if e.Status != "" {
		dst = append(e.appendResponse(append(dst, `,"response":{"status":`...)), '}')
	}
	// The first part has a comma before it that belongs to nothing when there is
	// neither a full URL nor a resource.
	if dst[open] == ',' {
		dst = slices.Delete(dst, open, open+1)
	}
	return append(dst, '}')
}

// appendResponse appends the value of response.status and what follows it.
func (e *Entry) appendResponse(dst []byte) []byte {
	dst = AppendString(dst, e.Status)
	if e.Location != "" {
		dst = appendField(dst, `,"location":`, e.Location)
	}
	if e.ETag != "" {
		dst = appendField(dst, `,"etag":`, e.ETag)
	}
	if !e.LastModified.IsZero() {
		dst = appendInstant(append(dst, `,"lastModified":`...), e.LastModified)
	}
	if e.Outcome != nil {
		dst = append(append(dst, `,"outcome":`...), e.Outcome...)
	}
	return dst
}

// appendContent appends the full URL and the resource.
func (e *Entry) appendContent(dst []byte, base string) []byte {
	separator := ""
	switch {
	case e.Key.Type != "":
		dst = appendField(dst, `"fullUrl":`, base)
		// Neither a type nor an id has a character that JSON escapes.
		dst = append(append(dst[:len(dst)-1], '/'), e.Key.Type...)
		dst = append(append(append(dst, '/'), e.Key.ID...), '"')
		separator = ","
	case e.FullURL != "":
		dst = appendField(dst, `"fullUrl":`, e.FullURL)
		separator = ","
	}
	switch {
	case e.Resource != nil:
		dst = append(append(append(dst, separator...), `"resource":`...), e.Resource...)
	case e.Stored != nil:
		dst = Stamp(append(append(dst, separator...), `"resource":`...), e.Stored, e.Key, e.Meta)
	}
	return dst
}

func appendField(dst []byte, name, value string) []byte {
	return AppendString(append(dst, name...), value)
}

func appendInstant(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), InstantFormat), '"')
}
