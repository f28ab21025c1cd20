package interaction

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// attachmentsOf returns what is known of the Binaries that the payload of r, a Communication
// or a CommunicationRequest, or the answers in a QuestionnaireResponse name, as far as the
// caller may read them.
// It takes one round trip, or none when nothing is named. The keys are the texts in r.
func (s *Session) attachmentsOf(ctx context.Context, at ground, r *fhir.Resource) (map[string]consultation.Attachment, error) {
	named := s.namedBinaries(r)
	if len(named) == 0 {
		return nil, nil
	}
	var keys []fhir.Key
	for _, k := range named {
		keys = add(keys, k)
	}
	current, err := at.Current(ctx, keys)
	if err != nil {
		return nil, err
	}
	all := map[string]consultation.Attachment{}
	for text, k := range named {
		v, err := s.seen(access.MayRead, current[k])
		if err != nil {
			return nil, err
		}
		if v == nil || v.Deleted() {
			continue
		}
		b, err := fhir.DecodeDerived("Binary", v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode a stored Binary: %w", err)
		}
		all[text] = attachmentIn(b)
	}
	return all, nil
}

// attachmentsOf does so also for those that t writes itself.
func (t *transaction) attachmentsOf(ctx context.Context, at ground, r *fhir.Resource) (map[string]consultation.Attachment, error) {
	all, err := t.Session.attachmentsOf(ctx, at, r)
	if err != nil {
		return nil, err
	}
	for text, k := range t.namedBinaries(r) {
		for i := range t.parts {
			p := &t.parts[i]
			if p.linked == nil || p.key != k || p.err != nil || p.answered {
				continue
			}
			b, err := t.cleaned(ctx, p.linked)
			if err != nil {
				continue // which is said of the Binary
			}
			if all == nil {
				all = map[string]consultation.Attachment{}
			}
			all[text] = attachmentIn(b)
		}
	}
	return all, nil
}

// namedBinaries returns the Binaries of this server that a payload or the answers to a form
// name, by the text that names them.
func (s *Session) namedBinaries(r *fhir.Resource) map[string]fhir.Key {
	named := map[string]fhir.Key{}
	note := func(text string) {
		is, ok := fhir.ParseReference(text)
		if ok && is.Key.Type == "Binary" && is.Query == "" && is.Version == "" && (is.Base == "" || is.Base == s.store.Registry().Base) {
			named[text] = is.Key
		}
	}
	for payload := range r.Root().Each("payload") {
		note(payload.Child("content").Child("reference").Text())
		note(payload.Child("content").Child("url").Text())
	}
	for answer := range answersIn(r.Root()) {
		note(answer.Child("url").Text())
	}
	return named
}

// answersIn returns the Attachments among the answers in n, a QuestionnaireResponse or a
// part of one.
func answersIn(n fhir.Node) iter.Seq[fhir.Node] {
	return func(yield func(fhir.Node) bool) {
		for c := range n.Children() {
			switch c.Property() {
			case "valueAttachment":
				if !yield(c) {
					return
				}
			case "item", "answer":
				for a := range answersIn(c) {
					if !yield(a) {
						return
					}
				}
			}
		}
	}
}

// answersAttached holds the Binaries of this server that answers to a form name against what
// the answers say of them, and reports whether any has not been scanned yet. The error is an
// Outcome for content that is blocked, or not what it is said to be.
func (t *transaction) answersAttached(ctx context.Context, at ground, r *fhir.Resource) (unscanned bool, err error) {
	known, err := t.attachmentsOf(ctx, at, r)
	if err != nil || len(known) == 0 {
		return false, err
	}
	for answer := range answersIn(r.Root()) {
		is, there := known[answer.Child("url").Text()]
		declared := answer.Child("contentType")
		switch {
		case !there:
		case is.State == consultation.ScanPending:
			unscanned = true
		case isWithheld(is.State):
			return false, about(withheldBecause(fhir.Unprocessable, fhir.BusinessRule, "attachment-blocked", "The attachment was found to be harmful or broken; send another file."), answer)
		case attachment.Contradicts(declared.Text(), is.ContentType):
			return false, about(attachment.Contradiction(declared.Text(), is.ContentType), declared)
		}
	}
	return unscanned, nil
}

// attachmentIn returns what is known of the content of a Binary as it is stored. One that
// says nothing about scanning has never been scanned.
func attachmentIn(b *fhir.Resource) consultation.Attachment {
	f := file{b.Root(), b.Root().Child("data")}
	state := scanStateOf(b.Root().Child("meta"))
	if state == "" {
		state = consultation.ScanNone
	}
	return consultation.Attachment{ContentType: attachment.Sniff(f.head()), Bytes: f.size(), State: state}
}

// size returns how many bytes the content has.
func (f file) size() int64 {
	encoded := strings.Trim(string(f.data.Raw()), `"`)
	if strings.ContainsAny(encoded, "\\ \t\r\n") {
		encoded = strings.Join(strings.Fields(f.data.Text()), "")
	}
	padding := len(encoded) - len(strings.TrimRight(encoded, "="))
	return int64(len(encoded)/4*3 - padding)
}
