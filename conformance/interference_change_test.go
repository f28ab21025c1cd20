package conformance_test

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// change has others do something in the second twin that the caller does not see.
// What the caller would see of what is drawn is not done.
func (d *trial) change() {
	d.t.Helper()
	for range 6 {
		if a, made := d.draw(); made {
			d.twins[1].label = "hidden"
			x := a.ask(d.twins[1].quiet)
			if x.status >= 300 {
				d.t.Fatalf("%s: %d %s", a, x.status, x.body)
			}
			d.changed++
			return
		}
	}
}

// draw draws something to be done that is hidden.
func (d *trial) draw() (a inquired, hidden bool) {
	c, s := d.curious, d.curious.shelf
	typ, id, _ := strings.Cut(c.name(c.typ()), "/")
	k := fhir.Key{Type: typ, ID: id}
	if len(c.hidden) > 0 && c.oneIn(2) {
		k = c.hidden[c.IntN(len(c.hidden))]
	}
	old := s.sheets[k]
	there := old != nil && !old.deleted
	criteria := "?_id=" + k.ID
	if there && c.oneIn(5) {
		gone := *old
		gone.deleted = true
		a = inquired{method: "DELETE", path: "/fhir/" + k.String()}
		if c.oneIn(3) {
			a.path = "/fhir/" + k.Type + criteria
		}
		return a, s.hides(&gone)
	}
	if there && c.oneIn(12) {
		a = inquired{method: "POST", path: "/fhir/" + k.String() + "/$purge"}
		again := *old
		return a, s.hides(&again)
	}
	o := c.body(k.String())
	switch {
	case there && c.oneIn(4):
		// Only the labels change.
		o = decodedObject(old.text)
		delete(o, "meta")
		if label := c.label(); label != nil {
			o["meta"] = object{"security": []object{label}}
		}
	case c.oneIn(3):
		o["meta"] = object{"security": []object{c.someLabel()}}
	}
	a = inquired{method: "PUT", path: "/fhir/" + k.String(), body: encode(o)}
	if there && c.oneIn(5) {
		a.path = "/fhir/" + k.Type + criteria
	}
	return a, s.hides(s.sheet(a.body))
}

// next returns where the next page is.
func (x answer) next() string {
	at := strings.Index(x.body, `{"relation":"next","url":"`+strings.TrimSuffix(twinsBase, "/fhir"))
	if at < 0 {
		return ""
	}
	rest := x.body[at+len(`{"relation":"next","url":"`+strings.TrimSuffix(twinsBase, "/fhir")):]
	link, _, _ := strings.Cut(rest, `"`)
	return strings.ReplaceAll(link, `\u0026`, "&")
}

// total returns the total of a Bundle, 0 if it says none.
func (x answer) total() int {
	_, rest, _ := strings.Cut(x.body, `"total":`)
	n := 0
	for _, r := range rest {
		if r < '0' || r > '9' {
			break
		}
		n = 10*n + int(r-'0')
	}
	return n
}
