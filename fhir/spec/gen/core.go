package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// coreTypes are the types of the definitions that package definition embeds.
var coreTypes = []string{"CodeSystem", "ConceptMap", "StructureDefinition", "ValueSet"}

// chunkSize is how much text is compressed together: what has to be unpacked to
// reach one definition. Half of it makes the archive 3 percent larger.
const chunkSize = 256 << 10

// needless are the elements that nobody asks for: neither validation nor terminology
// nor forms.
var needless = map[string]bool{
	"text": true, "meta": true, "contact": true, "publisher": true, "purpose": true, "description": true,
	"useContext": true, "jurisdiction": true, "mapping": true, "snapshot": true, "keyword": true,

	"differential.element.definition": true, "differential.element.comment": true, "differential.element.requirements": true,
	"differential.element.alias": true, "differential.element.mapping": true, "differential.element.example": true,
	"differential.element.condition": true, "differential.element.isModifierReason": true,
	"differential.element.binding.description": true, "differential.element.constraint.xpath": true,
}

// editorial are the extensions of a definition as a whole that say how HL7 works on it.
var editorial = map[string]bool{
	"http://hl7.org/fhir/StructureDefinition/structuredefinition-fmm":               true,
	"http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version": true,
	"http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status":  true,
	"http://hl7.org/fhir/StructureDefinition/structuredefinition-summary":           true,
	"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg":                true,
}

// A coreDefinition is one resource of the archive.
type coreDefinition struct {
	ResourceType string
	URL          string
	Version      string
	Status       string
	Derivation   string
	text         []byte
}

// generateCore makes the archive from the definitions in dir.
func generateCore(dir string) ([]byte, error) {
	all, err := readCore(packageFolder(dir))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *coreDefinition) int {
		return cmp.Or(cmp.Compare(a.ResourceType, b.ResourceType), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Version, b.Version))
	})
	return archive(all)
}

func readCore(dir string) ([]*coreDefinition, error) {
	var all []*coreDefinition
	for _, typ := range coreTypes {
		var raw []json.RawMessage
		if err := readAll(dir, typ, &raw); err != nil {
			return nil, err
		}
		for _, src := range raw {
			c, err := newCoreDefinition(src)
			if err != nil {
				return nil, fmt.Errorf("trim a %s: %w", typ, err)
			}
			// The base definitions of the types are in the digest of package spec.
			if c.ResourceType != "StructureDefinition" || c.Derivation == "constraint" {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

func newCoreDefinition(src []byte) (*coreDefinition, error) {
	c := &coreDefinition{}
	if err := json.Unmarshal(src, c); err != nil {
		return nil, err
	}
	if c.URL == "" {
		return nil, errors.New("it has no url")
	}
	var b bytes.Buffer
	t := trimmer{in: jsontext.NewDecoder(bytes.NewReader(src)), out: jsontext.NewEncoder(&b)}
	if err := t.value(""); err != nil {
		return nil, fmt.Errorf("%s: %w", c.URL, err)
	}
	c.text = bytes.TrimSpace(b.Bytes())
	return c, nil
}

// A trimmer copies JSON without what is needless.
type trimmer struct {
	in  *jsontext.Decoder
	out *jsontext.Encoder
}

// value copies the value at path.
func (t *trimmer) value(path string) error {
	switch t.in.PeekKind() {
	case '{':
		return t.object(path)
	case '[':
		return t.around(func() error { return t.value(path) })
	}
	return t.token()
}

func (t *trimmer) token() error {
	token, err := t.in.ReadToken()
	if err != nil {
		return err
	}
	return t.out.WriteToken(token)
}

// around copies the brackets of an array or object, and what is in it by part.
func (t *trimmer) around(part func() error) error {
	if err := t.token(); err != nil {
		return err
	}
	for {
		switch kind := t.in.PeekKind(); kind {
		case '}', ']':
			return t.token()
		case 0:
			return io.ErrUnexpectedEOF
		}
		if err := part(); err != nil {
			return err
		}
	}
}

func (t *trimmer) object(path string) error {
	return t.around(func() error {
		token, err := t.in.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		below := strings.TrimPrefix(path+"."+strings.TrimPrefix(name, "_"), ".")
		switch {
		case needless[below]:
			return t.in.SkipValue()
		case below == "extension":
			return t.extensions(name)
		}
		if err := t.out.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		return t.value(below)
	})
}

// extensions copies the extensions of the whole definition that are not editorial.
func (t *trimmer) extensions(name string) error {
	raw, err := t.in.ReadValue()
	if err != nil {
		return err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	var kept []json.RawMessage
	for _, x := range all {
		var extension struct{ URL string }
		if err := json.Unmarshal(x, &extension); err != nil {
			return err
		}
		if !editorial[extension.URL] {
			kept = append(kept, x)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if err := t.out.WriteToken(jsontext.String(name)); err != nil {
		return err
	}
	return t.out.WriteValue(slices.Concat([]byte("["), bytes.Join(asBytes(kept), []byte(",")), []byte("]")))
}

func asBytes(raw []json.RawMessage) [][]byte {
	all := make([][]byte, len(raw))
	for i, r := range raw {
		all[i] = r
	}
	return all
}

// archive writes the number of frames and their sizes as varints, and then the
// frames: the index, and the texts in chunks. Every frame is compressed by itself.
// An entry of the index is type, url, version and status, each behind its length,
// and chunk, offset and length of the text.
func archive(all []*coreDefinition) ([]byte, error) {
	var chunks [][]byte
	var index writer
	index.uint(len(all))
	for _, c := range all {
		if n := len(chunks); n == 0 || len(chunks[n-1])+len(c.text) > chunkSize && len(chunks[n-1]) > 0 {
			chunks = append(chunks, nil)
		}
		for _, s := range []string{c.ResourceType, c.URL, c.Version, c.Status} {
			index.uint(len(s))
			index.b = append(index.b, s...)
		}
		last := len(chunks) - 1
		for _, n := range []int{last, len(chunks[last]), len(c.text)} {
			index.uint(n)
		}
		chunks[last] = append(chunks[last], c.text...)
	}
	var frames []byte
	head := binary.AppendUvarint(nil, uint64(1+len(chunks)))
	for _, payload := range slices.Insert(chunks, 0, index.b) {
		frame, err := compress(payload)
		if err != nil {
			return nil, err
		}
		head = binary.AppendUvarint(head, uint64(len(frame)))
		frames = append(frames, frame...)
	}
	return append(head, frames...), nil
}
