package questionnaire

import (
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

const maxItems = 20_000 // of a form

// compiler makes a Form.
type compiler struct {
	form   *Form
	order  []*item // of the form, as it is written
	named  []*named
	cost   int // of all patterns
	issues []fhir.Issue
	wrong  bool
}

// Compile makes a Questionnaire ready. The issues are what is wrong with it, such as a
// condition on a question that it does not have (errors), what cannot be checked, such as
// a pattern that looks ahead (warnings), and what it says that is not enforced at all
// (information). A form with errors among them is nil.
// https://hl7.org/fhir/R4/questionnaire.html
func Compile(root fhir.Node) (*Form, []fhir.Issue) {
	if root.IsZero() || root.Type().Name != "Questionnaire" {
		return nil, []fhir.Issue{{Code: fhir.Invalid, Detail: "questionnaire-required",
			Text: "Only a Questionnaire can be answered: send one, or name one"}}
	}
	c := &compiler{form: &Form{node: root, canonical: canonicalOf(root), items: map[string]*item{}}}
	c.form.root = &item{node: root, kind: "group", restriction: restriction{decimals: -1}}
	c.head(root)
	c.children(c.form.root)
	for _, it := range c.order {
		c.conditions(it)
	}
	c.circles()
	c.expressions(c.form.root)
	for _, it := range c.order {
		c.expressions(it)
	}
	c.resolve()
	c.rank()
	if c.wrong {
		return nil, c.issues
	}
	return c.form, c.issues
}

// report adds an issue about an element of the form.
func (c *compiler) report(at fhir.Node, severity fhir.Severity, detail, format string, args ...any) {
	c.wrong = c.wrong || severity == fhir.Error
	if len(c.issues) >= maxFormIssues {
		return
	}
	is := fhir.At(at)
	is.Severity, is.Code, is.Detail, is.Rule = severity, formCode(detail), detail, c.form.canonical
	is.Text = placeOf(at) + fmt.Sprintf(format, args...)
	c.issues = append(c.issues, is)
}

func formCode(detail string) fhir.Code {
	switch detail {
	case "modifier-extension":
		return fhir.Extension
	case "enable-behavior-missing", "link-id-required":
		return fhir.Required
	case "not-enforced", "pattern-unsupported":
		return fhir.NotSupported
	case "too-many-items", "too-many-conditions":
		return fhir.TooCostly
	case "link-id-repeated":
		return fhir.Duplicate
	case "question-unknown", "value-set-missing":
		return fhir.NotFound
	}
	return fhir.Invalid
}

// head looks at the form as a whole.
func (c *compiler) head(root fhir.Node) {
	for n := range root.Each("extension") {
		c.remark(n)
	}
	for n := range root.Each("modifierExtension") {
		c.refuse(n)
	}
}

func (c *compiler) refuse(n fhir.Node) {
	c.report(n, fhir.Error, "modifier-extension", "This modifier extension is not known here, so the form could be misunderstood; leave it out.")
}

// children makes the items below an item.
func (c *compiler) children(parent *item) {
	for n := range parent.node.Each("item") {
		if len(c.order) >= maxItems {
			if len(c.order) == maxItems {
				c.report(n, fhir.Error, "too-many-items", "The form has more than %d items; divide it.", maxItems)
			}
			return
		}
		it := &item{node: n, linkID: n.Child("linkId").Text(), kind: n.Child("type").Text(),
			parent: parent, at: len(parent.children), order: len(c.order) + 1}
		parent.children = append(parent.children, it)
		c.order = append(c.order, it)
		c.register(it)
		c.item(it)
		c.children(it)
	}
}

func (c *compiler) register(it *item) {
	switch {
	case it.linkID == "":
		c.report(it.node, fhir.Error, "link-id-required", "Give the item a linkId that has a value.")
	case c.form.items[it.linkID] != nil:
		c.report(it.node, fhir.Error, "link-id-repeated", "Another item has this linkId; give each its own.")
	default:
		c.form.items[it.linkID] = it
	}
}

// item reads what stands in an item itself, but for conditions and expressions.
func (c *compiler) item(it *item) {
	n := it.node
	it.required = n.Child("required").Text() == "true"
	it.repeats = n.Child("repeats").Text() == "true"
	it.maxLength = whole(n.Child("maxLength"))
	it.decimals = -1
	for child := range n.Children() {
		switch child.Name() {
		case "modifierExtension":
			c.refuse(child)
		case "extension":
			c.extension(it, child)
		case "answerOption":
			c.option(it, child)
		case "answerValueSet":
			it.valueSet = c.valueSet(child)
		}
	}
	switch {
	case it.kind == "question":
		c.report(n, fhir.Warning, "item-type", "The type question is abstract, so the item cannot be answered; use the type of its answers.")
	case it.isDisplay() && len(it.children) > 0:
		c.report(n, fhir.Warning, "item-type", "A display has no items of its own; make it a group.")
	}
}

// option reads an answerOption.
func (c *compiler) option(it *item, n fhir.Node) {
	v := n.Child("value")
	key := valueKey(v)
	if key == "" {
		c.report(n, fhir.Error, "option-type", "Give the answerOption a value.")
		return
	}
	typ := v.Type().Name
	if want := answerType(it.kind); typ != want && (want != "decimal" || typ != "integer") && !strings.HasSuffix(it.kind, "choice") {
		c.report(n, fhir.Error, "option-type", "Questions of type %s have no options of type %s.", it.kind, typ)
		return
	}
	if it.options == nil {
		it.options = map[string]option{}
	}
	it.options[key] = option{exclusive: n.Extension(coreURL+"questionnaire-optionExclusive").Child("value").Text() == "true"}
	for _, t := range it.optionTypes {
		if t == typ {
			return
		}
	}
	it.optionTypes = append(it.optionTypes, typ)
}

// valueSet reads the canonical of a value set.
func (c *compiler) valueSet(n fhir.Node) *valueSet {
	id, contained := strings.CutPrefix(n.Text(), "#")
	if !contained {
		return &valueSet{canonical: n.Text()}
	}
	for r := range c.form.node.Each("contained") {
		if r.Type().Name == "ValueSet" && r.Child("id").Text() == id {
			return &valueSet{canonical: n.Text(), contained: definition.Of(r)}
		}
	}
	c.report(n, fhir.Error, "value-set-missing", "The form contains no value set with this id.")
	return nil
}
