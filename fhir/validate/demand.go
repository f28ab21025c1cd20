package validate

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// demands returns what the text of R4 demands of the elements of a type without an
// invariant, nil for most.
func demands(t *spec.Type) func(*checker, fhir.Node) {
	switch t.Name {
	case "Attachment":
		return (*checker).attachment
	case "Reference":
		return (*checker).target
	case "ValueSet.compose.include":
		return (*checker).include
	case "Coding":
		return (*checker).known
	case "Bundle.entry":
		return (*checker).entry
	}
	if t.Is("DomainResource") {
		return (*checker).contained
	}
	return nil
}

// demand says that n breaks something that the text of R4 demands at path.
func (c *checker) demand(n fhir.Node, path, detail, text string) {
	is := fhir.At(n)
	source, _, _ := strings.Cut(path, ".")
	is.Code, is.Detail, is.Rule, is.Text = fhir.Value, detail, definitions+source+"#"+path, text
	c.add(is)
}

// attachment holds the size and the hash of an Attachment against its data.
// https://hl7.org/fhir/R4/datatypes.html#Attachment
func (c *checker) attachment(n fhir.Node) {
	data, size, hash := n.Child("data"), n.Child("size"), n.Child("hash")
	if !data.HasValue() || !size.HasValue() && !hash.HasValue() {
		return
	}
	content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data.Text()), ""))
	if err != nil {
		return
	}
	if size.HasValue() && size.Text() != strconv.Itoa(len(content)) {
		c.demand(size, "Attachment.size", "attachment-size", "Set size to "+strconv.Itoa(len(content))+", the number of bytes of the data, or leave it out.")
	}
	if sum := sha1.Sum(content); hash.HasValue() && strings.Join(strings.Fields(hash.Text()), "") != base64.StdEncoding.EncodeToString(sum[:]) {
		c.demand(hash, "Attachment.hash", "attachment-hash", "Set hash to the SHA-1 of the data in base64, or leave it out.")
	}
}

// contained sees to it that contained resources can be told apart.
// https://hl7.org/fhir/R4/references.html#contained
func (c *checker) contained(n fhir.Node) {
	if !has(n, "contained") {
		return
	}
	seen := map[string]bool{}
	for r := range n.Each("contained") {
		id := r.Child("id")
		switch text := id.Text(); {
		case text == "":
			c.unnamed(r)
		case seen[text]:
			c.demand(id, "DomainResource.contained", "contained-id", "Give this contained resource an id of its own: an earlier one has this one.")
		default:
			seen[text] = true
		}
	}
}

func (c *checker) unnamed(r fhir.Node) {
	if !refersUp(r) {
		c.demand(r, "DomainResource.contained", "contained-id", "Give this contained resource an id, and refer to it by # and the id.")
	}
}

// elementID sees to it that no two elements of a resource have the same id. Contained
// resources are apart, and the elements of a StructureDefinition have the same ids in
// its snapshot and in its differential. https://hl7.org/fhir/R4/element.html
func (c *checker) elementID(n fhir.Node) {
	of := n.Parent().Type()
	if of.Kind == spec.KindResource || of.Name == "ElementDefinition" || !n.HasValue() {
		return
	}
	if c.scope.ids == nil {
		c.scope.ids = map[string]bool{}
	}
	text := n.Text()
	if c.scope.ids[text] {
		c.demand(n, "Element.id", "element-id", "Give this element an id of its own, or none: an earlier element of the resource has this one.")
	}
	c.scope.ids[text] = true
}

// include sees to it that a code system is named by an absolute URI.
// https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include.system
func (c *checker) include(n fhir.Node) {
	if system := n.Child("system"); system.HasValue() && !absolute(system.Text()) {
		c.demand(system, "ValueSet.compose.include.system", "relative-system", "Name the code system by its canonical URL, even if it is contained.")
	}
}

// absolute reports whether a URI has a scheme.
func absolute(uri string) bool {
	scheme, rest, _ := strings.Cut(uri, ":")
	return scheme != "" && rest != "" && !strings.ContainsAny(scheme, "/?#")
}
