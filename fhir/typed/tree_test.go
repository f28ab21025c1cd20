package typed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tree is a JSON value that keeps the order and the repetition of names.
type tree struct {
	open    byte    // '{', '[' or 0 for what is in text
	members []entry // names are empty in an array
	text    string  // JSON of a string, number or literal
}

type entry struct {
	name  string // as JSON, without quotes
	value *tree
}

// unescapeHTML undoes what json.Marshal does for the sake of browsers.
var unescapeHTML = strings.NewReplacer(`\u003c`, `<`, `\u003e`, `>`, `\u0026`, `&`)

func parseTree(t testing.TB, src string) *tree {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(src))
	d.UseNumber()
	v, err := readTree(d)
	if err != nil {
		t.Fatalf("%.80s: %v", src, err)
	}
	return v
}

func readTree(d *json.Decoder) (*tree, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, is := token.(json.Delim)
	if !is {
		text, err := json.Marshal(token)
		return &tree{text: unescapeHTML.Replace(string(text))}, err
	}
	v := &tree{open: byte(open)}
	for d.More() {
		name := ""
		if v.open == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = fmt.Sprint(key)
		}
		value, err := readTree(d)
		if err != nil {
			return nil, err
		}
		v.members = append(v.members, entry{name, value})
	}
	_, err = d.Token()
	return v, err
}

func (v *tree) clone() *tree {
	c := &tree{open: v.open, text: v.text, members: slices.Clone(v.members)}
	for i := range c.members {
		c.members[i].value = c.members[i].value.clone()
	}
	return c
}

func (v *tree) append(dst []byte) []byte {
	if v.open == 0 {
		return append(dst, v.text...)
	}
	dst = append(dst, v.open)
	for i, m := range v.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.open == '{' {
			dst = append(append(append(dst, '"'), m.name...), `":`...)
		}
		dst = m.value.append(dst)
	}
	return append(dst, v.open+2)
}

// A place is one member of an object or array.
type place struct {
	in *tree
	i  int
}

func (p place) entry() *entry { return &p.in.members[p.i] }

// places returns every place below v for which want holds.
func (v *tree) places(want func(in *tree, e entry) bool) []place {
	var list []place
	for i, e := range v.members {
		if want(v, e) {
			list = append(list, place{v, i})
		}
		list = append(list, e.value.places(want)...)
	}
	return list
}

// at returns the value that a FHIRPath points to: "Patient.name[0].given[1]". A
// choice is found by the first property that begins with its name, and what is
// below a primitive in its companion.
func (v *tree) at(expression string) *tree {
	_, path, _ := strings.Cut(expression, ".")
	for path != "" && v != nil {
		var segment string
		segment, path, _ = strings.Cut(path, ".")
		name, index, _ := strings.Cut(strings.TrimSuffix(segment, "]"), "[")
		value, companion := v.property(name).item(index), v.property("_"+name).item(index)
		v = value
		if path != "" && companion != nil && (v == nil || v.open == 0) {
			v = companion
		}
	}
	return v
}

// item returns the element of v at index, and v itself when index is empty.
func (v *tree) item(index string) *tree {
	n, err := strconv.Atoi(index)
	switch {
	case index == "" || v == nil:
		return v
	case err != nil || n >= len(v.members):
		return nil
	}
	return v.members[n].value
}

func (v *tree) property(name string) *tree {
	if v == nil {
		return nil
	}
	var loose *tree
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
		if rest, ok := strings.CutPrefix(m.name, name); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			loose = m.value
		}
	}
	return loose
}

func TestTreeAt(t *testing.T) {
	t.Parallel()
	root := parseTree(t, `{"name":[{"given":["a","b"],"_given":[null,{"id":"d"}]}],"valueString":"c","_valueString":{"id":"e"}}`)
	for expression, want := range map[string]string{
		"Patient.name[0].given[1]": "b", "Patient.value": "c", "Patient.name[1].given[0]": "", "Patient.foo": "", "Patient.name[0].given[1].id": "d", "Patient.value.id": "e", "Patient.name[0].given[0].a": "",
	} {
		if got := textOf(root.at(expression)); got != want {
			t.Errorf("at(%s) is %q, want %q", expression, got, want)
		}
	}
}
