package interaction

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// settle judges the Appointments one after the other: those that give Slots back come first, so
// that others in the same transaction may take them.
func (b *booker) settle(ctx context.Context) error {
	takes := func(v *visit) int {
		if v.next != nil && v.next.Holds() != "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(b.visits, func(x, y *visit) int { return takes(x) - takes(y) })
	for i, v := range b.visits {
		if err := refuse(v.part, b.judge(ctx, i)); err != nil {
			return err
		}
	}
	return nil
}

// judge judges the Appointment with number i, after those before it.
func (b *booker) judge(ctx context.Context, i int) error {
	v := b.visits[i]
	out, err := consultation.Book(consultation.Booking{
		Old: v.old, Next: v.next, Slots: b.openings(), Diaries: b.diaries, Practices: b.practices,
		Caller: b.speaker.Caller, All: b.sovereign(), Keeper: b.speaker.client, Others: b.others(i), Now: b.now,
	})
	if err != nil {
		return err
	}
	for _, m := range out.Slots {
		s := b.slots[m.Slot.Key]
		s.Status, s.moved = m.Status, true
	}
	if out.Appointment != nil {
		if err := rewrite(v.part, out.Appointment); err != nil {
			return err
		}
		v.next = b.appointment(v.part.key, v.part.proposal.resource)
	}
	if v.next == nil {
		return nil
	}
	return b.takeUp(ctx, v)
}

// sovereign reports whether the caller is a system that sees everything there is.
func (b *booker) sovereign() bool {
	return b.speaker.trusted || b.speaker.client && b.grant.View(access.MayUpdate, "Slot").Unlimited() && b.grant.View(access.MayUpdate, "Appointment").Unlimited()
}

func (b *booker) openings() map[fhir.Key]consultation.Slot {
	all := make(map[fhir.Key]consultation.Slot, len(b.slots))
	for k, s := range b.slots {
		all[k] = s.Slot
	}
	return all
}

// others returns the Appointments of the patient beside number i, as they are when its turn comes.
func (b *booker) others(i int) []consultation.Appointment {
	all := slices.DeleteFunc(slices.Clone(b.coming), func(a consultation.Appointment) bool {
		return slices.ContainsFunc(b.visits, func(v *visit) bool { return v.part.key == a.Key })
	})
	for n, v := range b.visits {
		if a := v.is(n < i); a != nil && n != i && v.part.err == nil {
			all = append(all, *a)
		}
	}
	return all
}

// takeUp completes the Tasks that an Appointment names, if it does what they ask for.
func (b *booker) takeUp(ctx context.Context, v *visit) error {
	for _, key := range v.next.Tasks {
		stored := b.stored[key]
		if stored == nil || b.isWritten(key) {
			continue
		}
		task, err := consultation.ReadTask(stored.resource, b.base())
		if err != nil || task.Kind != consultation.PatientAction {
			continue // it is none of ours, or nobody's to act on
		}
		task.Key = key
		roles := consultation.RolesOf(task, b.speaker.Caller)
		if b.speaker.trusted {
			roles = consultation.Requester | consultation.Owner
		}
		if !consultation.IsTakenUp(task, roles, v.old, *v.next) {
			continue
		}
		json, err := consultation.TakeUp(stored.resource, v.part.key, b.now)
		if err != nil {
			return err
		}
		if err := b.author(ctx, consultation.Authored{Type: "Task", ID: key.ID, JSON: json}, stored.Version); err != nil {
			return err
		}
		v.part.links = append(v.part.links, Link{Rel: "task", Key: key})
	}
	return nil
}

// isWritten reports whether the transaction writes a resource already.
func (k *talk) isWritten(key fhir.Key) bool {
	is := func(p *part) bool { return p.key == key }
	return slices.ContainsFunc(k.parts, is) || slices.ContainsFunc(k.along, is)
}

// byHand judges the Slots that are changed by themselves.
func (b *booker) byHand(ctx context.Context, parts []*part) error {
	var of []*part
	var keys []fhir.Key
	for _, p := range parts {
		if p.Key.Type == "Slot" && p.err == nil && !p.answered && p.interaction != access.Create && p.current != nil && !p.current.Deleted() {
			of, keys = append(of, p), append(keys, p.key)
		}
	}
	if len(of) == 0 {
		return nil
	}
	holders, err := b.holders(ctx, keys)
	if err != nil {
		return err
	}
	for _, p := range of {
		if b.speaker.isPatient() {
			p.err = fhir.Errorf(fhir.Denied, fhir.Forbidden, "Slot", "A patient books a Slot by an Appointment, and does not write it.")
			continue
		}
		if p.Expect == store.Anything {
			p.expect = after(p.current) // who books it meanwhile comes first
		}
		if err := refuse(p, b.changeSlot(p, holders)); err != nil {
			return err
		}
	}
	return nil
}

// holders returns the Appointments that hold some of the Slots before or after the transaction
// but for those whose Slots it moves itself.
func (b *booker) holders(ctx context.Context, slots []fhir.Key) ([]consultation.Appointment, error) {
	found, err := b.at.Matching(ctx, "Appointment", "slot="+listed(slots)+"&status=pending,booked,arrived,checked-in,fulfilled,noshow", maxHolders)
	if err != nil {
		return nil, err
	}
	all, err := b.read(found)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(a consultation.Appointment) bool {
		return slices.ContainsFunc(b.visits, func(v *visit) bool {
			return v.part.key == a.Key && v.part.err == nil && (v.next == nil || v.next.Holds() == "")
		})
	}), nil
}

// changeSlot judges the change of one.
func (b *booker) changeSlot(p *part, holders []consultation.Appointment) error {
	old, err := formerly(p.current)
	if err != nil || old == nil {
		return err
	}
	was := consultation.ReadSlot(old.resource, b.base())
	was.Key = p.key
	if p.interaction == access.Delete {
		return consultation.ChangeSlot(was, nil, holders)
	}
	next := consultation.ReadSlot(p.proposal.resource, b.base())
	next.Key = p.key
	return consultation.ChangeSlot(was, &next, holders)
}

// write stores the Slots that have moved.
func (b *booker) write(ctx context.Context) error {
	for _, s := range b.slots {
		if !s.moved {
			continue
		}
		json, err := s.As(s.Status)
		if err != nil {
			return err
		}
		if s.part != nil {
			err = rewrite(s.part, json)
		} else {
			err = b.author(ctx, consultation.Authored{Type: "Slot", ID: s.Key.ID, JSON: json}, s.version)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
