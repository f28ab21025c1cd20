package bulk

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// An Export is what a client asks for.
// https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request
type Export struct {
	Request  string // address that it was sent to
	Level    string // "" for the system, "Patient", or "Group"
	Group    string // id of the Group
	Types    []string
	Since    time.Time // resources that changed at or after it, and deletions; zero for all that there is
	Filters  []string  // "Observation?code=x": of several for one type one must hold
	Elements []string  // "name", or "Patient.name"; empty for all
	Patients []string  // ids: nobody but these; nil for all. Not for the system
	Lenient  bool      // what is not known is left out
}

// exportAsked is an Export as a job keeps it.
type exportAsked struct {
	Request  string
	At       store.Instantaneous
	Types    []string
	Since    time.Time
	Filters  map[string][]string // queries by type
	Elements map[string][]string // by type; "" is for all
	Patients []string            // nil: it does not matter
}

// Export begins an export for g, from where a request came, and returns the id of
// its job. What is wrong with x, and what g may not export, is an Outcome.
func (e *Engine) Export(ctx context.Context, g access.Grant, from interaction.Origin, x Export) (string, error) {
	granted := exporting(g)
	a := exportAsked{Request: x.Request, Since: x.Since}
	var err error
	if a.Types, err = e.types(granted, x); err != nil {
		return "", e.turnedAway(ctx, caller{g, from}, "export", err)
	}
	if a.Filters, err = e.filters(ctx, x, a.Types); err != nil {
		return "", err
	}
	if a.Elements, err = elements(x, a.Types); err != nil {
		return "", err
	}
	if a.Patients, err = e.patients(ctx, granted, from, x); err != nil {
		return "", err
	}
	if _, _, err := holderOf(g); err != nil {
		return "", err
	}
	if a.At, err = e.Store.Instant(ctx); err != nil {
		return "", err
	}
	if err := e.note(ctx, g, from, store.Trail{Interaction: "export", Key: fhir.Key{Type: x.Level, ID: x.Group}, Detail: map[string]string{"types": strings.Join(a.Types, ",")}}); err != nil {
		return "", err
	}
	return e.begin(ctx, g, exportKind, "waiting", a)
}

// types returns what is exported: what x names, or whatever g may, which is frozen
// then.
func (e *Engine) types(g access.Grant, x Export) ([]string, error) {
	all := exportable(e.Store.Audits(), x.Level != "")
	if len(x.Types) == 0 {
		all = slices.DeleteFunc(all, func(typ string) bool { return !exports(g, typ) })
		if len(all) == 0 {
			return nil, lacking("To export it takes scopes such as system/*.rs without conditions.")
		}
		return all, nil
	}
	var types []string
	for _, typ := range x.Types {
		switch {
		case slices.Contains(types, typ):
		case slices.Contains(all, typ):
			types = append(types, typ)
		case x.Lenient:
		case spec.R4().Resource(typ) == nil:
			return nil, badValue("_type", "names no R4 resource type with %q.", cut(typ))
		case x.Level != "":
			return nil, badValue("_type", "names %s, of which nothing is in the compartment of a patient.", typ)
		default:
			return nil, badValue("_type", "names %s, which cannot be exported.", typ)
		}
	}
	if len(types) == 0 {
		return nil, badValue("_type", "names nothing that can be exported.")
	}
	slices.Sort(types)
	return types, mayExport(g, types)
}

// filters returns the queries of x by type. None may lead to other resources: those
// are not known as they were.
func (e *Engine) filters(ctx context.Context, x Export, types []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, f := range x.Filters {
		typ, query, found := strings.Cut(f, "?")
		if !found || !slices.Contains(types, typ) {
			if x.Lenient {
				continue
			}
			return nil, badValue("_typeFilter", "is a type that is exported, ?, and a search: Observation?status=final.")
		}
		if _, err := e.condition(ctx, typ, query, time.Now()); err != nil {
			return nil, err
		}
		all[typ] = append(all[typ], query)
	}
	return all, nil
}

// condition reads a query on a type.
func (e *Engine) condition(ctx context.Context, typ, query string, now time.Time) (search.Condition, error) {
	// A plus sign is one of a time zone: the address that it stood in was read already.
	values, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
	if err != nil {
		return nil, badValue("_typeFilter", "has a search that cannot be read; write other characters in it as %%XX.")
	}
	var params []search.Parameter
	for _, name := range sorted(values) {
		for _, v := range values[name] {
			params = append(params, search.Parameter{Name: name, Value: v})
		}
	}
	q, err := e.Engine.Registry().ParseWith(ctx, e.Engine.Terminology(), search.Request{Types: []string{typ}, Params: params, Now: now})
	if err != nil {
		return nil, err
	}
	if len(q.Where) != len(q.Applied) || len(params) == 0 {
		return nil, badValue("_typeFilter", "takes parameters that say which resources are meant, and none that say how they are given.")
	}
	if slices.ContainsFunc(q.Where, leads) {
		return nil, badValue("_typeFilter", "takes no chains, _has and _list: what they lead to is not known as it was.")
	}
	return search.And(q.Where), nil
}

// leads reports whether a condition asks for other resources.
func leads(c search.Condition) bool {
	switch c := c.(type) {
	case search.And:
		return slices.ContainsFunc(c, leads)
	case search.Or:
		return slices.ContainsFunc(c, leads)
	case search.Not:
		return leads(c.Condition)
	case *search.Test, *search.Words, search.IDs, search.Updated:
		return false
	}
	return true
}

// elements returns the elements of x by type.
func elements(x Export, types []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, name := range x.Elements {
		typ, element, found := strings.Cut(name, ".")
		if !found {
			typ, element = "", name
		}
		if typ != "" && !slices.Contains(types, typ) || element == "" || strings.Contains(element, ".") {
			if x.Lenient {
				continue
			}
			return nil, badValue("_elements", "names elements at the top of a resource that is exported: name, or Patient.name.")
		}
		all[typ] = append(all[typ], element)
	}
	return all, nil
}

// patients returns the patients whose compartments are exported, nil if that does
// not matter.
func (e *Engine) patients(ctx context.Context, g access.Grant, from interaction.Origin, x Export) ([]string, error) {
	if x.Level != "Group" {
		return x.Patients, nil
	}
	if err := mayExport(g, []string{"Group"}); err != nil {
		return nil, err
	}
	v, err := e.Engine.For(g, from).Read(ctx, fhir.Key{Type: "Group", ID: x.Group})
	if err != nil {
		return nil, err
	}
	r, err := fhir.Decode("Group", v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a stored Group: %w", err)
	}
	members := []string{}
	for m := range r.Root().Each("member") {
		ref, ok := fhir.ParseReference(m.Child("entity").Child("reference").Text())
		if !ok || ref.Key.Type != "Patient" || ref.Base != "" || m.Child("inactive").Text() == "true" || slices.Contains(members, ref.Key.ID) {
			continue
		}
		if x.Patients == nil || slices.Contains(x.Patients, ref.Key.ID) {
			members = append(members, ref.Key.ID)
		}
	}
	return members, nil
}

// badValue returns an Outcome about a parameter, in a sentence that begins with its
// name.
func badValue(name, format string, args ...any) error {
	return fhir.Errorf(fhir.BadRequest, fhir.Value, "http."+name, "%s "+format, append([]any{name}, args...)...)
}

// cut returns as much of what a client sent as may stand in a sentence.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "?") }

func sorted(values url.Values) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
