package questionnaire

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// An item is an item of a form, or the form itself as the group of those at its top.
type item struct {
	node     fhir.Node
	linkID   string
	kind     string // its type: "group", "choice"
	parent   *item  // nil for the form
	at       int    // among the children of the parent
	order    int    // in the form, from 1; 0 for the form itself
	children []*item

	required, repeats bool
	least, most       int // answers or repetitions; 0 is no bound

	conditions []condition
	any        bool // one condition is enough
	enable     *expression

	restriction
	constraints []constraint
	variables   map[string]*named
	calculated  *expression
	level       int // of the calculated value
}

// A restriction says which values may answer a question.
type restriction struct {
	minLength, maxLength int // in characters; 0 is no bound
	decimals             int // the most decimal places; -1 is no bound
	pattern              *pattern
	bounds               []bound
	options              map[string]option // by the key of the value
	optionTypes          []string
	valueSet             *valueSet
	units                map[string]bool // keys of codings
	unitSet              *valueSet
	unitOpen             string // "optionsOrType", "optionsOrString"; else only the options
	targets              []string
	mimeTypes            []string
	maxBytes             *apd.Decimal // nil is no bound
}

// A condition is an enableWhen.
type condition struct {
	question *item
	operator string
	answer   fhir.Node
	circular bool // the question depends on the item: its answers count whether or not it is enabled
}

// A bound is an inclusive bound of values.
type bound struct {
	value fhir.Node
	upper bool
}

// An option is an answerOption.
type option struct{ exclusive bool }

// A valueSet is named by its canonical, or contained in the form.
type valueSet struct {
	canonical string
	contained *definition.Definition
}

// A constraint must hold before a response is complete.
type constraint struct {
	key, human string
	warning    bool
	test       *expression
}

func (it *item) isGroup() bool    { return it.kind == "group" }
func (it *item) isDisplay() bool  { return it.kind == "display" }
func (it *item) isQuestion() bool { return !it.isGroup() && !it.isDisplay() }

// takes reports whether an answer may have a type.
// https://hl7.org/fhir/R4/codesystem-item-type.html
func (it *item) takes(typ string) bool {
	switch it.kind {
	case "choice", "open-choice":
		if it.kind == "open-choice" && typ == "string" {
			return true
		}
		for _, t := range it.optionTypes {
			if t == typ {
				return true
			}
		}
		return typ == "Coding" && (len(it.optionTypes) == 0 || it.valueSet != nil)
	}
	return typ == answerType(it.kind)
}

// answerType returns the type of the answers to a question whose type is no choice, or
// "" where there are none.
func answerType(kind string) string {
	switch kind {
	case "string", "text":
		return "string"
	case "url":
		return "uri"
	case "attachment":
		return "Attachment"
	case "reference":
		return "Reference"
	case "quantity":
		return "Quantity"
	case "boolean", "decimal", "integer", "date", "dateTime", "time":
		return kind
	}
	return ""
}

// within reports whether it is below above, at any depth.
func (it *item) within(above *item) bool {
	for it = it.parent; it != nil; it = it.parent {
		if it == above {
			return true
		}
	}
	return false
}

// onlyCalculated reports whether it has calculated values and nothing that somebody
// else could answer.
func (it *item) onlyCalculated() bool {
	some := it.calculated != nil
	for _, child := range it.children {
		switch {
		case child.isDisplay():
		case child.onlyCalculated():
			some = true
		default:
			return false
		}
	}
	return some && (it.isGroup() || it.calculated != nil)
}
