package main

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// originalUpdatedURL is the extension of meta with the time at which the server that a
// resource comes from last stored it.
const originalUpdatedURL = "https://fhir.openconsult.example/StructureDefinition/original-last-updated"

// asHistory returns a resource of the past with the time of its last change where
// storing it does not overwrite it: in an extension of meta. One that has it already,
// or never had such a time, stays as it is.
func asHistory(raw []byte, meta span) ([]byte, error) {
	value := raw[meta.lo:meta.hi]
	if meta.hi == 0 || bytes.Contains(value, []byte(originalUpdatedURL)) {
		return raw, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true))
	updated, extensions := "", 0 // where the array of extensions begins, behind its bracket
	err := eachMember(d, func(name string) error {
		switch kind := d.PeekKind(); {
		case name == "lastUpdated" && kind == '"':
			token, err := d.ReadToken()
			updated = token.String()
			return err
		case name == "extension" && kind == '[':
			whole, err := d.ReadValue()
			if len(bytes.Trim(whole, "[] \t\r\n")) > 0 {
				extensions = int(d.InputOffset()) - len(whole) + 1
			}
			return err
		}
		return d.SkipValue()
	})
	if err != nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Structure, "meta", "Meta is not a JSON object: %s.", err)
	}
	if updated == "" {
		return raw, nil
	}
	extension := append([]byte(`{"url":"`+originalUpdatedURL+`","valueInstant":`), fhir.AppendString(nil, updated)...)
	if extensions > 0 {
		at := meta.lo + extensions
		return splice(raw, at, at, append(extension, "},"...)), nil
	}
	at := meta.lo + 1
	return splice(raw, at, at, append([]byte(`"extension":[`), append(extension, "}],"...)...)), nil
}
