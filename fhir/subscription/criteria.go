package subscription

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// readCriteria reads R4 criteria, or a topic and its filters.
func (r *reading) readCriteria(n fhir.Node) {
	r.criteria = n.Text()
	if isTopic(r.criteria) {
		r.readTopic(n)
		return
	}
	if x := n.Extension(filterExtension); !x.IsZero() {
		r.refuse(x, fhir.BusinessRule, "Filters narrow a topic: name one of ours in criteria, or put the filter into the criteria.")
	}
	r.typ, r.query, _ = strings.Cut(r.criteria, "?")
	r.check(n, r.query)
}

// isTopic reports whether criteria are the canonical URL of a topic.
func isTopic(criteria string) bool {
	before, _, _ := strings.Cut(criteria, "?")
	return strings.Contains(before, "://")
}

func (r *reading) readTopic(n fhir.Node) {
	if r.topic = topicOf(r.criteria); r.topic == nil {
		r.refuse(n, fhir.NotSupported, "This server publishes no such topic. Name one of these: %s.", strings.Join(topicURLs(), ", "))
		return
	}
	r.typ = r.topic.Resource
	var queries []string
	for x := range n.Each("extension") {
		if x.Child("url").Text() != filterExtension {
			continue
		}
		filter := x.Child("value").Text()
		typ, query, asked := strings.Cut(filter, "?")
		if !asked || typ != r.typ {
			r.refuse(x, fhir.Value, "Write the filter as %s?parameter=value.", r.typ)
			continue
		}
		r.filters = append(r.filters, filter)
		queries = append(queries, query)
		r.mayFilter(x, query)
		r.check(x, query)
	}
	if len(r.filters) > mostFilters {
		r.refuse(n, fhir.TooCostly, "Give at most %d filters.", mostFilters)
	}
	r.query = strings.Join(queries, "&")
}

func topicURLs() []string {
	var all []string
	for _, t := range Topics() {
		all = append(all, t.URL())
	}
	return all
}

// mayFilter refuses filters that the topic does not have.
func (r *reading) mayFilter(n fhir.Node, query string) {
	params, err := search.Parameters(query)
	if err != nil {
		return // check says so
	}
	for _, p := range params {
		name, _, _ := strings.Cut(p.Name, ":")
		if !slices.Contains(r.topic.Filters, name) {
			r.refuse(n, fhir.NotSupported, "The topic is not filtered by this parameter; it is by: %s.", strings.Join(r.topic.Filters, ", "))
		}
	}
}

// check refuses criteria that could not be understood, or that a version alone
// does not answer.
func (r *reading) check(n fhir.Node, query string) {
	if spec.R4().Resource(r.typ) == nil {
		r.refuse(n, fhir.Value, "Write the criteria as Type?parameter=value, with a resource type of R4, or name a topic by its URL.")
		return
	}
	if r.typ == "AuditEvent" || r.typ == "Subscription" {
		r.refuse(n, fhir.NotSupported, "There are no subscriptions to resources of type %s.", r.typ)
		return
	}
	all, err := r.engine.Store.Registry().Criteria(r.typ, query)
	if o := fhir.AsOutcome(err); o != nil {
		for _, i := range o.Issues {
			r.refuse(n, i.Code, "%s", i.Text)
		}
		return
	}
	if err != nil || !isPlain(search.And(all)) {
		r.refuse(n, fhir.NotSupported, "Ask only by what the resource itself says: leave out chains, _has, _list, _text and _content.")
	}
}

// isPlain reports whether a resource alone says if c holds for it.
func isPlain(c search.Condition) bool {
	switch c := c.(type) {
	case search.And:
		return !slices.ContainsFunc(c, func(c search.Condition) bool { return !isPlain(c) })
	case search.Or:
		return !slices.ContainsFunc(c, func(c search.Condition) bool { return !isPlain(c) })
	case search.Not:
		return isPlain(c.Condition)
	case *search.Test, search.IDs, search.Updated:
		return true
	}
	return false
}

// params adds the parameters that c asks by to all.
func params(all []*search.Param, c search.Condition) []*search.Param {
	switch c := c.(type) {
	case search.And:
		for _, c := range c {
			all = params(all, c)
		}
	case search.Or:
		for _, c := range c {
			all = params(all, c)
		}
	case search.Not:
		return params(all, c.Condition)
	case *search.Test:
		return append(all, c.Param)
	}
	return all
}

// rules returns the ways in which a subscription fires. Criteria that were
// understood once may not be any more: their parameter may have been taken away.
func rules(r *search.Registry, w *watch) ([]*rule, error) {
	if w.topic == nil {
		all, err := conditions(r, w.typ, w.query)
		return []*rule{{of: w, typ: w.typ, current: all, any: true}}, err
	}
	filters, err := conditions(r, w.typ, w.query)
	if err != nil {
		return nil, err
	}
	var fire []*rule
	for _, t := range w.topic.Triggers {
		typ := t.typeOf(w.topic)
		now, err := conditions(r, typ, escaped(t.Current))
		if err != nil {
			return nil, err
		}
		before, err := conditions(r, typ, escaped(t.Previous))
		if err != nil {
			return nil, err
		}
		made := &rule{of: w, typ: typ, current: now, previous: before, create: t.Create, changed: t.Changed, added: t.Added}
		if t.Focus == "" {
			// The filters come first: of two keys that are as good as each other by what is
			// known, theirs is the one that fewer resources will have.
			made.current = slices.Concat(filters, now)
		} else if made.focus = r.Param(typ, t.Focus); made.focus != nil {
			made.filters = filters
		} else {
			return nil, fmt.Errorf("look for what a %s is about: it has no search parameter %s", typ, t.Focus)
		}
		fire = append(fire, made)
	}
	return fire, nil
}

// conditions returns what a query asks of a resource; an empty one asks nothing.
func conditions(r *search.Registry, typ, query string) (search.And, error) {
	if query == "" {
		return nil, nil
	}
	return r.Criteria(typ, query)
}

// escaped returns the criteria of a trigger as a query.
func escaped(criteria string) string {
	if criteria == "" {
		return ""
	}
	var all []string
	for c := range strings.SplitSeq(criteria, "&") {
		name, value, _ := strings.Cut(c, "=")
		all = append(all, url.QueryEscape(name)+"="+url.QueryEscape(value))
	}
	return strings.Join(all, "&")
}

// parse takes apart criteria and filters that were checked when they were stored.
func parse(criteria string, filters []string) (topic *Topic, typ, query string) {
	if isTopic(criteria) {
		if topic = topicOf(criteria); topic == nil {
			return nil, "", ""
		}
		var queries []string
		for _, f := range filters {
			_, query, _ := strings.Cut(f, "?")
			queries = append(queries, query)
		}
		return topic, topic.Resource, strings.Join(queries, "&")
	}
	typ, query, _ = strings.Cut(criteria, "?")
	return nil, typ, query
}
