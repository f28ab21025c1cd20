package questionnaire

import (
	"github.com/openconsult/openconsult/fhir"
)

const maxConditions = 200 // of an item

// conditions reads the enableWhen of an item.
func (c *compiler) conditions(it *item) {
	for n := range it.node.Each("enableWhen") {
		if len(it.conditions) == maxConditions {
			c.report(n, fhir.Error, "too-many-conditions", "The item has more than %d conditions; use fewer.", maxConditions)
			break
		}
		question := c.form.items[n.Child("question").Text()]
		operator, answer := n.Child("operator").Text(), n.Child("answer")
		if question == nil {
			c.report(n, fhir.Error, "question-unknown", "The form has no question with the linkId of this enableWhen.")
			continue
		}
		if c.suits(it, question, n) {
			it.conditions = append(it.conditions, condition{question: question, operator: operator, answer: answer})
		}
	}
	behavior := it.node.Child("enableBehavior")
	if len(it.conditions) > 1 && !behavior.HasValue() {
		c.report(it.node, fhir.Error, "enable-behavior-missing", "Say by enableBehavior whether one enableWhen is enough or all must hold.")
	}
	it.any = behavior.Text() != "all"
}

// suits reports whether a question can be asked about by an enableWhen.
func (c *compiler) suits(it, question *item, n fhir.Node) bool {
	operator, answer := n.Child("operator").Text(), n.Child("answer")
	typ := answer.Type().Name
	switch {
	case question == it:
		c.report(n, fhir.Error, "condition-on-itself", "An item cannot be enabled by its own answer.")
	case !question.isQuestion():
		c.report(n, fhir.Error, "condition-not-on-question", "The item %q has no answers, so that nothing can depend on them.", question.linkID)
	case !answer.HasValue():
		c.report(n, fhir.Error, "condition-type", "Give the answer of the enableWhen a value.")
	case operator == "exists" && typ != "boolean":
		c.report(n, fhir.Error, "condition-type", "Give the enableWhen with the operator exists an answerBoolean.")
	case operator == "exists":
		return true
	case !question.mayEqual(typ):
		c.report(n, fhir.Error, "condition-type", "Answers to %q, of type %s, cannot be compared with an answer of type %s.", question.linkID, question.kind, typ)
	case operator != "=" && operator != "!=" && !isNumber(typ) && !isDated(typ) && typ != "time" && typ != "Quantity":
		c.report(n, fhir.Error, "condition-operator", "Answers of type %s have no order; use the operator = or !=.", typ)
	default:
		return true
	}
	return false
}

// mayEqual reports whether an answer to it can equal a value of a type.
func (it *item) mayEqual(typ string) bool {
	switch want := answerType(it.kind); {
	case want == "":
		return it.takes(typ) || it.takes("uri") && typ == "string"
	case isNumber(want):
		return isNumber(typ)
	case isDated(want):
		return isDated(typ)
	case want == "uri":
		return typ == "string"
	default:
		return typ == want
	}
}

// circles finds the conditions that depend on the item which they are to enable. They
// are answered without asking whether their question is enabled.
func (c *compiler) circles() {
	w := &circleWalk{index: make([]int, len(c.order)+1), low: make([]int, len(c.order)+1), group: make([]int, len(c.order)+1)}
	for _, it := range c.order {
		if w.index[it.order] == 0 {
			w.visit(it)
		}
	}
	for _, it := range c.order {
		for i, cond := range it.conditions {
			if w.group[it.order] != w.group[cond.question.order] {
				continue
			}
			it.conditions[i].circular = true
			c.report(it.node, fhir.Warning, "condition-circle", "Whether this item is enabled depends on %q, which depends on this item.", cond.question.linkID)
		}
	}
}

// A circleWalk finds the strongly connected components of items, in the way of Tarjan.
// An item depends on its parent and on the questions of its conditions.
type circleWalk struct {
	index, low, group []int // by order; 0 is none
	stack             []*item
	next              int
}

func (w *circleWalk) visit(it *item) {
	w.next++
	w.index[it.order], w.low[it.order] = w.next, w.next
	w.stack = append(w.stack, it)
	if it.parent.parent != nil {
		w.edge(it, it.parent)
	}
	for _, cond := range it.conditions {
		w.edge(it, cond.question)
	}
	if w.low[it.order] != w.index[it.order] {
		return
	}
	first := len(w.stack) - 1
	for w.stack[first] != it {
		first--
	}
	for _, member := range w.stack[first:] {
		w.group[member.order] = it.order
	}
	w.stack = w.stack[:first]
}

func (w *circleWalk) edge(from, to *item) {
	if w.index[to.order] == 0 {
		w.visit(to)
		w.low[from.order] = min(w.low[from.order], w.low[to.order])
	} else if w.group[to.order] == 0 {
		w.low[from.order] = min(w.low[from.order], w.index[to.order])
	}
}
