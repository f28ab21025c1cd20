package consultation

import (
	"fmt"

	"github.com/openconsult/openconsult/fhir"
)

// fault returns an error about the element n with our own code for it.
func fault(n fhir.Node, code fhir.Code, detail, format string, args ...any) fhir.Issue {
	is := fhir.At(n)
	is.Code, is.Detail, is.Text = code, detail, fmt.Sprintf(format, args...)
	return is
}

// doubt returns a warning about the element n with our own code for it.
func doubt(n fhir.Node, detail, text string) fhir.Issue {
	is := fault(n, fhir.BusinessRule, detail, "%s", text)
	is.Severity = fhir.Warning
	return is
}
