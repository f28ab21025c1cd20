package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// A booker is what the rules of diaries know while they look at the writes of a transaction.
type booker struct {
	*talk
	visits    []*visit
	slots     map[fhir.Key]*opening
	stored    map[fhir.Key]*former // what the Appointments name, as it is stored
	diaries   map[fhir.Key]consultation.Diary
	practices map[fhir.Key]fhir.Key
	coming    []consultation.Appointment // further ones of the patient who asks
}

// A visit is an Appointment that is written.
type visit struct {
	part      *part
	old, next *consultation.Appointment // nil for none
}

// is returns the Appointment as it is now: as it was, or once it is settled as it is to be.
func (v *visit) is(settled bool) *consultation.Appointment {
	if settled {
		return v.next
	}
	return v.old
}

// An opening is a Slot as the transaction leaves it so far.
type opening struct {
	consultation.Slot
	part    *part          // that writes it; nil for none
	version *store.Version // that is stored; nil for none
	moved   bool
}

// bookings judges the Appointments and Slots that are written: it claims the Slots of those that
// are booked, frees those of others, and completes the Tasks that asked for it.
func (k *talk) bookings(ctx context.Context, parts []*part) error {
	b := &booker{talk: k, slots: map[fhir.Key]*opening{}}
	if err := b.begin(parts); err != nil {
		return err
	}
	if len(b.visits) > 0 {
		if err := b.readAll(ctx); err != nil {
			return err
		}
		if err := b.settle(ctx); err != nil {
			return err
		}
	}
	if err := b.byHand(ctx, parts); err != nil {
		return err
	}
	return b.write(ctx)
}

// begin finds the Appointments and Slots.
func (b *booker) begin(parts []*part) error {
	for _, p := range b.parts {
		if p.Key.Type == "Slot" && p.proposal != nil && p.proposal.resource != nil && p.err == nil && !p.answered && p.interaction != access.Delete {
			s := consultation.ReadSlot(p.proposal.resource, b.base())
			s.Key = p.key
			b.slots[p.key] = &opening{Slot: s, part: p}
		}
	}
	for _, p := range parts {
		if p.Key.Type != "Appointment" || p.err != nil || p.answered {
			continue
		}
		v := &visit{part: p}
		old, err := formerly(p.current)
		if err != nil {
			return fmt.Errorf("decode an Appointment: %w", err)
		}
		if old != nil && p.interaction != access.Create {
			v.old = b.appointment(p.key, old.resource)
		}
		if p.interaction != access.Delete {
			v.next = b.appointment(p.key, p.proposal.resource)
		}
		b.visits = append(b.visits, v)
	}
	return nil
}

func (b *booker) appointment(key fhir.Key, r *fhir.Resource) *consultation.Appointment {
	a := consultation.ReadAppointment(r, b.base())
	a.Key = key
	return &a
}
