package patch

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

const (
	maxOperations = 1_000
	maxDepth      = 64         // of arrays and objects in each other, in a value of the patch and in the result
	maxResult     = 10 << 20   // bytes of the result, and of everything that copy operations copy
	maxSteps      = 50_000_000 // members and elements walked past or moved aside, over the whole patch
)

// JSON returns doc as the JSON Patch in patch leaves it, as compact JSON; doc
// itself is not modified. Either all operations are applied or none.
// https://www.rfc-editor.org/rfc/rfc6902
//
// What the operations do not touch keeps its order and the exact text of its
// strings and numbers, and so do the values that the patch brings in. A test
// operation compares numbers by value, without rounding, and object members
// without regard to their order. A new member goes to the end of its object; a
// replaced one stays where it is.
//
// An error for the caller is a [*fhir.Outcome]. Its class is BadRequest, with an
// issue for each fault of each operation, when patch is not a JSON Patch, has
// more than 1,000 operations or walks through huge arrays too often;
// Unprocessable when an operation does not fit doc, which includes a test that
// fails, see https://hl7.org/fhir/R4/http.html#patch, or when the result would be
// nested deeper than 64 levels; TooLarge when the result, or all copies together,
// would be more than 10 MiB. The texts count operations from 0 and repeat
// pointers and member names of the patch, but never a value of either document.
// Any other error says that doc is not JSON, or has an object with two members of
// the same name.
func JSON(doc, patch []byte) ([]byte, error) {
	ops, err := parse(patch)
	if err != nil {
		return nil, err
	}
	text, err := jsontext.AppendFormat(nil, doc, jsontext.PreserveRawStrings(true))
	if err != nil {
		return nil, fmt.Errorf("read the document to patch: %w", err)
	}
	t := tree{root: node{raw: text}}
	for i, o := range ops {
		t.op = i
		if err := t.apply(o); err != nil {
			return nil, err
		}
	}
	return t.result(len(doc) + len(patch))
}

// result returns the text of the tree, for which it first makes room of the
// given size.
func (t *tree) result(room int) ([]byte, error) {
	out := t.root.append(make([]byte, 0, room))
	if len(out) > maxResult {
		return nil, tooLarge("The patched resource is larger than %d bytes; make it smaller", maxResult)
	}
	if depth(out) > maxDepth {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "",
			"The patched resource is nested deeper than %d levels; make it flatter", maxDepth)
	}
	return out, nil
}

func tooLarge(format string, args ...any) error {
	return fhir.Errorf(fhir.TooLarge, fhir.TooLong, "", format, args...)
}
