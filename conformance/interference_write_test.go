package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"

	"github.com/openconsult/openconsult/fhir"
)

// text returns what a resource is now, or a made up one.
func (c *curious) text(k fhir.Key) object {
	if d := c.shelf.sheets[k]; d != nil && !c.oneIn(4) {
		return decodedObject(d.text)
	}
	return c.mine(c.body(k.String()))
}

// mine has a resource be from the caller, and mostly about a patient whom many
// callers know.
func (c *curious) mine(o object) object {
	self := object{"reference": c.who.self()}
	for _, element := range []string{"sender", "requester"} {
		if _, has := o[element]; has && !c.oneIn(5) {
			o[element] = self
		}
	}
	switch o["resourceType"] {
	case "DocumentReference":
		o["author"] = []object{self}
	case "QuestionnaireResponse", "Basic":
		o["author"] = self
		delete(o, "source")
	case "Observation":
		o["performer"] = []object{self}
	case "Provenance":
		o["agent"] = []object{{"who": self}}
	}
	if c.oneIn(4) {
		return o
	}
	for _, element := range []string{"subject", "for", "patient", "beneficiary"} {
		if _, has := o[element]; has {
			o[element] = object{"reference": some("Patient", 1)}
		}
	}
	return o
}

// touched changes a resource a little.
func (c *curious) touched(o object) object {
	o = maps.Clone(o)
	switch c.IntN(4) {
	case 0:
		delete(o, "meta")
	case 1:
		drawn := c.body(fmt.Sprint(o["resourceType"], "/", o["id"]))
		for _, element := range []string{"subject", "performer", "owner", "recipient", "supportingInfo", "content", "payload", "focus"} {
			if value, has := drawn[element]; has && c.oneIn(3) {
				o[element] = value
			}
		}
	}
	o["language"] = c.pick("en", "de", "fr", "cy")
	return o
}

// change updates, patches or deletes by id.
func (c *curious) change() inquired {
	k := c.key()
	a := inquired{path: "/fhir/" + k.String()}
	switch c.IntN(4) {
	case 0:
		a.kind, a.method = "delete", "DELETE"
	case 1:
		a.kind, a.method, a.body = "patch", "PATCH", c.operations()
		a.headers = []string{"Content-Type: application/json-patch+json"}
	default:
		a.kind, a.method, a.body = "update", "PUT", encode(c.touched(c.text(k)))
	}
	if c.oneIn(4) {
		a.headers = append(a.headers, c.pick(`If-Match: W/"1"`, `If-Match: W/"2"`, "If-None-Match: *"))
	}
	return a
}

func (c *curious) operations() string {
	return c.pick(`[{"op":"add","path":"/language","value":"`+c.pick("en", "de")+`"}]`, `[{"op":"remove","path":"/meta"}]`, `[{"op":"test","path":"/status","value":"final"},{"op":"add","path":"/language","value":"fr"}]`,
		`[{"op":"replace","path":"/subject/reference","value":"`+c.name("Patient")+`"}]`, `[]`, `[{"op":"remove","path":"/nothing"}]`)
}

// create stores a new resource, unless there is one already if there is a
// condition.
func (c *curious) create() inquired {
	typ := c.pick("Communication", "Task", "Observation", "ServiceRequest", "DocumentReference", "QuestionnaireResponse", "Binary", "Condition", c.typ())
	o := c.mine(c.body(c.name(typ)))
	if c.oneIn(2) {
		delete(o, "meta")
	}
	delete(o, "id")
	return inquired{kind: "create", method: "POST", path: "/fhir/" + typ, body: encode(o)}
}

// criteria draws what finds k, or perhaps others.
func (c *curious) criteria(k fhir.Key) string {
	switch c.IntN(6) {
	case 0:
		return "_id=" + k.ID
	case 1:
		in := &inquirer{Rand: c.Rand, library: c.library}
		if v := c.library.byKey[k]; v != nil {
			p := in.criterion(v, 0)
			return url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value)
		}
	case 2:
		return "identifier=http://of|" + c.pick("a", "b", "c")
	case 3:
		return "_id=" + k.ID + "&_security=" + c.pick("R", "V", "NOPAT")
	}
	return "identifier=http://ids|" + k.ID
}

func (c *curious) conditional() inquired {
	k := c.key()
	criteria := c.criteria(k)
	a := inquired{path: "/fhir/" + k.Type + "?" + criteria}
	switch c.IntN(4) {
	case 0:
		o := c.mine(c.body(c.name(k.Type)))
		delete(o, "id")
		a = inquired{kind: "conditional create", method: "POST", path: "/fhir/" + k.Type, body: encode(o), headers: []string{"If-None-Exist: " + criteria}}
	case 1:
		o := c.touched(c.text(k))
		if c.oneIn(2) {
			delete(o, "id")
		}
		a.kind, a.method, a.body = "conditional update", "PUT", encode(o)
	case 2:
		a.kind, a.method, a.body, a.headers = "conditional patch", "PATCH", c.operations(), []string{"Content-Type: application/json-patch+json"}
	default:
		a.kind, a.method = "conditional delete", "DELETE"
	}
	if c.oneIn(6) {
		a.headers = append(a.headers, c.pick(`If-Match: W/"1"`, `If-Match: W/"2"`))
	}
	return a
}

// operation asks for the meta of a resource, or changes it.
func (c *curious) operation() inquired {
	path := "/fhir/" + c.key().String()
	if c.oneIn(2) {
		return inquired{kind: "$meta", method: "GET", path: path + "/$meta"}
	}
	meta := object{"tag": []object{{"system": "http://t", "code": c.pick("x", "z")}}}
	if c.oneIn(3) {
		meta = object{"security": []object{c.someLabel()}}
	}
	text, err := json.Marshal(object{"resourceType": "Parameters", "parameter": []object{{"name": "meta", "valueMeta": meta}}})
	if err != nil {
		panic(err) // objects are made of what JSON has
	}
	return inquired{kind: "$meta-add and others", method: "POST", path: path + c.pick("/$meta-add", "/$meta-add", "/$meta-delete", "/$purge"), body: string(text)}
}

func (l lot) someLabel() object {
	for {
		if label := l.label(); label != nil {
			return label
		}
	}
}
