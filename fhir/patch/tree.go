package patch

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// A tree is a document in the course of a patch.
type tree struct {
	root   node
	op     int // index of the operation under way
	steps  int // so far, see maxSteps
	copied int // bytes so far
}

// refuse returns the error that the operation under way cannot be applied.
func (t *tree) refuse(format string, args ...any) error {
	args = append([]any{t.op}, args...)
	return fhir.Errorf(fhir.Unprocessable, fhir.Processing, "", "operation %d: "+format, args...)
}

// apply changes the tree as o says. After an error the tree is of no use.
func (t *tree) apply(o operation) error {
	switch o.verb {
	case "add":
		return t.add(o.path, node{raw: o.value})
	case "remove":
		_, err := t.remove(o.path)
		return err
	case "replace":
		return t.replace(o)
	case "move":
		return t.move(o)
	case "copy":
		return t.copy(o)
	default:
		return t.test(o)
	}
}

// at returns what p points to.
func (t *tree) at(p pointer) (*node, error) {
	n := &t.root
	for i := range p {
		pos, err := t.position(n, p[:i+1])
		if err != nil {
			return nil, err
		}
		n = &n.inside[pos].value
	}
	return n, nil
}

// position returns where in n the last token of p is; n is what the tokens
// before it lead to.
func (t *tree) position(n *node, p pointer) (int, error) {
	length, err := t.enter(n, p)
	if err != nil {
		return 0, err
	}
	last := p[len(p)-1]
	if n.kind() == '{' {
		if pos := n.find(last); pos >= 0 {
			return pos, nil
		}
		return 0, t.refuse("there is nothing at %s; read the resource again", p.shown())
	}
	if last == "-" {
		return 0, t.refuse("%s is the place after the last element, where nothing is yet; only add, move and copy can use it", p.shown())
	}
	return t.element(p, length-1)
}

// element returns the last token of p as an index that is at most last.
func (t *tree) element(p pointer, last int) (int, error) {
	i, ok := index(p[len(p)-1])
	if !ok {
		return 0, t.refuse("%s points into an array; its last part must be an index such as 0 or 12", p.shown())
	}
	if i > last {
		return 0, t.refuse("%s is beyond the end of the array; read the resource again", p.shown())
	}
	return i, nil
}

// enter opens n, into which p leads, and returns how many members it has.
func (t *tree) enter(n *node, p pointer) (int, error) {
	if n.kind() != '{' && n.kind() != '[' {
		return 0, t.refuse("there is nothing at %s, because %s is neither an object nor an array", p.shown(), p[:len(p)-1].shown())
	}
	length := len(n.members())
	t.steps += length
	if t.steps > maxSteps {
		return 0, fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "",
			"operation %d: the patch is too much work for the size of the resource; split it, or update the whole resource", t.op)
	}
	return length, nil
}

func (t *tree) add(p pointer, v node) error {
	if len(p) == 0 {
		t.root = v
		return nil
	}
	parent, err := t.at(p[:len(p)-1])
	if err != nil {
		return err
	}
	length, err := t.enter(parent, p)
	if err != nil {
		return err
	}
	last := p[len(p)-1]
	if parent.kind() == '{' {
		set(parent, last, v)
		return nil
	}
	pos := length
	if last != "-" {
		pos, err = t.element(p, length)
	}
	if err != nil {
		return err
	}
	parent.inside = slices.Insert(parent.inside, pos, member{value: v})
	return nil
}

// set gives the object the member name, in the place of one of that name.
func set(object *node, name string, v node) {
	if old := object.member(name); old != nil {
		*old = v
		return
	}
	// The error is nil for valid UTF-8, which the patch is.
	key, _ := jsontext.AppendQuote(nil, name)
	object.inside = append(object.inside, member{key: key, value: v})
}

// remove takes out what p points to and returns it.
func (t *tree) remove(p pointer) (node, error) {
	if len(p) == 0 {
		return node{}, t.refuse("the whole resource cannot be removed with a patch; delete it instead")
	}
	parent, err := t.at(p[:len(p)-1])
	if err != nil {
		return node{}, err
	}
	pos, err := t.position(parent, p)
	if err != nil {
		return node{}, err
	}
	v := parent.inside[pos].value
	parent.inside = slices.Delete(parent.inside, pos, pos+1)
	return v, nil
}

func (t *tree) replace(o operation) error {
	n, err := t.at(o.path)
	if err != nil {
		return err
	}
	*n = node{raw: o.value}
	return nil
}

func (t *tree) move(o operation) error {
	if slices.Equal(o.from, o.path) {
		_, err := t.at(o.from)
		return err
	}
	v, err := t.remove(o.from)
	if err != nil {
		return err
	}
	return t.add(o.path, v)
}

func (t *tree) copy(o operation) error {
	n, err := t.at(o.from)
	if err != nil {
		return err
	}
	// As text, the copy shares nothing that a later operation changes.
	text := n.text()
	t.copied += len(text)
	if t.copied > maxResult {
		return tooLarge("operation %d: the patch copies more than %d bytes; copy less", t.op, maxResult)
	}
	// Copies of copies double in depth, and every walk into them would read all of it.
	if len(o.path)+depth(text) > maxDepth {
		return fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "",
			"operation %d: the copy at %s would be nested deeper than %d levels", t.op, o.path.shown(), maxDepth)
	}
	return t.add(o.path, node{raw: text})
}

func (t *tree) test(o operation) error {
	n, err := t.at(o.path)
	if err != nil {
		return err
	}
	if !equal(n, &node{raw: o.value}) {
		return t.refuse("the value at %s is not the one tested for; read the resource again", o.path.shown())
	}
	return nil
}
