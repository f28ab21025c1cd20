package validate

import "github.com/openconsult/openconsult/fhir"

// distinct is the verdict on elements that are to have a value of their own. What has
// no value is left to the expression, which compares extensions.
func distinct(of func(fhir.Node) ([]fhir.Node, bool)) native {
	return func(_ *checker, n fhir.Node) verdict {
		found, sure := of(n)
		if len(found) == 0 && !sure {
			return ask
		}
		return verdictOf(len(found) == 0)
	}
}

// repeatedLinks returns the linkIds anywhere below n that an earlier item has. It is
// not sure if one has no value.
func repeatedLinks(n fhir.Node) (found []fhir.Node, sure bool) {
	s := values{seen: map[string]bool{}, sure: true}
	var walk func(fhir.Node)
	walk = func(n fhir.Node) {
		for c := range n.Children() {
			if c.Name() == "linkId" {
				s.add(c)
			}
			walk(c)
		}
	}
	walk(n)
	return s.found, s.sure
}

// values are those of elements that are to differ.
type values struct {
	seen  map[string]bool
	found []fhir.Node
	sure  bool
}

func (s *values) add(n fhir.Node) {
	text := n.Text()
	switch {
	case !n.HasValue():
		s.sure = false
	case s.seen[text]:
		s.found = append(s.found, n)
	default:
		s.seen[text] = true
	}
}

// repeatedCodes does so for the codes of the concepts of a CodeSystem.
func repeatedCodes(n fhir.Node) (found []fhir.Node, sure bool) {
	s := values{seen: map[string]bool{}, sure: true}
	var walk func(fhir.Node)
	walk = func(n fhir.Node) {
		for c := range n.Each("concept") {
			s.add(c.Child("code"))
			walk(c)
		}
	}
	walk(n)
	return s.found, s.sure
}

// sameEntries returns the full URLs of a Bundle that is no history that an earlier
// entry with the same version has.
func sameEntries(n fhir.Node) []fhir.Node {
	if n.Child("type").Text() == "history" {
		return nil
	}
	seen := map[string]bool{}
	var found []fhir.Node
	for e := range n.Each("entry") {
		url := e.Child("fullUrl")
		if url.IsZero() {
			continue
		}
		key := url.Text() + e.Child("resource").Child("meta").Child("versionId").Text()
		if seen[key] {
			found = append(found, url)
		}
		seen[key] = true
	}
	return found
}

// blameOf returns what finds the elements to be named by an invariant that speaks of
// more than one element; nil names the element itself.
func blameOf(name string) func(*checker, fhir.Node) []fhir.Node {
	switch name {
	case "DomainResource#dom-2":
		return func(_ *checker, n fhir.Node) []fhir.Node { return containedWith(n, "contained", []string{""}) }
	case "DomainResource#dom-3":
		return (*checker).unreferenced
	case "DomainResource#dom-4":
		return func(_ *checker, n fhir.Node) []fhir.Node {
			return containedWith(n, "meta", []string{"versionId", "lastUpdated"})
		}
	case "DomainResource#dom-5":
		return func(_ *checker, n fhir.Node) []fhir.Node { return containedWith(n, "meta", []string{"security"}) }
	case "Questionnaire#que-2":
		return func(_ *checker, n fhir.Node) []fhir.Node { return first(repeatedLinks(n)) }
	case "CodeSystem#csd-1":
		return func(_ *checker, n fhir.Node) []fhir.Node { return first(repeatedCodes(n)) }
	case "Bundle#bdl-7":
		return func(_ *checker, n fhir.Node) []fhir.Node { return sameEntries(n) }
	}
	return nil
}

func first(found []fhir.Node, _ bool) []fhir.Node { return found }
