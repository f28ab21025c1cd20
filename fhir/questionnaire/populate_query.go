package questionnaire

import (
	"context"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// query returns what an Expression in the query language gives: the Bundle of what a
// search finds, or the resource that is read.
func (e *evaluator) query(ctx context.Context, s *scope, expression fhir.Node) (fhirpath.Collection, bool) {
	nodes, read, ok := e.ask(ctx, s, expression)
	if !ok || len(nodes) == 0 && read {
		return nil, ok
	}
	if read {
		return fhirpath.Collection{fhirpath.NodeItem(nodes[0])}, true
	}
	return e.bundle(expression, nodes)
}

// A listing names a list that is kept, by where it begins.
type listing struct {
	first *fhir.Node // nil for an empty one
	n     int
}

// bundle returns what a search has found as one resource, which is made once.
func (e *evaluator) bundle(expression fhir.Node, nodes []fhir.Node) (fhirpath.Collection, bool) {
	of := listing{n: len(nodes)}
	if len(nodes) > 0 {
		of.first = &nodes[0]
	}
	if made, known := e.bundles[of]; known {
		return made, true
	}
	src := []byte(`{"resourceType":"Bundle","type":"searchset"`)
	for i, n := range nodes {
		src = append(src, [...]string{`,"entry":[`, `,`}[min(i, 1)]...)
		src = append(append(append(src, `{"resource":`...), n.Raw()...), '}')
	}
	if len(nodes) > 0 {
		src = append(src, ']')
	}
	bundle, err := fhir.Decode("Bundle", append(src, '}'))
	if err != nil {
		e.warn(expression, fhir.Processing, "result-unusable", "What was found cannot be put into one Bundle: ask for less.")
		return nil, false
	}
	made := fhirpath.Collection{fhirpath.NodeItem(bundle.Root())}
	e.bundles[of] = made
	return made, true
}

// each returns what an Expression gives, a resource at a time if it is a query; nothing
// when that cannot be found out.
func (e *evaluator) each(ctx context.Context, s *scope, expression fhir.Node) fhirpath.Collection {
	if expression.Child("language").Text() != queryLanguage {
		values, _ := e.evaluate(ctx, s, expression)
		return values
	}
	nodes, _, _ := e.ask(ctx, s, expression)
	items := make(fhirpath.Collection, len(nodes))
	for i, n := range nodes {
		items[i] = fhirpath.NodeItem(n)
	}
	return items
}

// ask runs an Expression in the query language, and says whether it reads one resource
// rather than search.
func (e *evaluator) ask(ctx context.Context, s *scope, expression fhir.Node) (nodes []fhir.Node, read, ok bool) {
	query, ok := e.substitute(ctx, s, expression)
	if !ok {
		return nil, false, false
	}
	path, criteria, searches := strings.Cut(query, "?")
	typ, id, read := strings.Cut(path, "/")
	_, err := url.ParseQuery(criteria)
	if err != nil || spec.R4().Resource(typ) == nil || read == searches || read && !fhir.ValidID(id) {
		e.warn(expression, fhir.Invalid, "query-invalid", "A query is \"Type?criteria\" or \"Type/id\", relative to this server: this one is not.")
		return nil, read, false
	}
	if read {
		query = typ + "?_id=" + id
	}
	nodes, ok = e.run(ctx, expression, query)
	return nodes, read, ok
}

// run returns what a search finds. The same search is run once.
func (e *evaluator) run(ctx context.Context, at fhir.Node, query string) ([]fhir.Node, bool) {
	if nodes, known := e.found[query]; known {
		return nodes, true
	}
	switch {
	case e.err != nil:
		return nil, false
	case e.search == nil:
		e.warn(at, fhir.NotSupported, "search-unavailable", "Nothing can be searched for here: fill this in by hand.")
		return nil, false
	case e.searches == maxSearches:
		e.warn(at, fhir.TooCostly, "too-many-searches", "The form needs more than %d searches; what needs more is left empty.", maxSearches)
		return nil, false
	case e.taken >= maxFoundByAll || e.bytes >= maxBytesByAll:
		e.warnExcess(at)
		return nil, false
	}
	e.searches++
	nodes, err := e.search(ctx, query)
	if o := fhir.AsOutcome(err); o != nil {
		e.warn(at, fhir.Processing, "search-refused", "A search that this needs was refused: %v", o)
		return nil, false
	}
	if err != nil {
		e.err = err
		return nil, false
	}
	if len(nodes) > maxFound {
		e.warn(at, fhir.TooCostly, "too-much-found", "A search found more than %d resources; only these are used.", maxFound)
		nodes = nodes[:maxFound]
	}
	e.found[query] = e.take(at, nodes)
	return e.found[query], true
}

// take returns as many of nodes as there is room for.
func (e *evaluator) take(at fhir.Node, nodes []fhir.Node) []fhir.Node {
	for i, n := range nodes {
		if e.taken == maxFoundByAll || e.bytes > maxBytesByAll {
			e.warnExcess(at)
			return nodes[:i]
		}
		e.taken++
		e.bytes += len(n.Raw())
	}
	return nodes
}

func (e *evaluator) warnExcess(at fhir.Node) {
	e.warn(at, fhir.TooCostly, "too-much-found", "The searches of the form found more than %d resources or %d bytes; only these are used.", maxFoundByAll, maxBytesByAll)
}

// resolve returns what a literal reference to this server points to.
func (e *evaluator) resolve(ctx context.Context, at fhir.Node, reference string) (fhirpath.Item, bool) {
	r, ok := fhir.ParseReference(reference)
	if !ok || r.Base != "" || r.Key.ID == "" || spec.R4().Resource(r.Key.Type) == nil {
		return fhirpath.Item{}, false
	}
	nodes, _ := e.run(ctx, at, r.Key.Type+"?_id="+r.Key.ID)
	if len(nodes) == 0 {
		return fhirpath.Item{}, false
	}
	return fhirpath.NodeItem(nodes[0]), true
}

// substitute returns a query with the values of the expressions in its braces. It is not
// ok when one of them is not known.
func (e *evaluator) substitute(ctx context.Context, s *scope, expression fhir.Node) (string, bool) {
	var b strings.Builder
	rest := strings.TrimSpace(expression.Child("expression").Text())
	for {
		before, after, found := strings.Cut(rest, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		source, tail, closed := strings.Cut(after, "}}")
		if !closed {
			e.warn(expression, fhir.Invalid, "query-invalid", "The braces of the query are not closed.")
			return "", false
		}
		value, ok := e.path(ctx, s, expression, strings.TrimSpace(source))
		if !ok {
			return "", false
		}
		text, ok := queryText(value, strings.Contains(b.String(), "?"))
		if !ok {
			e.warn(expression, fhir.Informational, "query-not-asked", "A value that the query needs is not known, or is none that a query can hold; it was not asked.")
			return "", false
		}
		b.WriteString(text)
		rest = tail
	}
}

// queryText returns values as they stand in the criteria of a query, or else in its path.
func queryText(values fhirpath.Collection, criteria bool) (string, bool) {
	texts := make([]string, 0, len(values))
	for _, v := range values {
		text := v.Text()
		if text == "" {
			return "", false
		}
		if criteria {
			// A token with a vertical bar stays one: forms put system and code together.
			text = url.QueryEscape(strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`).Replace(text))
		}
		texts = append(texts, text)
	}
	if criteria {
		return strings.Join(texts, ","), len(texts) > 0
	}
	if len(texts) != 1 {
		return "", false
	}
	r, ok := fhir.ParseReference(texts[0])
	named := ok && r.Key.ID != "" && texts[0] == r.Key.String()
	return texts[0], named || fhir.ValidID(texts[0])
}
