package validate

import (
	"fmt"

	"github.com/openconsult/openconsult/fhir"
)

const (
	mostNamed = 1000     // definitions that one resource may name
	leastRaw  = 10 << 10 // bytes of a resource that can name so many
)

// tooVaried returns what is wrong with a resource that names more profiles and
// extensions than there is any sense in: each would have to be looked up. It is nil for
// any other.
func tooVaried(root fhir.Node, profiles []string) []fhir.Issue {
	if len(root.Raw()) < leastRaw && len(profiles) <= mostNamed {
		return nil
	}
	named := map[string]bool{}
	for _, p := range profiles {
		named[p] = true
	}
	if countNamed(root, named); len(named) <= mostNamed {
		return nil
	}
	is := fhir.At(root)
	is.Code, is.Detail = fhir.TooCostly, "too-many-definitions"
	is.Text = fmt.Sprintf("Divide this: it names more than %d different profiles and extensions.", mostNamed)
	return []fhir.Issue{is}
}

// countNamed adds the profiles and extensions that n names, until they are too many.
func countNamed(n fhir.Node, named map[string]bool) {
	for child := range n.Children() {
		if len(named) > mostNamed {
			return
		}
		switch {
		case child.Name() == "url" && n.Type().Name == "Extension", child.Name() == "profile" && n.Type().Name == "Meta":
			named[child.Text()] = true
		default:
			countNamed(child, named)
		}
	}
}
