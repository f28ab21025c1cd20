package patch

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

const (
	maxPathSteps  = 1_000_000  // of the evaluation of one path
	maxPathsSteps = 20_000_000 // of all paths, each of which may take its share
	maxReread     = 200 << 20  // bytes of the resource decoded again between operations
)

// FHIRPath returns the JSON of res as the FHIRPath Patch in parameters leaves
// it, compact; res itself is not modified. Either all operations are applied or
// none. https://hl7.org/fhir/R4/fhirpatch.html
//
// What the operations do not touch keeps its order and the exact text of its
// strings and numbers, and so do the values that the patch brings in. An element
// is a value with its id and extensions: replace and delete change all of that.
// Where an element or the last of a list goes, so does what is left empty around
// it. A choice takes the type of the value it is given, whether the patch calls
// it value, value[x] or valueString.
//
// add needs one element at its path and, unless the element it names repeats,
// nothing there of that name. delete takes a path to nothing or to one element,
// replace to one. insert and move take a path to all elements of one list. After
// each operation but the last the resource must be well formed, as the paths of
// the next one are looked up in it; the result is for the caller to decode.
//
// An error is a [*fhir.Outcome] whose expressions point into parameters, except
// those that name an element left malformed. Its class is BadRequest when
// parameters is no FHIRPath Patch, has more than 1,000 operations or is too much
// work for the size of res; Unprocessable when an operation does not fit res, or
// the result would be nested deeper than 64 levels; TooLarge when the result
// would be more than 10 MiB. No text repeats a value of either resource.
func FHIRPath(res, parameters *fhir.Resource) ([]byte, error) {
	edits, err := readEdits(parameters)
	if err != nil {
		return nil, err
	}
	given, err := openDocument(parameters)
	if err != nil {
		return nil, err
	}
	d, err := openDocument(res)
	if err != nil {
		return nil, err
	}
	e := editor{document: d, given: given, env: fhirpath.Env{Steps: min(maxPathSteps, maxPathsSteps/max(len(edits), 1))}}
	for i := range edits {
		if err := e.reread(edits, i); err != nil {
			return nil, err
		}
		if err := e.apply(&edits[i]); err != nil {
			return nil, err
		}
	}
	t := tree{root: d.root}
	return t.result(len(res.Source()) + len(parameters.Source()))
}

// An editor applies edits to a document.
type editor struct {
	*document
	given *document // the Parameters that the edits come from
	env   fhirpath.Env
	stale bool // the nodes of the document are not what its text says
	read  int  // bytes decoded again so far
}

// reread decodes the document as the edit before edits[next] left it.
func (e *editor) reread(edits []edit, next int) error {
	if !e.stale {
		return nil
	}
	text := e.root.append(make([]byte, 0, len(e.res.Source())+1024))
	if len(text) > maxResult {
		return tooLarge("The patched resource is larger than %d bytes; make it smaller", maxResult)
	}
	if e.read += len(text); e.read > maxReread {
		return fhir.Errorf(fhir.BadRequest, fhir.TooCostly, edits[next].at.Path(),
			"The patch is too much work for the size of the resource; split it, or update the whole resource")
	}
	res, err := fhir.DecodeDerived(e.res.Type(), text)
	if o := fhir.AsOutcome(err); o != nil {
		return malformed(edits[next-1].at.Path(), o)
	}
	if err != nil {
		return err
	}
	e.res, e.stale = res, false
	return nil
}

// malformed returns the error that an edit left a resource with these problems.
func malformed(at string, o *fhir.Outcome) error {
	first := fhir.Issue{Code: fhir.Processing, Expression: at,
		Text: "This operation leaves the resource malformed, so the next one cannot be applied; change what depends on each other in one operation, such as a replace"}
	return &fhir.Outcome{Class: fhir.Unprocessable, Issues: append([]fhir.Issue{first}, o.Issues...)}
}

func (e *editor) apply(x *edit) error {
	nodes, err := e.find(x)
	if err != nil {
		return err
	}
	if x.verb == "insert" || x.verb == "move" {
		return e.arrange(x, nodes)
	}
	switch {
	case len(nodes) == 0 && x.verb == "delete":
		return nil
	case len(nodes) == 0:
		return x.refuse("path", "There is nothing at this path; read the resource again")
	case len(nodes) > 1:
		return x.refuse("path", "This path leads to several elements; narrow it down to one")
	case x.verb == "add":
		return e.add(x, nodes[0])
	case nodes[0].Parent().IsZero():
		return x.refuse("path", "A patch cannot %s the resource as a whole; name an element of it", x.verb)
	case x.verb == "replace":
		return e.replace(x, nodes[0])
	}
	e.remove(nodes[0])
	e.stale = true
	return nil
}

// find returns the elements that the path of x leads to.
func (e *editor) find(x *edit) ([]fhir.Node, error) {
	env := e.env
	found, err := x.path.EvaluateNode(e.res.Root(), &env)
	if err != nil {
		o := &fhir.Outcome{Class: fhir.Unprocessable, Issues: []fhir.Issue{x.pathIssue(fhir.Processing, err)}}
		if o.Issues[0].Code == fhir.TooCostly {
			o.Class = fhir.BadRequest
		}
		return nil, o
	}
	nodes := make([]fhir.Node, len(found))
	for i, item := range found {
		n, ok := item.Node()
		if !ok || rootOf(n) != e.res.Root() {
			return nil, x.refuse("path", "This path leads to something that is no element of the resource; end it with the name of one")
		}
		nodes[i] = n
	}
	return nodes, nil
}

func rootOf(n fhir.Node) fhir.Node {
	for p := n.Parent(); !p.IsZero(); p = p.Parent() {
		n = p
	}
	return n
}
