package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// A line is one resource that is to be stored, or one Bundle that is to be carried
// out.
type line struct {
	raw    []byte // as it stands in the source
	body   []byte // as it is sent
	source string
	number int64 // in its source, from 1
	typ    string
	id     string // empty: the server chooses one
	whole  string // of a Bundle to be carried out: "batch" or "transaction"
	why    error  // an Outcome: it cannot be sent
}

// A seen is what is read of a resource before it is sent. The rest is the server's.
type seen struct {
	typ, id string
	bundle  string // Bundle.type
	typeEnd int    // behind the value of resourceType
	meta    span   // the value of meta; empty if there is none
}

// A span is where something stands in a text.
type span struct{ lo, hi int }

// A sight looks at resources, one after the other.
type sight struct {
	decoder *jsontext.Decoder
	reader  bytes.Reader
}

func newSight() *sight {
	s := &sight{}
	// What a name that stands twice means, the server decides.
	s.decoder = jsontext.NewDecoder(&s.reader, jsontext.AllowDuplicateNames(true))
	return s
}

// see reads type and id of a resource, and sees to it that it is one JSON object, so
// that it can stand in a Bundle with others. It returns an Outcome if it is not.
func (s *sight) see(raw []byte) (seen, error) {
	s.reader.Reset(raw)
	s.decoder.Reset(&s.reader, jsontext.AllowDuplicateNames(true))
	var found seen
	err := eachMember(s.decoder, func(name string) error { return found.member(s.decoder, name) })
	if err == nil {
		if _, rest := s.decoder.ReadToken(); rest != io.EOF {
			err = errors.New("there is more behind the end of the object")
		}
	}
	if err != nil {
		return found, fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "This is not one JSON object: %s.", err)
	}
	if found.typ == "" {
		return found, fhir.Errorf(fhir.BadRequest, fhir.Required, "resourceType", "Say what this is: resourceType is missing.")
	}
	return found, nil
}

// eachMember reads a JSON object. read is called with the name of each property and
// has to read its value.
func eachMember(d *jsontext.Decoder, read func(name string) error) error {
	begin, err := d.ReadToken()
	if err != nil {
		return err
	}
	if begin.Kind() != '{' {
		return fmt.Errorf("it begins with %s", begin.Kind())
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

// member reads the value of one property of a resource.
func (f *seen) member(d *jsontext.Decoder, name string) error {
	var text *string
	switch name {
	case "resourceType":
		text = &f.typ
	case "id":
		text = &f.id
	case "type":
		text = &f.bundle
	case "meta":
		value, err := d.ReadValue()
		f.meta = span{int(d.InputOffset()) - len(value), int(d.InputOffset())}
		return err
	}
	if text == nil || d.PeekKind() != '"' {
		return d.SkipValue()
	}
	value, err := d.ReadToken()
	if err != nil {
		return err
	}
	*text = value.String()
	if name == "resourceType" {
		f.typeEnd = int(d.InputOffset())
	}
	return nil
}

// madeID returns the id of a resource that has none. It follows from where the
// resource stands and what it says, so that it is the same when it is loaded again.
func madeID(source string, number int64, raw []byte) string {
	h := sha256.New()
	h.Write([]byte(filepath.Base(source) + "\x00" + strconv.FormatInt(number, 10) + "\x00"))
	h.Write(raw)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// withID returns a resource that has no id with one.
func withID(raw []byte, typeEnd int, id string) []byte {
	return splice(raw, typeEnd, typeEnd, []byte(`,"id":"`+id+`"`))
}

func splice(raw []byte, lo, hi int, by []byte) []byte {
	out := make([]byte, 0, len(raw)-(hi-lo)+len(by))
	return append(append(append(out, raw[:lo]...), by...), raw[hi:]...)
}

// entry appends the line as an entry of a batch.
func (l *line) entry(dst []byte) []byte {
	dst = append(append(dst, `{"resource":`...), l.body...)
	if l.id == "" {
		dst = fhir.AppendString(append(dst, `,"request":{"method":"POST","url":`...), l.typ)
	} else {
		dst = fhir.AppendString(append(dst, `,"request":{"method":"PUT","url":`...), l.typ+"/"+l.id)
	}
	return append(dst, `}}`...)
}
