package terminology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// maxPatterns is how many regular expressions a value set may have.
const maxPatterns = 100

const (
	supplementExtension = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
	unclosedExtension   = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
	tooCostlyExtension  = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"
)

// A composed is a value set made ready to be asked. Apart from what its clauses keep
// it does not change.
type composed struct {
	url         string // canonical, with its version
	root        fhir.Node
	includes    []*clause
	excludes    []*clause
	activeOnly  bool                              // it says that it has no inactive codes
	problem     string                            // why it may have more than is said here, as a sentence; empty if it has not
	dated       bool                              // it is locked to a date, which is not looked at
	supplements []string                          // code systems that add to those it includes
	contained   map[string]*definition.Definition // value sets that are in the same resource, by "#id" and by URL
}

// A clause is one include or exclude. Everything that it says has to hold.
type clause struct {
	system  string
	version string
	local   *definition.Definition // the code system, when it is in the same resource
	listed  bool                   // the codes are named
	codes   []concept              // these, with what the value set says of them
	at      map[string]int32       // index of a code in codes
	folded  map[string]int32       // of a code in lower case
	filters []filter
	sets    []string // canonical URLs of value sets

	tested atomic.Pointer[tested]
}

// A tested is the test of the filters of a clause against one state of its code
// system.
type tested struct {
	of   *listed
	test func(int32) bool
}

// compose makes a ValueSet ready.
func compose(d *definition.Definition) (*composed, error) {
	root, err := d.Root()
	if err != nil {
		return nil, err
	}
	v := &composed{url: d.Canonical(), root: root}
	for e := range root.Each("extension") {
		if e.Child("url").Text() == supplementExtension {
			v.supplements = append(v.supplements, e.Child("value").Text())
		}
	}
	systems := v.neighbours(root)
	compose, expansion := root.Child("compose"), root.Child("expansion")
	switch {
	case !compose.IsZero():
		v.activeOnly = compose.Child("inactive").Text() == "false"
		v.dated = compose.Child("lockedDate").HasValue()
		for n := range compose.Each("include") {
			v.includes = append(v.includes, clauseOf(n, systems))
		}
		for n := range compose.Each("exclude") {
			v.excludes = append(v.excludes, clauseOf(n, systems))
		}
	case !expansion.IsZero():
		v.expanded(expansion)
	default:
		v.problem = incomplete
	}
	v.restrain()
	return v, nil
}

// incomplete is the problem of a value set without its definition.
const incomplete = "Have the value set loaded with its definition; it is not known as a whole."

// restrain empties a value set that would take too much memory to be asked.
func (v *composed) restrain() {
	patterns := 0
	for _, k := range slices.Concat(v.includes, v.excludes) {
		for _, f := range k.filters {
			if f.op == "regex" {
				patterns++
			}
		}
	}
	if patterns > maxPatterns {
		v.includes, v.excludes = nil, nil
		v.problem = fmt.Sprintf("Make the value set of at most %d regular expressions.", maxPatterns)
	}
}

// neighbours finds what is in the same resource: value sets for v, and the code
// systems that are returned.
func (v *composed) neighbours(n fhir.Node) map[string]*definition.Definition {
	for p := n.Parent(); !p.IsZero(); p = n.Parent() {
		n = p
	}
	v.contained = map[string]*definition.Definition{}
	systems := map[string]*definition.Definition{}
	for c := range n.Each("contained") {
		d := definition.Of(c)
		var into map[string]*definition.Definition
		switch d.Type {
		case "CodeSystem":
			into = systems
		case "ValueSet":
			into = v.contained
		default:
			continue
		}
		if id := c.Child("id").Text(); id != "" {
			into["#"+id] = d
		}
		if d.URL != "" {
			into[d.URL], into[d.Canonical()] = d, d
		}
	}
	return systems
}

func clauseOf(n fhir.Node, systems map[string]*definition.Definition) *clause {
	k := &clause{system: n.Child("system").Text(), version: n.Child("version").Text()}
	if url, version, ok := strings.Cut(k.system, "|"); ok && k.version == "" {
		k.system, k.version = url, version
	}
	k.local = systems[k.system]
	if k.local != nil && k.local.URL != "" {
		k.system = k.local.URL
	}
	for c := range n.Each("concept") {
		item := concept{code: c.Child("code").Text(), display: c.Child("display").Text()}
		for d := range c.Each("designation") {
			item.designations = append(item.designations, designationOf(d))
		}
		k.add(item)
	}
	for f := range n.Each("filter") {
		k.filters = append(k.filters, filter{f.Child("property").Text(), f.Child("op").Text(), f.Child("value").Text()})
	}
	for s := range n.Each("valueSet") {
		k.sets = append(k.sets, s.Text())
	}
	return k
}

// add names a code. Of those named twice the first counts.
func (k *clause) add(c concept) {
	if k.at == nil {
		k.listed, k.at, k.folded = true, map[string]int32{}, map[string]int32{}
	}
	if _, twice := k.at[c.code]; twice {
		return
	}
	i := int32(len(k.codes))
	k.at[c.code] = i
	if low := strings.ToLower(c.code); k.folded[low] == 0 {
		k.folded[low] = i + 1
	}
	k.codes = append(k.codes, c)
}

// expanded takes over an expansion as it is, a clause for each run of codes of the
// same code system.
func (v *composed) expanded(n fhir.Node) {
	for e := range n.Each("extension") {
		if url := e.Child("url").Text(); url == unclosedExtension || url == tooCostlyExtension {
			v.problem = incomplete
		}
	}
	v.contains(n)
	count := 0
	for _, k := range v.includes {
		count += len(k.codes)
	}
	if total, err := strconv.Atoi(n.Child("total").Text()); err == nil && total > count {
		v.problem = incomplete
	}
}

func (v *composed) contains(n fhir.Node) {
	for c := range n.Each("contains") {
		if code := c.Child("code").Text(); code != "" {
			item := concept{code: code, display: c.Child("display").Text(), abstract: c.Child("abstract").Text() == "true", inactive: c.Child("inactive").Text() == "true"}
			for d := range c.Each("designation") {
				item.designations = append(item.designations, designationOf(d))
			}
			v.run(c.Child("system").Text(), c.Child("version").Text()).add(item)
		}
		v.contains(c)
	}
}

// run returns the clause for the next code of an expansion.
func (v *composed) run(system, version string) *clause {
	if n := len(v.includes); n > 0 && v.includes[n-1].system == system && v.includes[n-1].version == version {
		return v.includes[n-1]
	}
	k := &clause{system: system, version: version}
	v.includes = append(v.includes, k)
	return k
}

// find returns what the clause says of a code that it names.
func (k *clause) find(code string, caseSensitive bool) *concept {
	if i, ok := k.at[code]; ok {
		return &k.codes[i]
	}
	if caseSensitive {
		return nil
	}
	if i := k.folded[strings.ToLower(code)]; i > 0 {
		return &k.codes[i-1]
	}
	return nil
}

// test returns the test of the filters against l.
func (k *clause) test(l *listed) (func(int32) bool, error) {
	if t := k.tested.Load(); t != nil && t.of == l {
		return t.test, nil
	}
	test, err := l.test(k.filters)
	if err != nil {
		return nil, err
	}
	k.tested.Store(&tested{l, test})
	return test, nil
}
