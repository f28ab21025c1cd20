package patch

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A pointer is a JSON Pointer, https://www.rfc-editor.org/rfc/rfc6901, as the
// names and indexes it goes through. The empty pointer is the whole document.
type pointer []string

var (
	errNoSlash = errors.New(`a JSON Pointer is empty or begins with "/"`)
	errEscape  = errors.New(`in a JSON Pointer "~" is written "~0" and "/" within a name "~1"`)

	unescape = strings.NewReplacer("~0", "~", "~1", "/")
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
)

func parsePointer(s string) (pointer, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, errNoSlash
	}
	p := pointer(strings.Split(s[1:], "/"))
	if !strings.Contains(s, "~") {
		return p, nil
	}
	for i, token := range p {
		if !escaped(token) {
			return nil, errEscape
		}
		p[i] = unescape.Replace(token)
	}
	return p, nil
}

// escaped reports whether 0 or 1 follows every ~ of a token.
func escaped(token string) bool {
	for i := range len(token) {
		if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
			return false
		}
	}
	return true
}

func (p pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(escape.Replace(token))
	}
	return b.String()
}

// within reports whether p is q or leads into what q points to.
func (p pointer) within(q pointer) bool {
	return len(p) >= len(q) && slices.Equal(p[:len(q)], q)
}

// shown returns the pointer quoted, for a sentence.
func (p pointer) shown() string {
	return shown(p.String())
}

// shown quotes a caller's own words, and only the beginning of many.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// index reads a token as the index of an array element: digits, the first of
// them 0 only when it is the only one. An index that no array can have is
// returned as the largest one.
func index(token string) (int, bool) {
	if token == "" || len(token) > 1 && token[0] == '0' || strings.Trim(token, "0123456789") != "" {
		return 0, false
	}
	i, err := strconv.ParseInt(token, 10, 32)
	if err != nil {
		return 1<<31 - 1, true
	}
	return int(i), true
}
