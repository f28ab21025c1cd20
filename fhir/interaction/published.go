package interaction

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/search"
)

// isPublished reports whether k is the address of a resource of the server's own, which
// nobody can write.
func isPublished(k fhir.Key) bool {
	switch k.Type {
	case "CodeSystem", "StructureDefinition":
		return slices.ContainsFunc(definition.Own(), func(o definition.OwnResource) bool { return o.Key == k })
	case "SearchParameter":
		return slices.ContainsFunc(search.Own(), func(p search.OwnParameter) bool { return p.Key() == k })
	}
	return k == access.Published()
}
