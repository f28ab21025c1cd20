package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A walker finds the constraint that an element of a differential is about. By its id
// it is found at once; without ids it is looked for from the element before.
type walker struct {
	*compiler
	stack []visited
}

type visited struct {
	path string
	at   *constraint
}

// locate returns the constraint that e is about, made if need be; nil, with a flaw,
// when the path does not exist.
func (w *walker) locate(e fhir.Node) *constraint {
	path, id := e.Child("path").Text(), e.Child("id").Text()
	first, _, _ := strings.Cut(path, ".")
	if first != w.typ.Name && spec.R4().Type(first) == nil {
		w.flaw(e, "profile-path-unknown", "Begin the path with the type that is constrained.")
		return nil
	}
	steps := strings.Split(path, ".")
	if len(steps) > maxDepth {
		w.flaw(e, "profile-path-unknown", "Shorten the path: it is too deep.")
		return nil
	}
	named := strings.Split(id, ".")
	k := w.root
	if len(named) == len(steps) && agrees(named, steps) {
		for i, step := range named[1:] {
			if k = w.step(k, step, e); k == nil {
				return nil
			}
			w.push(strings.Join(steps[:i+2], "."), k)
		}
		return k
	}
	return w.follow(steps, e)
}

// agrees reports whether an id says the same as a path, beside slices.
func agrees(id, path []string) bool {
	for i, step := range id {
		name, _, _ := strings.Cut(step, ":")
		if name != path[i] && !strings.HasSuffix(name, "[x]") && !strings.HasSuffix(path[i], "[x]") && i > 0 {
			return false
		}
	}
	return true
}

// follow finds the place of an element without a proper id: beneath the last element
// before it that its path begins with.
func (w *walker) follow(steps []string, e fhir.Node) *constraint {
	path := strings.Join(steps, ".")
	for len(w.stack) > 0 && !strings.HasPrefix(path, w.stack[len(w.stack)-1].path+".") {
		w.stack = w.stack[:len(w.stack)-1]
	}
	k, known := w.root, 1
	if n := len(w.stack); n > 0 {
		k, known = w.stack[n-1].at, strings.Count(w.stack[n-1].path, ".")+1
	}
	for i := known; i < len(steps) && k != nil; i++ {
		step := steps[i]
		if slice := e.Child("sliceName").Text(); slice != "" && i == len(steps)-1 {
			step += ":" + slice
		}
		k = w.step(k, step, e)
	}
	if k != nil && len(steps) > 1 {
		w.push(path, k)
	}
	return k
}

func (w *walker) push(path string, k *constraint) {
	for len(w.stack) > 0 && !strings.HasPrefix(path, w.stack[len(w.stack)-1].path+".") {
		w.stack = w.stack[:len(w.stack)-1]
	}
	w.stack = append(w.stack, visited{path, k})
}

// step goes from k to what one part of an id or path names: "identifier",
// "identifier:nhsNumber", "value[x]:valueQuantity", "valueQuantity".
func (w *walker) step(k *constraint, step string, e fhir.Node) *constraint {
	name, slice, _ := strings.Cut(step, ":")
	name = strings.TrimSuffix(name, "[x]")
	spelled := false
	element, known := k.element(name)
	if !known {
		p := k.variant(name)
		if p == nil {
			w.flaw(e, "profile-path-unknown", "Mend the path: there is no element "+clip(name)+" in "+clip(k.id)+".")
			return nil
		}
		element, spelled = p.Element, slice == ""
		if spelled {
			slice = name
		}
		name = element.Name
	}
	next := k.child(name)
	if next == nil {
		next = w.add(k, name, "")
		next.kinds = kindsOf(element)
		if element != nil && element.Choice {
			next.id += "[x]"
			next.rule += "[x]"
		}
	}
	part := w.slice(next, slice, spelled)
	if part == nil {
		w.flaw(e, "profile-too-large", "Divide the profile: it has too many slices of one element.")
	}
	return part
}

// slice returns the slice of k of that name, and k itself for an empty one. The name
// "a/b" is a slice of the slice a.
func (w *walker) slice(k *constraint, name string, spelled bool) *constraint {
	if name == "" {
		return k
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 && strings.Count(name, "/") < maxDepth {
		if k = w.slice(k, name[:i], false); k == nil {
			return nil
		}
	}
	s := k.part(name)
	if s != nil || len(k.slices) >= maxSlices {
		return s
	}
	s = w.add(k, k.name, name)
	if p := k.up.variant(name); p != nil && p.Element.Name == k.name {
		s.types, s.kinds, s.spelled = []typeRule{{name: p.Type.Name}}, []*spec.Type{p.Type}, spelled
	}
	return s
}

func kindsOf(e *spec.Element) []*spec.Type {
	if e == nil {
		return nil
	}
	kinds := make([]*spec.Type, len(e.Types))
	for i, t := range e.Types {
		kinds[i] = t.Type
	}
	return kinds
}

// clip shortens what others wrote.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
