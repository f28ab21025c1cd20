package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// nativeOf returns the Go function for an invariant, nil where the expression is
// evaluated. A test holds each against its expression.
func nativeOf(name string) native {
	if f := presence(name); f != nil {
		return f
	}
	switch name {
	case "DomainResource#dom-2":
		return noneContained("contained", "")
	case "DomainResource#dom-3":
		return func(c *checker, n fhir.Node) verdict { return verdictOf(len(c.unreferenced(n)) == 0) }
	case "DomainResource#dom-4":
		return noneContained("meta", "versionId", "lastUpdated")
	case "DomainResource#dom-5":
		return noneContained("meta", "security")
	case "DomainResource#dom-6":
		return func(_ *checker, n fhir.Node) verdict { return verdictOf(has(n.Child("text"), "div")) }
	case "Reference#ref-1":
		return (*checker).local
	case "SimpleQuantity#sqty-1":
		return func(_ *checker, n fhir.Node) verdict { return verdictOf(!has(n, "comparator")) }
	case "Period#per-1":
		return notAfter("start", "end")
	case "Task#inv-1":
		return notAfter("authoredOn", "lastModified")
	case "Observation#obs-7":
		return componentCodes
	case "Questionnaire#que-2":
		return distinct(repeatedLinks)
	case "CodeSystem#csd-1":
		return distinct(repeatedCodes)
	case "Bundle#bdl-7":
		return func(_ *checker, n fhir.Node) verdict { return verdictOf(len(sameEntries(n)) == 0) }
	}
	return nil
}

// presence returns the function for an invariant that only asks which elements there
// are, nil for another one.
func presence(name string) native {
	switch name {
	case "Extension#ext-1":
		return eitherOr("extension", "value")
	case "Quantity#qty-3", "ValueSet#vsd-10":
		return demandsWith("code", "system")
	case "Attachment#att-1":
		return demandsWith("data", "contentType")
	case "ContactPoint#cpt-2":
		return demandsWith("value", "system")
	case "Timing#tim-1":
		return demandsWith("duration", "durationUnit")
	case "Timing#tim-2":
		return demandsWith("period", "periodUnit")
	case "Timing#tim-6":
		return demandsWith("periodMax", "period")
	case "Timing#tim-7":
		return demandsWith("durationMax", "duration")
	case "Timing#tim-8":
		return demandsWith("countMax", "count")
	case "ServiceRequest#prr-1":
		return demandsWith("orderDetail", "code")
	case "Timing#tim-10":
		return notBoth("timeOfDay", "when")
	case "Observation#obs-6":
		return notBoth("dataAbsentReason", "value")
	case "CarePlan#cpl-3":
		return notBoth("detail", "reference")
	case "AuditEvent#sev-1":
		return notBoth("name", "query")
	case "QuestionnaireResponse#qrs-1":
		return notBoth("answer", "item")
	case "Questionnaire#que-4":
		return notBoth("answerOption", "answerValueSet")
	case "Questionnaire#que-11":
		return notBoth("answerOption", "initial")
	case "Patient#pat-1":
		return anyOf("name", "telecom", "address", "organization")
	case "Observation#obs-3":
		return anyOf("low", "high", "text")
	case "Appointment#app-1":
		return anyOf("type", "actor")
	case "Condition#con-1":
		return anyOf("summary", "assessment")
	case "Condition#con-2":
		return anyOf("code", "detail")
	case "Organization#org-1":
		return anyOf("identifier", "name")
	case "Bundle#bdl-5":
		return anyOf("resource", "request", "response")
	}
	return nil
}

func has(n fhir.Node, name string) bool { return !n.Child(name).IsZero() }

// demandsWith is broken where there is a without b.
func demandsWith(a, b string) native {
	return func(_ *checker, n fhir.Node) verdict { return verdictOf(!has(n, a) || has(n, b)) }
}

func notBoth(a, b string) native {
	return func(_ *checker, n fhir.Node) verdict { return verdictOf(!has(n, a) || !has(n, b)) }
}

func eitherOr(a, b string) native {
	return func(_ *checker, n fhir.Node) verdict { return verdictOf(has(n, a) != has(n, b)) }
}

func anyOf(names ...string) native {
	return func(_ *checker, n fhir.Node) verdict {
		for _, name := range names {
			if has(n, name) {
				return holds
			}
		}
		return broken
	}
}

// notAfter is broken where the time first is later than last. It leaves to the
// expression what it cannot tell by the digits: times of several precisions, zones or
// lengths.
func notAfter(first, last string) native {
	return func(_ *checker, n fhir.Node) verdict {
		a, b := n.Child(first), n.Child(last)
		if !a.HasValue() || !b.HasValue() {
			return holds
		}
		x, y := a.Text(), b.Text()
		if len(x) != len(y) || len(x) < len("2006-01-02") || zone(x) != zone(y) {
			return ask
		}
		return verdictOf(x <= y)
	}
}

// zone returns what stands behind the seconds of a dateTime.
func zone(s string) string {
	if i := strings.LastIndexAny(s, "Z+"); i >= 0 {
		return s[i:]
	}
	if i := strings.LastIndexByte(s, '-'); i > len("2006-01") {
		return s[i:]
	}
	return ""
}

// componentCodes is obs-7: no component has a code of the Observation, if that has a
// value of its own.
func componentCodes(_ *checker, n fhir.Node) verdict {
	if !has(n, "value") || !has(n, "component") {
		return holds
	}
	codings := 0
	for range n.Child("code").Each("coding") {
		codings++
	}
	if codings == 0 {
		return holds
	}
	return ask
}
