package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/patch"
	"github.com/openconsult/openconsult/fhir/store"
)

// scanStateOf returns what the server has found in a resource, by its meta; empty when it
// says nothing. Of several tags the worst counts.
func scanStateOf(meta fhir.Node) (state consultation.ScanState) {
	for tag := range meta.Each("tag") {
		if tag.Child("system").Text() == ScanSystem {
			state = worse(state, consultation.ScanState(tag.Child("code").Text()))
		}
	}
	return state
}

// worse returns the state that leaves less to trust. What is no state leaves nothing.
func worse(a, b consultation.ScanState) consultation.ScanState {
	if severity(b) > severity(a) {
		return b
	}
	return a
}

func severity(s consultation.ScanState) int {
	switch s {
	case "":
		return 0
	case consultation.ScanAvailable:
		return 1
	case consultation.ScanNone:
		return 2
	case consultation.ScanPending:
		return 3
	case consultation.ScanInvalid:
		return 4
	}
	return 5
}

// isWithheld reports whether content in that state is shown to nobody.
func isWithheld(s consultation.ScanState) bool {
	return s != "" && s != consultation.ScanAvailable && s != consultation.ScanNone
}

// found notes the state of one more content.
func (c *cleaning) found(s consultation.ScanState) { c.state = worse(c.state, s) }

// tag makes the tag of the resource that of what was found. Without a scanner only a
// Binary has one, which says so.
func (c *cleaning) tag() error {
	state := c.state
	switch {
	case c.scans == nil && c.resource.Type() == "Binary":
		state = consultation.ScanNone
	case c.scans == nil:
		state = ""
	case state == "" && c.resource.Type() == "Binary":
		state = consultation.ScanAvailable // it has no content
	}
	root := c.resource.Root()
	meta := root.Child("meta")
	if meta.IsZero() {
		if state != "" {
			at := bytes.IndexByte(c.resource.Source(), '{') + 1
			c.edits = append(c.edits, edit{at, at, []byte(`"meta":{"tag":[` + string(scanTag(state)) + `]},`)})
		}
		return nil
	}
	with, changed, err := retagged(meta, state)
	if err != nil {
		return fmt.Errorf("tag a %s: %w", c.resource.Type(), err)
	}
	if changed {
		c.edit(meta.Raw(), with)
	}
	return nil
}

func scanTag(state consultation.ScanState) json.RawMessage {
	return json.RawMessage(`{"system":"` + ScanSystem + `","code":"` + string(state) + `"}`)
}

// retagged returns meta with the tag of a state and no other of ours, as JSON. The empty
// state has none.
func retagged(meta fhir.Node, state consultation.ScanState) (with []byte, changed bool, err error) {
	var tags []json.RawMessage
	var ours []consultation.ScanState
	for tag := range meta.Each("tag") {
		if tag.Child("system").Text() != ScanSystem {
			tags = append(tags, tag.Raw())
		} else {
			ours = append(ours, consultation.ScanState(tag.Child("code").Text()))
		}
	}
	if len(ours) == 0 && state == "" || len(ours) == 1 && state != "" && ours[0] == state {
		return nil, false, nil
	}
	if state != "" {
		tags = append(tags, scanTag(state))
	}
	ops := []operation{{Op: "add", Path: "/tag", Value: tags}}
	if len(tags) == 0 {
		// An empty meta is none; what it has instead is left out when it is stored.
		ops = []operation{{Op: "remove", Path: "/tag"}, {Op: "add", Path: "/versionId", Value: "1"}}
	}
	b, err := json.Marshal(ops)
	if err != nil {
		return nil, false, err
	}
	with, err = patch.JSON(meta.Raw(), b)
	return with, true, err
}

// keepsScanState returns an Outcome when meta, which somebody wants to add or to take away,
// has a tag that only the server sets.
func keepsScanState(meta fhir.Node) error {
	for tag := range meta.Each("tag") {
		if tag.Child("system").Text() == ScanSystem {
			return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, tag.Path(), "What a scanner has found is for this server to say; leave this tag out.")
		}
	}
	return nil
}

// isTaggedBad reports whether the stored form of a resource says that its content is
// withheld. Nothing is decoded of one that has no tag.
func isTaggedBad(stored []byte) bool {
	if !bytes.Contains(stored, []byte(ScanSystem)) {
		return false
	}
	r, err := fhir.DecodeDerived("", stored)
	return err != nil || isWithheld(scanStateOf(r.Root().Child("meta")))
}

// Harmless returns v without content that has not been scanned yet, or was found to be
// harmful or broken, and v itself when there is none. What was not scanned because there is
// no scanner stays.
func Harmless(v *store.Version) (*store.Version, error) {
	if v == nil || !isTaggedBad(v.Stored) {
		return v, nil
	}
	r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode what is withheld: %w", err)
	}
	c := cleaning{resource: r}
	for _, f := range filesIn(r.Root()) {
		from, to := member(r.Source(), cap(r.Source())-cap(f.data.Raw()), len(f.data.Raw()))
		c.edits = append(c.edits, edit{from: from, to: to})
	}
	part := *v
	part.Stored = spliced(r.Source(), c.edits)
	return &part, nil
}

// member returns where the member "data" of an object with a value at some place in compact
// JSON begins and ends, with the one comma that goes along with it.
func member(doc []byte, at, size int) (from, to int) {
	from, to = bytes.LastIndexByte(doc[:at-2], '"'), at+size
	switch {
	case doc[from-1] == ',':
		from--
	case doc[to] == ',':
		to++
	}
	return from, to
}

// harmless does so where nothing can fail: of what cannot be read nothing is shown.
func harmless(v *store.Version) *store.Version {
	shown, err := Harmless(v)
	if err != nil {
		part := *v
		part.Stored = []byte(`{"resourceType":"` + v.Key.Type + `","id":"` + v.Key.ID + `"}`)
		return &part
	}
	return shown
}

// unlocked returns v unless it is a Binary whose content is withheld: then that is an Outcome.
func unlocked(v *store.Version, err error) (*store.Version, error) {
	if err != nil || v == nil || v.Key.Type != "Binary" || !bytes.Contains(v.Stored, []byte(ScanSystem)) {
		return v, err
	}
	r, err := fhir.DecodeDerived("Binary", v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a stored Binary: %w", err)
	}
	switch state := scanStateOf(r.Root().Child("meta")); {
	case state == consultation.ScanPending:
		return nil, withheldBecause(fhir.Clash, fhir.Transient, "attachment-pending", "This content has not been scanned yet; ask for it again soon.")
	case isWithheld(state):
		return nil, withheldBecause(fhir.Denied, fhir.Security, "attachment-blocked", "This content was found to be harmful, or cannot be scanned; nobody gets it.")
	}
	return v, nil
}

func withheldBecause(class fhir.Class, code fhir.Code, detail, text string) error {
	o := fhir.Errorf(class, code, "", "%s", text)
	o.Issues[0].Detail = detail
	return o
}
