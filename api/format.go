package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A format is a representation that the server reads or writes.
type format uint8

const (
	unknownFormat format = iota
	jsonFormat
	xmlFormat
	htmlFormat
	patchFormat // JSON Patch, read only
)

// The content types of what is written.
const (
	jsonType = "application/fhir+json; charset=utf-8"
	xmlType  = "application/fhir+xml; charset=utf-8"
)

// formatOf returns the format that a media type or a value of _format names.
func formatOf(name string) format {
	switch strings.ToLower(name) {
	case "json", "application/json", "text/json", "application/fhir+json":
		return jsonFormat
	case "xml", "application/xml", "text/xml", "application/fhir+xml":
		return xmlFormat
	case "html", "text/html", "application/xhtml+xml":
		return htmlFormat
	case "application/json-patch+json":
		return patchFormat
	}
	return unknownFormat
}

// splitType takes a media type off its parameters. A fhirVersion other than 4.0
// is no type that the server knows. https://hl7.org/fhir/R4/http.html#version-parameter
func splitType(value string) (name string, ok bool) {
	if !strings.Contains(value, ";") {
		name = strings.ToLower(strings.TrimSpace(value))
		return name, name != ""
	}
	name, parameters, err := mime.ParseMediaType(strings.TrimSpace(value))
	if err != nil {
		return "", false
	}
	version := parameters["fhirversion"]
	return name, version == "" || version == "4.0" || version == "4.0.1"
}

// A preference is one entry of an Accept header.
type preference struct {
	name    string // a media type, "*/*", "application/*"
	quality float64
}

// parseAccept reads an Accept header. Entries it cannot read count for nothing.
// https://www.rfc-editor.org/rfc/rfc9110#name-accept
func parseAccept(header string) []preference {
	var list []preference
	for entry := range strings.SplitSeq(header, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		// Clients write a bare star for any type.
		if entry == "*" {
			entry = "*/*"
		}
		name, ok := splitType(entry)
		if !ok {
			continue
		}
		list = append(list, preference{name, quality(entry)})
	}
	return list
}

func quality(entry string) float64 {
	if !strings.Contains(entry, ";") {
		return 1
	}
	_, parameters, err := mime.ParseMediaType(entry)
	if err != nil {
		return 0
	}
	q, err := strconv.ParseFloat(parameters["q"], 64)
	switch {
	case parameters["q"] == "":
		return 1
	case err != nil || !(q >= 0 && q <= 1):
		return 0
	}
	return q
}

// negotiate returns the format for the answer to a request.
// https://hl7.org/fhir/R4/http.html#mime-type
func negotiate(r *http.Request) (format, error) {
	if value := r.URL.Query().Get("_format"); value != "" {
		// The query made a space of a plus sign that was not encoded.
		name, parameters, _ := strings.Cut(value, ";")
		name, ok := splitType(strings.ReplaceAll(strings.TrimSpace(name), " ", "+") + ";" + parameters)
		f := formatOf(name)
		if !ok || f == unknownFormat || f == patchFormat {
			return 0, notAcceptable("_format")
		}
		return f, nil
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return jsonFormat, nil
	}
	if f := preferred(parseAccept(accept)); f != unknownFormat {
		return f, nil
	}
	return 0, notAcceptable("Accept")
}

// preferred returns the format with the highest quality, the first of several.
// A wildcard stands for what no other entry names, JSON before XML.
func preferred(list []preference) format {
	named := func(f format) bool {
		return slices.ContainsFunc(list, func(p preference) bool { return formatOf(p.name) == f })
	}
	best, top := unknownFormat, 0.0
	for _, p := range list {
		f := formatOf(p.name)
		switch {
		case p.name != "*/*" && p.name != "application/*":
		case !named(jsonFormat):
			f = jsonFormat
		case !named(xmlFormat):
			f = xmlFormat
		}
		if f != unknownFormat && f != patchFormat && p.quality > top {
			best, top = f, p.quality
		}
	}
	return best
}

func notAcceptable(where string) error {
	return &refusal{http.StatusNotAcceptable, fhir.NotSupported, "The server cannot answer in the format that " + where + " asks for; ask for application/fhir+json or application/fhir+xml."}
}
