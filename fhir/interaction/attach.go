package interaction

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// ScanSystem is the code system of the tag by which this server says what a scanner has
// found in a Binary, or in the content that another resource has within it. The codes
// are those of [consultation.ScanState].
const ScanSystem = consultation.Base + "CodeSystem/scan-state"

// A file is content that stands in a resource: in a Binary, or an Attachment.
type file struct {
	holder fhir.Node
	data   fhir.Node
}

// filesIn returns all content in n, also that of contained resources and the entries of a
// Bundle.
func filesIn(n fhir.Node) (all []file) {
	if name := n.Type().Name; name == "Attachment" || name == "Binary" {
		if data := n.Child("data"); data.HasValue() {
			all = append(all, file{n, data})
		}
	}
	for c := range n.Children() {
		all = append(all, filesIn(c)...)
	}
	return all
}

// mayHoldFiles reports whether content may stand in a resource, or a tag of ours, which may be
// written with escapes.
func mayHoldFiles(src []byte) bool {
	return bytes.Contains(src, []byte(`"data"`)) || bytes.Contains(src, []byte(ScanSystem)) || bytes.IndexByte(src, '\\') >= 0
}

// head returns the beginning of the content, as much as is needed to tell what it is.
func (f file) head() []byte {
	encoded := bytes.Trim(f.data.Raw(), `"`)
	n := base64.StdEncoding.EncodedLen(attachment.SniffBytes) / 4 * 4
	if len(encoded) <= n {
		n = len(encoded)
	}
	b, err := base64.StdEncoding.DecodeString(string(encoded[:n]))
	if err != nil { // there are white space or escapes in it
		b, _ = f.content()
	}
	return b
}

// content decodes the whole.
func (f file) content() ([]byte, error) {
	encoded := bytes.Trim(f.data.Raw(), `"`)
	if bytes.ContainsAny(encoded, "\\ \t\r\n") {
		encoded = []byte(strings.Join(strings.Fields(f.data.Text()), ""))
	}
	b, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, f.data.Path(), "The content is no base64; write it with padding.")
	}
	return b, nil
}

// cleaned returns r as it is stored: its images without what they tell beside the picture,
// each content of the type that it is declared to be, and tagged with what the scanner has
// found in it. Hash and size of an Attachment are held against its content, and added to
// images in messages, answers, documents and media, which need not be stored as they were
// sent, and to all answers to forms. A tag of [ScanSystem] that r has is not believed.
// A resource without content is returned itself, at next to no cost. The error is an
// Outcome.
func (s *Session) cleaned(ctx context.Context, r *fhir.Resource) (*fhir.Resource, error) {
	if !mayHoldFiles(r.Source()) && r.Type() != "Binary" {
		return r, nil
	}
	c := cleaning{Session: s, resource: r}
	for _, f := range filesIn(r.Root()) {
		if err := c.file(ctx, f); err != nil {
			return nil, err
		}
	}
	if err := c.tag(); err != nil {
		return nil, err
	}
	if len(c.edits) == 0 {
		return r, nil
	}
	clean, err := fhir.DecodeDerived(r.Type(), spliced(r.Source(), c.edits))
	if err != nil {
		return nil, fmt.Errorf("read a %s whose content was cleaned: %w", r.Type(), err)
	}
	return clean, nil
}

// fills reports whether the server says of Attachments of a resource that are found to be of
// some type how long they are, and their hash.
func fills(typ, found string) bool {
	switch typ {
	case "QuestionnaireResponse":
		return true
	case "Communication", "DocumentReference", "Media":
		return attachment.Cleans(found)
	}
	return false
}

// A cleaning is a resource while its content is cleaned.
type cleaning struct {
	*Session
	resource *fhir.Resource
	state    consultation.ScanState // the worst of what was found
	edits    []edit
}

// file cleans one content.
func (c *cleaning) file(ctx context.Context, f file) error {
	declared := f.holder.Child("contentType")
	found := attachment.Sniff(f.head())
	if attachment.Contradicts(declared.Text(), found) {
		return about(attachment.Contradiction(declared.Text(), found), declared)
	}
	isAttachment := f.holder.Type().Name == "Attachment"
	hash, size := f.holder.Child("hash"), f.holder.Child("size")
	fill := isAttachment && fills(c.resource.Type(), found)
	says := isAttachment && (fill || hash.HasValue() || size.HasValue())
	if !attachment.Cleans(found) && c.scans == nil && !says {
		return nil
	}
	sent, err := f.content()
	if err != nil {
		return err
	}
	clean, err := attachment.Clean(found, sent)
	if err != nil {
		return about(err, f.data)
	}
	c.found(c.scan(ctx, clean))
	changed := len(clean) != len(sent) || len(clean) > 0 && &clean[0] != &sent[0]
	text := f.data.Raw()
	if changed {
		text = append(make([]byte, 0, base64.StdEncoding.EncodedLen(len(clean))+2), '"')
		text = append(base64.StdEncoding.AppendEncode(text, clean), '"')
	}
	if says {
		if text, err = c.described(described{f, sent, clean, text, fill}); err != nil {
			return err
		}
	}
	if changed || len(text) != len(f.data.Raw()) {
		c.edit(f.data.Raw(), text)
	}
	return nil
}

// A described is content of an Attachment, as it was sent and as it is stored.
type described struct {
	file
	sent, clean []byte
	text        []byte // its JSON as it is stored
	fill        bool   // what it does not say is added
}

// described holds the hash and the size of an Attachment against what was sent, and makes
// them those of what is stored. It returns the JSON of the content, with those behind it
// that were not sent.
func (c *cleaning) described(d described) ([]byte, error) {
	hash, size := d.holder.Child("hash"), d.holder.Child("size")
	is := strconv.Itoa(len(d.clean))
	switch was := size.Text(); {
	case was == "" && d.fill:
		d.text = append(slices.Clip(d.text), `,"size":`+is...)
	case was != "" && was != is && was != strconv.Itoa(len(d.sent)):
		return nil, differs(size, "attachment-size", "The content has another size; give that in bytes, before base64, or leave it out.")
	case was != "" && was != is:
		c.edit(size.Raw(), []byte(is))
	}
	is = sum(d.clean)
	switch was := strings.Join(strings.Fields(hash.Text()), ""); {
	case was == "" && d.fill:
		d.text = append(slices.Clip(d.text), `,"hash":"`+is+`"`...)
	case was != "" && was != is && was != sum(d.sent):
		return nil, differs(hash, "attachment-hash", "The content has another hash; give its SHA-1 in base64, or leave it out.")
	case was != "" && was != is:
		c.edit(hash.Raw(), []byte(`"`+is+`"`))
	}
	return d.text, nil
}

// sum returns the hash of content as R4 has it.
// https://hl7.org/fhir/R4/datatypes-definitions.html#Attachment.hash
func sum(content []byte) string {
	b := sha1.Sum(content)
	return base64.StdEncoding.EncodeToString(b[:])
}

func differs(at fhir.Node, detail, text string) error {
	o := fhir.Errorf(fhir.Unprocessable, fhir.Value, at.Path(), "%s", text)
	o.Issues[0].Detail = detail
	return o
}

// about says of an Outcome which element it is about.
func about(err error, at fhir.Node) error {
	if o := fhir.AsOutcome(err); o != nil {
		o.Issues[0].Expression = at.Path()
		o.Issues[0].Line, o.Issues[0].Column = at.Position()
	}
	return err
}

// An edit puts something in the place of some JSON.
type edit struct {
	from, to int
	with     []byte
}

// edit replaces raw, JSON of the resource.
func (c *cleaning) edit(raw, with []byte) {
	// Both share their memory, so that the room behind them tells where raw is.
	from := cap(c.resource.Source()) - cap(raw)
	c.edits = append(c.edits, edit{from, from + len(raw), with})
}

// spliced returns src with edits, no two of which overlap.
func spliced(src []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	size := len(src)
	for _, e := range edits {
		size += len(e.with) - (e.to - e.from)
	}
	dst, at := make([]byte, 0, size), 0
	for _, e := range edits {
		dst = append(append(dst, src[at:e.from]...), e.with...)
		at = e.to
	}
	return append(dst, src[at:]...)
}
