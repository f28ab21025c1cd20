package api

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// selectionOf returns the elements that a request about typ asks for. An empty
// typ stands for all types.
// https://hl7.org/fhir/R4/search.html#elements
func selectionOf(c *gin.Context, typ string) (fhir.Selection, error) {
	s := fhir.Selection{Summary: fhir.Summary(c.Query("_summary"))}
	switch s.Summary {
	case "", fhir.SummaryTrue, fhir.SummaryText, fhir.SummaryData, fhir.SummaryFalse:
	case fhir.SummaryCount:
		return s, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "_summary=count is for searches; take true, text, data or false.")
	default:
		return s, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_summary is true, text, data or false.")
	}
	elements, given := c.GetQuery("_elements")
	if !given {
		return s, nil
	}
	if s.Summary != "" && s.Summary != fhir.SummaryFalse {
		return s, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "Send _summary or _elements, not both.")
	}
	for name := range strings.SplitSeq(elements, ",") {
		if typ != "" {
			name = strings.TrimPrefix(name, typ+".")
		}
		if !isElement(typ, name) {
			return s, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_elements names %s, which is no element here; give names of elements at the top of the resource, separated by commas.", shown(name))
		}
		s.Elements = append(s.Elements, name)
	}
	return s, nil
}

func isElement(typ, name string) bool {
	if typ != "" {
		return spec.R4().Resource(typ).Element(name) != nil
	}
	return slices.ContainsFunc(spec.R4().Resources(), func(t *spec.Type) bool { return t.Element(name) != nil })
}
