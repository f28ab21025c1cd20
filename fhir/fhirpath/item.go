package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A Collection is an ordered list of items, which is what every expression
// gives. nil is the empty collection.
type Collection []Item

// An Item is a node of a resource or a computed value: a boolean, string,
// integer, decimal, date, dateTime, time or quantity, the description of a type,
// or the stub that stands for a resource of a known type that was not loaded. The
// zero Item is nothing and in no Collection.
type Item struct {
	node  fhir.Node
	value any // nil for a node; else bool, string, int64, *apd.Decimal, moment, quantity, typeName or stub
}

// A stub is the type of a resource that was not loaded.
type stub string

// A typeName is what type() returns.
type typeName struct{ namespace, name string }

// NodeItem returns n as an item.
func NodeItem(n fhir.Node) Item { return Item{node: n} }

// Stub returns an item that stands for a resource of the given type that was not
// loaded: it has a type and no elements.
func Stub(resourceType string) Item { return Item{value: stub(resourceType)} }

// String returns s as an item.
func String(s string) Item { return Item{value: s} }

// Bool returns b as an item.
func Bool(b bool) Item { return Item{value: b} }

// Integer returns i as an item.
func Integer(i int) Item { return Item{value: int64(i)} }

// Node returns the node that i is; it is not ok for a computed value.
func (i Item) Node() (n fhir.Node, ok bool) { return i.node, !i.node.IsZero() }

// IsStub reports whether i stands for a resource that was not loaded.
func (i Item) IsStub() bool {
	_, is := i.value.(stub)
	return is
}

// Type returns the name of i's type: "Patient" and "code" for a node or stub,
// "System.Boolean" for a computed value.
func (i Item) Type() string {
	t := i.typeName()
	if t.namespace == "System" {
		return "System." + t.name
	}
	return t.name
}

func (i Item) typeName() typeName {
	switch v := i.value.(type) {
	case nil:
		if i.node.IsZero() {
			return typeName{}
		}
		return typeName{"FHIR", i.node.Type().Name}
	case stub:
		return typeName{"FHIR", string(v)}
	case bool:
		return typeName{"System", "Boolean"}
	case string:
		return typeName{"System", "String"}
	case int64:
		return typeName{"System", "Integer"}
	case *apd.Decimal:
		return typeName{"System", "Decimal"}
	case quantity:
		return typeName{"System", "Quantity"}
	case moment:
		return typeName{"System", v.kind.String()}
	}
	return typeName{"System", "TypeInfo"}
}

// Text returns the canonical text of a computed value or of a primitive node:
// "true", "1.10", "2014-01". A Quantity is "4 'mg'" or "4 days"; other elements
// with children have none.
func (i Item) Text() string {
	if i.value == nil && isStringLike(i.node) {
		return i.node.Text()
	}
	text, _ := toText(i.system())
	return text
}

// Bool returns the value of a boolean; it is not ok for anything else.
func (i Item) Bool() (value, ok bool) {
	if i.value == nil && !i.node.IsZero() {
		if i.node.Type().Primitive != spec.Boolean || !i.node.HasValue() {
			return false, false
		}
		return i.node.Raw()[0] == 't', true
	}
	value, ok = i.value.(bool)
	return value, ok
}

// Quantity returns the value and the unit of a quantity, computed or of FHIR: a
// UCUM code or, with calendar set, "day" and the like; it is not ok for anything
// else.
func (i Item) Quantity() (value, unit string, calendar, ok bool) {
	q, ok := i.system().(quantity)
	if !ok {
		return "", "", false, false
	}
	return decimalText(q.value), q.unit, q.calendar, true
}

// isStringLike reports whether n is a primitive whose value is a string to
// FHIRPath.
func isStringLike(n fhir.Node) bool {
	if n.IsZero() {
		return false
	}
	switch n.Type().Primitive {
	case spec.String, spec.Markdown, spec.Code, spec.ID, spec.URI, spec.URL, spec.Canonical, spec.OID, spec.UUID, spec.Base64Binary, spec.XHTML:
		return true
	}
	return false
}

// system returns the value of i as FHIRPath's own types know it, nil when it has
// none: a primitive without a value, or an element with children that is no
// Quantity. https://hl7.org/fhir/R4/fhirpath.html#types
func (i Item) system() any {
	if i.value != nil {
		return i.value
	}
	if i.node.IsZero() {
		return nil
	}
	if i.node.Type().Primitive == spec.NotPrimitive {
		if q, ok := quantityOf(i.node); ok {
			return q
		}
		return nil
	}
	if !i.node.HasValue() {
		return nil
	}
	return primitiveOf(i.node)
}

func primitiveOf(n fhir.Node) any {
	switch n.Type().Primitive {
	case spec.Boolean:
		return n.Raw()[0] == 't'
	case spec.Integer, spec.UnsignedInt, spec.PositiveInt:
		if v, ok := parseInteger(n.Text()); ok {
			return v
		}
	case spec.Decimal:
		if v, ok := parseDecimal(n.Text()); ok {
			return v
		}
	case spec.Date, spec.DateTime, spec.Instant, spec.Time:
		if v, ok := momentOf(n); ok {
			return v
		}
	default:
		return n.Text()
	}
	return nil
}
