package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// etag writes a version as a weak entity tag.
func etag(version int) string { return `W/"` + strconv.Itoa(version) + `"` }

// tags are what an If-Match or If-None-Match header lists.
type tags struct {
	any  bool     // a star: whatever there is
	list []string // opaque tags without quotes and without W/
}

// parseTags reads an If-Match or If-None-Match header. A version without quotes
// is taken too, since clients send it.
// https://www.rfc-editor.org/rfc/rfc9110#name-if-match
func parseTags(header string) (tags, bool) {
	rest := strings.TrimSpace(header)
	if rest == "*" {
		return tags{any: true}, true
	}
	var t tags
	for rest != "" {
		rest = strings.TrimPrefix(rest, "W/")
		tag, after, ok := cutTag(rest)
		if !ok {
			return tags{}, false
		}
		t.list = append(t.list, tag)
		after = strings.TrimLeft(after, " \t")
		if after == "" {
			return t, true
		}
		if after[0] != ',' {
			return tags{}, false
		}
		rest = strings.TrimLeft(after[1:], " \t")
	}
	return tags{}, false
}

func cutTag(s string) (tag, after string, ok bool) {
	if quoted, is := strings.CutPrefix(s, `"`); is {
		return strings.Cut(quoted, `"`)
	}
	end := strings.IndexAny(s, ", \t")
	if end < 0 {
		end = len(s)
	}
	_, err := strconv.Atoi(s[:end])
	return s[:end], s[end:], err == nil
}

// has reports whether version is among t.
func (t tags) has(version int) bool {
	if t.any {
		return true
	}
	for _, tag := range t.list {
		if tag == strconv.Itoa(version) {
			return true
		}
	}
	return false
}

// lists reports whether t names tag, an entity tag of ours, by itself.
func (t tags) lists(tag string) bool {
	return slices.Contains(t.list, strings.Trim(strings.TrimPrefix(tag, "W/"), `"`))
}

// versionNumber reads a version as the server writes it, so that there is one
// way to write each.
func versionNumber(s string) (int, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err == nil && n > 0 && strconv.Itoa(int(n)) == s
}

// headerList returns a header that may be sent in several lines, and whether it
// was sent at all. One that is empty still is a demand.
func headerList(h http.Header, name string) (string, bool) {
	values := h.Values(name)
	return strings.Join(values, ", "), len(values) > 0
}

// expectation returns what the conditional headers of a write demand.
// https://hl7.org/fhir/R4/http.html#concurrency
func expectation(h http.Header) (store.Expect, error) {
	match, matching := headerList(h, "If-Match")
	none, absent := headerList(h, "If-None-Match")
	switch {
	case matching && absent:
		return 0, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "Send If-Match or If-None-Match, not both.")
	case absent:
		t, ok := parseTags(none)
		if !ok || !t.any {
			return 0, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "On a write If-None-Match takes only *, which means that there must be no such resource yet.")
		}
		return store.Absent, nil
	case !matching:
		return store.Anything, nil
	}
	t, ok := parseTags(match)
	if ok && len(t.list) == 1 {
		if n, ok := versionNumber(t.list[0]); ok {
			return store.Expect(n), nil
		}
	}
	return 0, fhir.Errorf(fhir.BadRequest, fhir.Value, "", `If-Match takes the ETag of one version, such as W/"3".`)
}

// matches refuses a read whose If-Match does not name v.
// https://www.rfc-editor.org/rfc/rfc9110#name-if-match
func matches(c *gin.Context, v *store.Version) error {
	header, sent := headerList(c.Request.Header, "If-Match")
	if !sent {
		return nil
	}
	t, ok := parseTags(header)
	if !ok {
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", `If-Match takes ETags, such as W/"3", or *.`)
	}
	if !t.has(v.Number) {
		return fhir.Errorf(fhir.Stale, fhir.Conflict, "", "This is not the version that If-Match names; the ETag header says which it is.")
	}
	return nil
}

// notModified reports whether the caller already has v, by its conditional
// headers. If-None-Match goes before If-Modified-Since, which knows seconds only.
// https://hl7.org/fhir/R4/http.html#cread
func notModified(c *gin.Context, v *store.Version) (bool, error) {
	if header, sent := headerList(c.Request.Header, "If-None-Match"); sent {
		t, ok := parseTags(header)
		if !ok {
			return false, fhir.Errorf(fhir.BadRequest, fhir.Value, "", `If-None-Match takes ETags, such as W/"3", or *.`)
		}
		return t.has(v.Number), nil
	}
	header := c.GetHeader("If-Modified-Since")
	if header == "" {
		return false, nil
	}
	since, err := http.ParseTime(header)
	if err != nil {
		// A date that is none is to be ignored: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
		return false, nil
	}
	return !v.Updated.Truncate(time.Second).After(since), nil
}
