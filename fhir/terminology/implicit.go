package terminology

import "strings"

// implicit returns a value set that a code system defines by its canonical URL alone;
// nil when the URL is no such one.
// https://hl7.org/fhir/R4/snomedct.html#implicit https://hl7.org/fhir/R4/loinc.html
func implicit(url string) *composed {
	k := &clause{}
	switch base, rest, _ := strings.Cut(url, "?fhir_vs"); {
	case base == "http://snomed.info/sct" || strings.HasPrefix(base, "http://snomed.info/sct/"):
		if !snomedSet(k, base, rest) || base == url {
			return nil
		}
	case url == "http://loinc.org/vs":
		k.system = "http://loinc.org"
	case strings.HasPrefix(url, "http://loinc.org/vs/LL"):
		k.system, k.filters = "http://loinc.org", []filter{{"LIST", "=", url[len("http://loinc.org/vs/"):]}}
	case strings.HasPrefix(url, "http://loinc.org/vs/LP"):
		k.system, k.filters = "http://loinc.org", []filter{{"ancestor", "=", url[len("http://loinc.org/vs/"):]}}
	case url == "http://unitsofmeasure.org/vs":
		k.system = "http://unitsofmeasure.org"
	case strings.HasPrefix(url, "http://unitsofmeasure.org/vs/"):
		k.system, k.filters = "http://unitsofmeasure.org", []filter{{"canonical", "=", url[len("http://unitsofmeasure.org/vs/"):]}}
	default:
		return nil
	}
	return &composed{url: url, includes: []*clause{k}}
}

// snomedSet fills in k from what follows ?fhir_vs in the URL of a value set of SNOMED
// CT. A base with an edition is a version of it.
func snomedSet(k *clause, base, rest string) bool {
	k.system = "http://snomed.info/sct"
	if base != k.system {
		k.version = base
	}
	id, isa := strings.CutPrefix(rest, "=isa/")
	set, refset := strings.CutPrefix(rest, "=refset/")
	switch {
	case rest == "":
	case isa && id != "":
		k.filters = []filter{{"concept", "is-a", id}}
	case refset && set != "":
		k.filters = []filter{{"concept", "in", set}}
	default:
		return false
	}
	return true
}
