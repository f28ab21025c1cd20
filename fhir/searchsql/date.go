package searchsql

import (
	"math"
	"strconv"

	"github.com/openconsult/openconsult/fhir/search"
)

// A date that a resource has once, by its definition, is kept in a pair of time
// columns, from which it is found and put in order; the others are rows of rng.

// slotOf returns the number of the pair of time columns, from 1, that holds the
// date parameter code of a type; 0 for none. Rows depend on it: what is here can
// only be changed together with all of them.
func slotOf(typ, code string) int {
	switch typ + "." + code {
	case "Appointment.date", "AuditEvent.date", "Communication.sent", "CommunicationRequest.authored", "Condition.recorded-date",
		"DocumentReference.date", "Encounter.date", "MedicationRequest.authoredon", "Observation.date", "Patient.birthdate",
		"Provenance.recorded", "QuestionnaireResponse.authored", "ServiceRequest.authored", "Task.authored-on":
		return 1
	case "Communication.received", "CommunicationRequest.occurrence", "Condition.onset-date", "Patient.death-date",
		"ServiceRequest.occurrence", "Task.modified":
		return 2
	case "Task.due":
		return 3
	}
	return 0
}

func slot(p *search.Param) int {
	if p.Type != search.DateType || p.Custom && !p.Own {
		return 0
	}
	return slotOf(p.Base, p.Code)
}

// slotColumns are the time columns of a slot.
func slotColumns(n int) columns {
	name := "r.t" + strconv.Itoa(n)
	return columns{lo: name, hi: name + "h", value: timeValue}
}

// Values of up to a day, which at the change of the clocks has 25 hours, are found
// by where they begin. The few wider ones have an index of where they end.
const (
	narrow = 25 * 3600 * 1e6 // in microseconds
	width  = " > interval '25 hours'"
)

// span keeps a date in its slot. Should there be several after all, it covers
// them.
func (p *packer) span(n int, v search.Range) {
	s := &p.row.Times[n-1]
	if s.Set {
		v.Lo, v.Hi = min(v.Lo, s.Lo), max(v.Hi, s.Hi)
	}
	*s = Span{true, v}
}

// slotTest returns the condition that the date in slot n answers one of asked.
func slotTest(n int, asked []search.AskedRange) expr {
	all := alternatives(asked)
	if len(all) == 0 {
		return never{}
	}
	c, r := slotColumns(n), reachOf(all)
	e := Predicate{Slot: n, Bounds: r.Range, late: r.Late, wide: r.ends}
	if r.ends {
		e.Bounds.Lo = min(r.Lo, r.Late-narrow)
	}
	e.filter = func(b *Builder) { c.write(b, all) }
	e.lead = func(b *Builder) {
		b.SQL("(")
		e.near(b)
		if e.wide {
			b.SQL(" OR ")
			e.far(b)
		}
		b.SQL(")")
	}
	return predicate(e)
}

// near writes the bounds of where the values begin.
func (p Predicate) near(b *Builder) {
	c := p.columns()
	b.SQL("(")
	word := ""
	if !math.IsInf(p.Bounds.Lo, -1) {
		c.compare(b, c.lo, begins(notLess, p.Bounds.Lo))
		word = " AND "
	}
	if !math.IsInf(p.Bounds.Hi, 1) {
		b.SQL(word)
		c.compare(b, c.lo, begins(upTo, p.Bounds.Hi))
		word = " AND "
	}
	if word == "" {
		b.SQL(c.lo, " IS NOT NULL")
	}
	b.SQL(")")
}

// far writes what finds the wide values that begin before the bounds.
func (p Predicate) far(b *Builder) {
	c := p.columns()
	b.SQL("(", c.hi, " - ", c.lo, width, " AND ")
	c.compare(b, c.hi, ends(notLess, p.late))
	b.SQL(" AND ")
	c.compare(b, c.lo, begins(below, p.Bounds.Lo))
	b.SQL(")")
}

func (p Predicate) columns() columns {
	if p.Slot == UpdatedSlot {
		return columns{lo: "r.updated", hi: "r.updated", value: timeValue}
	}
	return slotColumns(p.Slot)
}

// alternatives returns the clauses of all.
func alternatives(asked []search.AskedRange) []clause {
	var all []clause
	for _, a := range asked {
		all = append(all, clauses(a)...)
	}
	return all
}

// millisecond is how long the time of an update lasts, which begins with one.
const millisecond = 1e3

// updated returns the condition that the time of the last update answers u.
func (c *compiler) updated(u search.Updated, negated bool) (expr, bool) {
	asked := make([]search.AskedRange, 0, len(u.Values))
	for _, v := range u.Values {
		if a, ok := v.(search.AskedRange); ok {
			asked = append(asked, a)
		}
	}
	all := alternatives(asked)
	if len(all) == 0 {
		return signed(never{}, true, negated)
	}
	for _, c := range all {
		for i := range c {
			if c[i].end {
				c[i] = begins(c[i].op, c[i].to-millisecond)
			}
		}
	}
	e := Predicate{Slot: UpdatedSlot, Bounds: reachOf(all).Range}
	e.filter = func(b *Builder) { e.columns().write(b, all) }
	e.lead = e.near
	return signed(predicate(e), true, negated)
}
