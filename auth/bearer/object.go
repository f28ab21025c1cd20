package bearer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting is how deep objects and arrays may be within each other.
const maxNesting = 16

// Fields are the members of a JSON object. A value is a string, float64, bool,
// nil, []any or Fields.
type Fields map[string]any

// DecodeFields reads a JSON object. It refuses what two readers could take to
// be different things: a member twice, members whose names differ in upper and
// lower case only, text that is not UTF-8, and anything after the object.
func DecodeFields(data []byte) (Fields, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if d.PeekKind() != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	return v.(Fields), nil
}

// errJSON stands for what the decoder says, which may repeat the text.
var errJSON = errors.New("it is not JSON, or has a member twice")

func decodeValue(d *jsontext.Decoder) (any, error) {
	tok, err := d.ReadToken()
	switch {
	case err != nil:
		return nil, errJSON
	case d.StackDepth() > maxNesting:
		return nil, errors.New("it is nested too deeply")
	}
	switch tok.Kind() {
	case '{':
		return decodeObject(d)
	case '[':
		return decodeArray(d)
	case '"':
		return tok.String(), nil
	case '0':
		n, err := tok.Float()
		if err != nil {
			return nil, errors.New("it has a number that is too large")
		}
		return n, nil
	case 't', 'f':
		return tok.Bool(), nil
	}
	return nil, nil
}

func decodeObject(d *jsontext.Decoder) (any, error) {
	f, seen := Fields{}, map[string]bool{}
	for d.PeekKind() != '}' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, errJSON
		}
		name := tok.String()
		if seen[folded(name)] {
			return nil, errors.New("it has a member twice, in upper and lower case")
		}
		seen[folded(name)] = true
		if f[name], err = decodeValue(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, errJSON
	}
	return f, nil
}

func decodeArray(d *jsontext.Decoder) (any, error) {
	list := []any{}
	for d.PeekKind() != ']' {
		v, err := decodeValue(d)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, errJSON
	}
	return list, nil
}

// folded returns what two names have in common that differ in case only, also
// by letters such as the long s.
func folded(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		return name // so are most, and what follows takes memory
	}
	return strings.ToLower(strings.ToUpper(name))
}

// Spelled returns an error when f has a member that is one of names but for
// upper and lower case.
func (f Fields) Spelled(names ...string) error {
	for have := range f {
		if slices.ContainsFunc(names, func(n string) bool { return n != have && strings.EqualFold(n, have) }) {
			return errors.New("a member has a name that differs from a known one in upper and lower case only")
		}
	}
	return nil
}

// Text returns the string that a member holds, or "" when there is none.
func (f Fields) Text(name string) (string, error) {
	v, ok := f[name]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, nil
}

// Texts returns the strings that a member holds: one, or an array of them. It
// is nil when there is no such member.
func (f Fields) Texts(name string) ([]string, error) {
	v, ok := f[name]
	if !ok {
		return nil, nil
	}
	if s, ok := v.(string); ok {
		return []string{s}, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is neither a string nor an array of strings", name)
	}
	texts := make([]string, len(list))
	for i, v := range list {
		if texts[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%s is neither a string nor an array of strings", name)
		}
	}
	return texts, nil
}

// Time returns the moment that a member holds as seconds since 1970, or the
// zero time when there is none. Parts of a second are left out.
// https://www.rfc-editor.org/rfc/rfc7519.html#section-2
func (f Fields) Time(name string) (time.Time, error) {
	v, ok := f[name]
	if !ok {
		return time.Time{}, nil
	}
	n, ok := v.(float64)
	// The year 9999 is the last that every reader of times knows.
	if !ok || n < 0 || n > 253402300799 {
		return time.Time{}, fmt.Errorf("%s is not a moment in seconds since 1970", name)
	}
	return time.Unix(int64(math.Floor(n)), 0), nil
}
