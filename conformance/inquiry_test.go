package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// An inquiry is a search that was made up.
type inquiry struct {
	types  []string // in the address
	within *fhir.Key
	params []search.Parameter
	same   []search.Parameter // ask the same in other words; nil if there are none
	kinds  []string           // what is in it, for the count
}

// String is the path and query of a GET.
func (q *inquiry) String() string { return q.path() + "?" + query(q.params) }

// path is that of a GET.
func (q *inquiry) path() string {
	switch {
	case q.within != nil && len(q.types) == 0:
		return "/fhir/" + q.within.String() + "/*"
	case q.within != nil:
		return "/fhir/" + q.within.String() + "/" + q.types[0]
	case len(q.types) == 0:
		return "/fhir"
	}
	return "/fhir/" + q.types[0]
}

// query writes parameters as a query or a form.
func query(params []search.Parameter) string {
	pairs := make([]string, len(params))
	for i, p := range params {
		pairs[i] = url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value)
	}
	return strings.Join(pairs, "&")
}

// parse reads q, or the same in other words, without a server.
func (q *inquiry) parse(r *search.Registry, params []search.Parameter) (*search.Query, error) {
	return r.Parse(search.Request{Types: q.types, Within: q.within, Params: params, Now: time.Now()})
}

// An inquirer makes up searches for what is in a library. A search is made from
// one volume, mostly, so that it has something to find.
type inquirer struct {
	*rand.Rand
	*library
	kinds []string
}

func (a *inquirer) pick(from ...string) string { return from[a.IntN(len(from))] }

func (a *inquirer) oneIn(n int) bool { return a.IntN(n) == 0 }

func (a *inquirer) note(kind string) { a.kinds = append(a.kinds, kind) }

// volume returns any one, those of rare types as often as others.
func (a *inquirer) volume() *volume {
	switch a.IntN(30) {
	case 0:
		if cites := a.like("List").cites(); len(cites) > 0 {
			return cites[a.IntN(len(cites))].from
		}
	case 1, 2, 3, 4, 5, 6, 7, 8, 9:
		return a.volumes[a.IntN(len(a.volumes))]
	}
	return a.like(a.types[a.IntN(len(a.types))])
}

// like returns any one of a type.
func (a *inquirer) like(typ string) *volume {
	all := a.byType[typ]
	return all[a.IntN(len(all))]
}

// inquiry makes up a search.
func (a *inquirer) inquiry() *inquiry {
	a.kinds = nil
	v := a.volume()
	q := &inquiry{types: []string{v.index.Key.Type}}
	switch a.IntN(12) {
	case 0:
		q.types = nil
		a.note("all types")
	case 1:
		q.types = nil
		q.params = append(q.params, search.Parameter{Name: "_type", Value: a.typesWith(v)})
		a.note("_type")
	case 2:
		if n := len(v.index.Members); n > 0 {
			q.within = &v.index.Members[a.IntN(n)].Compartment
			a.note("compartment")
			if a.oneIn(3) {
				q.types = nil
				a.note("compartment of all types")
			}
		}
	}
	if a.oneIn(12) {
		a.filters(q, v)
	} else {
		a.criteria(q, v)
	}
	a.results(q, v)
	q.kinds = a.kinds
	return q
}

// typesWith returns the type of v and others.
func (a *inquirer) typesWith(v *volume) string {
	types := []string{v.index.Key.Type}
	for range 1 + a.IntN(3) {
		types = append(types, a.types[a.IntN(len(a.types))])
	}
	slices.Sort(types)
	return strings.Join(slices.Compact(types), ",")
}

// criteria adds up to four criteria, most of which v answers.
func (a *inquirer) criteria(q *inquiry, v *volume) {
	n := a.IntN(4)
	if n > 0 || q.within == nil {
		n++
	}
	a.note(fmt.Sprint(n, " criteria"))
	if list := a.list(v); list != "" && n > 0 && a.oneIn(2) {
		n--
		a.note("_list")
		q.params = append(q.params, search.Parameter{Name: "_list", Value: list})
	}
	for range n {
		from := v
		if a.oneIn(5) {
			from = a.like(v.index.Key.Type)
		}
		if len(q.types) == 0 && !(len(q.params) > 0 && a.oneIn(2)) {
			q.params = append(q.params, a.common(from))
		} else {
			q.params = append(q.params, a.criterion(from, 0))
		}
	}
}

// common returns a criterion that resources of all types can be asked for.
func (a *inquirer) common(v *volume) search.Parameter {
	var of []search.Entry
	for _, e := range v.index.Entries {
		if e.Param.Base != v.index.Key.Type || a.oneIn(20) {
			of = append(of, e)
		}
	}
	switch {
	case len(of) > 0 && !a.oneIn(4):
		return a.about(v, of[a.IntN(len(of))])
	case a.oneIn(3):
		return a.has(v, 1)
	}
	return a.plain(v)
}

// criterion returns one that v answers, if it is not a negation. It stands depth
// links behind the resource that is searched for.
func (a *inquirer) criterion(v *volume, depth int) search.Parameter {
	n := a.IntN(20)
	switch {
	case n < 4 && depth < 3:
		if p, ok := a.chain(v, depth+1); ok {
			return p
		}
	case n < 6 && depth < 3 && len(v.cited) > 0:
		return a.has(v, depth+1)
	case n == 6 || len(v.index.Entries) == 0:
		return a.plain(v)
	case n == 7:
		return a.missing(v)
	}
	if len(v.index.Entries) == 0 {
		return a.plain(v)
	}
	return a.about(v, a.entry(v))
}

// entry returns a value of v, those of each parameter as often as those of
// others.
func (a *inquirer) entry(v *volume) search.Entry {
	var params []*search.Param
	for _, e := range v.index.Entries {
		if !slices.Contains(params, e.Param) {
			params = append(params, e.Param)
		}
	}
	p := params[a.IntN(len(params))]
	of := slices.DeleteFunc(slices.Clone(v.index.Entries), func(e search.Entry) bool { return e.Param != p })
	return of[a.IntN(len(of))]
}

// chain returns a criterion of what v refers to.
func (a *inquirer) chain(v *volume, depth int) (p search.Parameter, ok bool) {
	cites := v.cites()
	if len(cites) == 0 {
		return p, false
	}
	c := cites[a.IntN(len(cites))]
	p = a.criterion(c.from, depth)
	a.note(fmt.Sprint("chain, link ", depth))
	first := c.param.Code
	if a.oneIn(2) || len(c.param.Targets) == 0 {
		first += ":" + c.from.index.Key.Type
	} else {
		a.note("chain without type")
	}
	return search.Parameter{Name: first + "." + p.Name, Value: p.Value}, true
}

// has returns a criterion of what refers to v.
func (a *inquirer) has(v *volume, depth int) search.Parameter {
	if len(v.cited) == 0 {
		return a.plain(v)
	}
	c := v.cited[a.IntN(len(v.cited))]
	p := a.criterion(c.from, depth)
	a.note(fmt.Sprint("_has, link ", depth))
	return search.Parameter{Name: fmt.Sprintf("_has:%s:%s:%s", c.from.index.Key.Type, c.param.Code, p.Name), Value: p.Value}
}

// missing asks whether there is a value of any parameter of the type.
func (a *inquirer) missing(v *volume) search.Parameter {
	a.note(":missing")
	params := a.registry.Params(v.index.Key.Type)
	return search.Parameter{Name: params[a.IntN(len(params))].Code + ":missing", Value: a.pick("true", "false")}
}

// plain returns a criterion of parameters that are not in an index.
func (a *inquirer) plain(v *volume) search.Parameter {
	p := search.Parameter{Name: a.pick("_id", "_id:not", "_lastUpdated", "_text", "_content", "_id", "_content")}
	a.note(p.Name)
	switch p.Name {
	case "_id", "_id:not":
		ids := []string{v.index.Key.ID}
		for range a.IntN(4) {
			ids = append(ids, a.like(v.index.Key.Type).index.Key.ID)
		}
		p.Value = strings.Join(ids, ",")
	case "_lastUpdated":
		p.Value = a.pick("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "") + a.moment(float64(v.index.Updated.UnixMicro()))
	case "_text":
		p.Value = a.words(v.narrative)
	case "_content":
		p.Value = a.words(v.words)
	}
	return p
}

// list returns the id of a List that has v, and perhaps that of another; empty if
// there is none.
func (a *inquirer) list(v *volume) string {
	for _, c := range v.cited {
		if c.from.index.Key.Type == "List" && c.param.Code == "item" {
			return a.pick("", "List/") + c.from.index.Key.ID + a.pick("", ","+a.like("List").index.Key.ID)
		}
	}
	return ""
}

// words returns what asks for some of words.
func (a *inquirer) words(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	var some []string
	for range 1 + a.IntN(3) {
		word := words[a.IntN(len(words))]
		if slices.Contains([]string{"and", "or", "not"}, word) {
			word = "nothing"
		}
		some = append(some, word, a.pick("", "and", "or", ",", ""))
	}
	return strings.Join(strings.Fields(strings.Join(some[:len(some)-1], " ")), " ")
}

// results adds how the matches are to come.
func (a *inquirer) results(q *inquiry, v *volume) {
	add := func(name, value string) { q.params = append(q.params, search.Parameter{Name: name, Value: value}) }
	if a.oneIn(2) {
		if keys := a.sort(q, v); keys != "" {
			add("_sort", keys)
		}
	}
	if a.oneIn(3) {
		a.note("_total=accurate")
		add("_total", "accurate")
	}
	if a.oneIn(40) {
		a.note("_explain")
		add("_explain", "true")
	}
	if !a.oneIn(5) {
		return
	}
	for range 1 + a.IntN(3) {
		if name, value := a.include(v); name != "" {
			add(name, value)
		}
	}
}

// sort returns up to three keys.
func (a *inquirer) sort(q *inquiry, v *volume) string {
	codes := []string{"_id", "_lastUpdated"}
	if len(q.types) > 0 || len(q.params) > 0 && a.oneIn(2) {
		for _, e := range v.index.Entries {
			if !slices.Contains([]search.Type{search.ReferenceType, search.CompositeType}, e.Param.Type) {
				codes = append(codes, e.Param.Code, e.Param.Code)
			}
		}
		for _, p := range a.registry.Params(v.index.Key.Type) {
			if slices.Contains([]search.Type{search.NumberType, search.QuantityType, search.DateType}, p.Type) {
				codes = append(codes, p.Code)
			}
		}
	}
	keys := make([]string, 1+a.IntN(3))
	for i := range keys {
		keys[i] = a.pick("", "-") + a.pick(codes...)
	}
	a.note(fmt.Sprint("_sort by ", len(keys)))
	return strings.Join(keys, ",")
}

// include returns one that leads somewhere from v, or none.
func (a *inquirer) include(v *volume) (name, value string) {
	cites := v.cites()
	name = a.pick("_include", "_revinclude") + a.pick("", "", ":iterate")
	typ := v.index.Key.Type
	target := ""
	switch {
	case strings.HasPrefix(name, "_include") && a.oneIn(8):
		value = a.pick("*", typ+":*")
	case strings.HasPrefix(name, "_include"):
		if len(cites) == 0 {
			return "", ""
		}
		c := cites[a.IntN(len(cites))]
		value, target = typ+":"+c.param.Code, c.from.index.Key.Type
	case len(v.cited) == 0:
		return "", ""
	default:
		c := v.cited[a.IntN(len(v.cited))]
		value, target = c.from.index.Key.Type+":"+a.pick("*", c.param.Code, c.param.Code, c.param.Code), typ
	}
	if target != "" && a.oneIn(3) {
		value += ":" + target
	}
	if strings.Contains(value, "*") {
		a.note("include of all references")
	}
	a.note(name)
	return name, value
}
