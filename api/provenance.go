package api

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// provenanceHeader carries a Provenance that is stored with a write, whose target it is about.
// https://hl7.org/fhir/R4/provenance.html#header
const provenanceHeader = "X-Provenance"

// takesProvenance reports whether the Provenance of a header is stored with i.
func takesProvenance(i access.Interaction) bool {
	return i == access.Create || i == access.Update || i == access.Patch
}

// withProvenance returns the entries of a write: e, and what a header says of where it comes
// from, if there is one.
func withProvenance(h http.Header, e interaction.Entry) ([]interaction.Entry, error) {
	values := h.Values(provenanceHeader)
	if len(values) == 0 {
		return []interaction.Entry{e}, nil
	}
	if len(values) > 1 {
		return nil, wrongProvenance("Send one Provenance in " + provenanceHeader + ", as JSON.")
	}
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0F|0x40, u[8]&0x3F|0x80
	e.FullURL = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	text, err := targeted([]byte(values[0]), e.FullURL)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Decode("Provenance", text)
	if err != nil {
		return nil, err
	}
	return []interaction.Entry{e, {Method: http.MethodPost, Key: fhir.Key{Type: "Provenance"}, Resource: r}}, nil
}

// targeted returns a Provenance with the version that a part of a transaction writes as its
// target.
func targeted(text []byte, url string) ([]byte, error) {
	var elements map[string]json.RawMessage
	if err := json.Unmarshal(text, &elements); err != nil || len(elements) == 0 {
		return nil, wrongProvenance(provenanceHeader + " is a Provenance as JSON.")
	}
	if _, named := elements["target"]; named {
		return nil, wrongProvenance("The target of a Provenance in " + provenanceHeader + " is what the request writes; leave target out.")
	}
	text = bytes.TrimRight(text, " \t\r\n")
	text = append(slices.Clone(text[:len(text)-1]), `,"target":[{"reference":"`...)
	// The number stands for whichever the version is given.
	return append(append(text, url...), `/_history/1"}]}`...), nil
}

func wrongProvenance(text string) error {
	o := fhir.Errorf(fhir.BadRequest, fhir.Invalid, "Provenance", "%s", text)
	o.Issues[0].Detail = "invalid-provenance-header"
	return o
}

// alone returns err, which is about a write and its Provenance, as one about the write of a
// resource of a type by itself.
func alone(err error, typ string) error {
	o, is := err.(*fhir.Outcome)
	if !is {
		return err
	}
	own := *o
	own.Issues = slices.Clone(o.Issues)
	for i := range own.Issues {
		at := &own.Issues[i].Expression
		if rest, is := strings.CutPrefix(*at, "Bundle.entry[0]"); is {
			*at = placed(rest, typ)
		}
		if rest, is := strings.CutPrefix(*at, "Bundle.entry[1]"); is {
			*at = placed(rest, "Provenance")
		}
	}
	return &own
}

// placed returns the place in a resource of a type that an expression behind an entry means.
func placed(rest, typ string) string {
	if rest, is := strings.CutPrefix(rest, ".resource"); is {
		return typ + rest
	}
	if typ == "Provenance" {
		return typ
	}
	return ""
}
