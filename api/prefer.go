package api

import "strings"

// preferences are what a Prefer header asks for.
// https://hl7.org/fhir/R4/http.html#ops
type preferences struct {
	Return  string // "minimal", "representation", "OperationOutcome"; empty is representation, and minimal for Bundles
	Lenient bool   // handling=lenient: what a search asks wrongly is left out
	Dry     bool   // dry-run: nothing is stored, and the answer says what would be
}

// parsePrefer reads Prefer headers. What it does not know is left out, as
// https://www.rfc-editor.org/rfc/rfc7240 demands; the first of two counts.
func parsePrefer(headers []string) preferences {
	var p preferences
	handling := ""
	for _, header := range headers {
		for entry := range strings.SplitSeq(header, ",") {
			entry, _, _ = strings.Cut(entry, ";")
			name, value, _ := strings.Cut(entry, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch name = strings.ToLower(strings.TrimSpace(name)); {
			case name == "return" && p.Return == "":
				p.Return = returnValue(value)
			case name == "handling" && handling == "":
				handling = strings.ToLower(value)
			case name == "dry-run":
				p.Dry = true
			}
		}
	}
	p.Lenient = handling == "lenient"
	return p
}

func returnValue(value string) string {
	for _, known := range []string{"minimal", "representation", "OperationOutcome"} {
		if strings.EqualFold(value, known) {
			return known
		}
	}
	return ""
}
