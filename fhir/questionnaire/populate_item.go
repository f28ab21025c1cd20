package questionnaire

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// A filler fills one form in.
type filler struct {
	*evaluator
	population Population
	filled     int // items and answers so far
}

// maxNesting is how deep the JSON of a response may be above its values, which have a
// few levels of their own. Package fhir takes 64.
const maxNesting = 56

// form returns the items of the response.
func (f *filler) form(ctx context.Context) []filledItem {
	for _, kind := range []string{"sourceQueries", "sourceStructureMap"} {
		if x := f.root.Extension(sdcURL + kind); !x.IsZero() {
			f.warn(x, fhir.NotSupported, "population-unsupported", "Population by %s is not supported: use expressions or observations.", kind)
		}
	}
	inner := f.instances(ctx, f.root, f.launch())
	if len(inner) == 0 {
		return nil
	}
	return f.fill(ctx, f.root, inner[0], 1)
}

// launch returns the scope with the contexts that the form is filled in for. One that
// the form wants and nobody gave is empty.
func (f *filler) launch() *scope {
	s := &scope{names: map[string]*variable{}}
	for name, n := range f.population.Contexts {
		if !n.IsZero() {
			s.bind(name, fhirpath.Collection{fhirpath.NodeItem(n)})
		}
	}
	subject := f.population.SubjectNode
	for x := range f.root.Each("extension") {
		if x.Child("url").Text() != sdcURL+"launchContext" {
			continue
		}
		name, typ := launchName(x)
		if name == "" || s.names[name] != nil {
			continue
		}
		s.bind(name, nil)
		if !subject.IsZero() && subject.Type().Name == typ {
			s.bind(name, fhirpath.Collection{fhirpath.NodeItem(subject)})
			continue
		}
		f.warn(x, fhir.Required, "context-missing", "The launch context %q was not given: what needs it is left empty.", name)
	}
	return s
}

// launchName returns the name and the resource type of a launchContext.
func launchName(x fhir.Node) (name, typ string) {
	v := x.Extension("name").Child("value")
	if name = v.Text(); name == "" || !v.Child("code").IsZero() {
		name = v.Child("code").Text()
	}
	return name, x.Extension("type").Child("value").Text()
}

// instances returns the scopes in which an element of the form is filled in: one, unless
// the element repeats for each resource of a population context.
func (f *filler) instances(ctx context.Context, n fhir.Node, outer *scope) []*scope {
	own := outer.inside(n)
	expression := n.Extension(sdcURL + "itemPopulationContext").Child("value")
	if expression.IsZero() || expression.Type().Name != "Expression" {
		return []*scope{own}
	}
	name := expression.Child("name").Text()
	values := f.each(ctx, own, expression)
	if repeats := n.Child("repeats").Text() == "true"; !repeats {
		if len(values) > 1 {
			f.warn(expression, fhir.MultipleMatches, "context-not-single", "The population context gives %d values, but the item does not repeat; only the first is used.", len(values))
		}
		own.bind(name, values[:min(1, len(values))])
		return []*scope{own}
	}
	var all []*scope
	for i := range values {
		s := outer.inside(n)
		s.bind(name, values[i:i+1])
		all = append(all, s)
	}
	return all
}

// fill returns the items below an element of the form. Depth is that of the JSON around
// them.
func (f *filler) fill(ctx context.Context, parent fhir.Node, s *scope, depth int) []filledItem {
	var all []filledItem
	for n := range parent.Each("item") {
		if !f.room(n, depth) {
			break
		}
		switch n.Child("type").Text() {
		case "display":
		case "group":
			all = append(all, f.group(ctx, n, s, depth+2)...)
		default:
			if item, ok := f.question(ctx, n, s, depth+2); ok {
				all = append(all, item)
			}
		}
	}
	return all
}

// room reports whether the response may have one more item at a depth.
func (f *filler) room(n fhir.Node, depth int) bool {
	switch {
	case f.err != nil:
		return false
	case depth+4 > maxNesting:
		f.warn(n, fhir.TooCostly, "too-deep", "The form is nested too deeply to be filled in from here on.")
		return false
	case f.filled >= maxFilled:
		f.warn(f.root, fhir.TooCostly, "too-many-items", "More than %d items would be filled in: the rest is left empty.", maxFilled)
		return false
	}
	f.filled++
	return true
}

func (f *filler) group(ctx context.Context, n fhir.Node, outer *scope, depth int) []filledItem {
	var all []filledItem
	for _, s := range f.instances(ctx, n, outer) {
		if items := f.fill(ctx, n, s, depth); len(items) > 0 {
			all = append(all, filledItem{linkID: n.Child("linkId").Text(), items: items})
		}
	}
	return all
}

func (f *filler) question(ctx context.Context, n fhir.Node, outer *scope, depth int) (filledItem, bool) {
	if x := n.Extension(sdcURL + "candidateExpression"); !x.IsZero() {
		f.warn(x, fhir.NotSupported, "candidates-unsupported", "The candidates of this item are not offered: choose the answer by hand.")
	}
	item := filledItem{linkID: n.Child("linkId").Text()}
	for _, s := range f.instances(ctx, n, outer) {
		values := f.values(ctx, n, s)
		below := f.fill(ctx, n, s, depth+2)
		if len(values) == 0 && len(below) > 0 {
			values = []formValue{{}} // what is below a question is below an answer to it
		}
		for _, v := range values {
			item.answers = append(item.answers, filledAnswer{v, below})
			below = nil // of several answers only the first has what is below
		}
	}
	if len(item.answers) > 1 && n.Child("repeats").Text() != "true" {
		f.warn(n, fhir.MultipleMatches, "answer-not-single", "There are several values, but the item does not repeat; only the first is used.")
		item.answers = item.answers[:1]
	}
	f.filled += len(item.answers)
	return item, len(item.answers) > 0
}

// values returns the first answers to a question.
func (f *filler) values(ctx context.Context, n fhir.Node, s *scope) []formValue {
	if x := n.Extension(sdcURL + "initialExpression").Child("value"); !x.IsZero() && x.Type().Name == "Expression" {
		if fitting := f.fitting(n, f.each(ctx, s, x)); len(fitting) > 0 {
			return fitting
		}
	}
	if seen := f.observed(ctx, n); len(seen) > 0 {
		return seen
	}
	var given fhirpath.Collection
	for i := range n.Each("initial") {
		given = append(given, fhirpath.NodeItem(i.Child("value")))
	}
	for o := range n.Each("answerOption") {
		if o.Child("initialSelected").Text() == "true" {
			given = append(given, fhirpath.NodeItem(o.Child("value")))
		}
	}
	return f.fitting(n, given)
}

// fitting returns the values that an item can have; the others are reported.
func (f *filler) fitting(n fhir.Node, given fhirpath.Collection) []formValue {
	most := max(maxFilled-f.filled, 0)
	if n.Child("repeats").Text() != "true" {
		most = min(most, 2) // the second tells that there are several
	}
	var all []formValue
	for _, g := range given {
		if len(all) >= most {
			break
		}
		v, ok := answerFor(n, g, f.now)
		if !ok {
			f.warn(n, fhir.Value, "value-unfit", "A value of type %s cannot answer an item of type %s here: it was left out.", g.Type(), n.Child("type").Text())
			continue
		}
		all = append(all, v)
	}
	return all
}
