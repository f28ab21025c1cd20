package interaction

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// How many Appointments of a patient that are still to come, and of Slots that are changed by
// hand, are looked at.
const (
	maxBookings = 200
	maxHolders  = 1000
)

// readAll reads what the Appointments name: Slots and Tasks, then diaries, then whose they are,
// then what else the patient has booked; one round trip each.
func (b *booker) readAll(ctx context.Context) error {
	var ask, others []fhir.Key
	for _, v := range b.visits {
		for _, a := range []*consultation.Appointment{v.old, v.next} {
			if a != nil && (a.Holds() != "" || v.old != nil && v.old.Holds() != "") {
				ask, others = append(ask, a.Slots...), append(others, a.Others...)
			}
		}
		if v.next != nil && v.next.Status == "booked" {
			ask = append(ask, v.next.Tasks...)
		}
	}
	if err := b.look(ctx, ask); err != nil {
		return err
	}
	b.open()
	if err := b.readDiaries(ctx); err != nil {
		return err
	}
	if err := b.readPractices(ctx, others); err != nil {
		return err
	}
	return b.readComing(ctx)
}

// look reads what is stored of some resources.
func (b *booker) look(ctx context.Context, of []fhir.Key) error {
	if b.stored == nil {
		b.stored = map[fhir.Key]*former{}
	}
	of = slices.DeleteFunc(of, func(k fhir.Key) bool { return b.stored[k] != nil || k.ID == "" })
	if len(of) == 0 {
		return nil
	}
	found, err := b.at.Current(ctx, uniqueNames(of))
	if err != nil {
		return err
	}
	for k, v := range found {
		if b.stored[k], err = formerly(v); err != nil {
			return fmt.Errorf("decode a %s: %w", k.Type, err)
		}
	}
	return nil
}

// resource returns a resource as the transaction leaves it; nil when there is none.
func (b *booker) resource(key fhir.Key) *fhir.Resource {
	for _, p := range b.parts {
		if p.key == key && p.proposal != nil && p.err == nil {
			return p.proposal.resource
		}
	}
	if v := b.stored[key]; v != nil {
		return v.resource
	}
	return nil
}

// open reads the Slots that are stored.
func (b *booker) open() {
	for k, v := range b.stored {
		if k.Type != "Slot" || v == nil || b.slots[k] != nil {
			continue
		}
		s := consultation.ReadSlot(v.resource, b.base())
		s.Key = k
		b.slots[k] = &opening{Slot: s, version: v.Version}
	}
}

func (b *booker) readDiaries(ctx context.Context) error {
	var ask []fhir.Key
	for _, s := range b.slots {
		ask = append(ask, s.Schedule)
	}
	if err := b.look(ctx, ask); err != nil {
		return err
	}
	b.diaries = map[fhir.Key]consultation.Diary{}
	for _, s := range b.slots {
		if r := b.resource(s.Schedule); r != nil && s.Schedule.Type == "Schedule" {
			d := consultation.ReadDiary(r, b.base())
			d.Key = s.Schedule
			b.diaries[s.Schedule] = d
		}
	}
	return nil
}

// readPractices finds out of which organisation those are whose diaries they are, and others.
func (b *booker) readPractices(ctx context.Context, others []fhir.Key) error {
	for _, d := range b.diaries {
		others = append(others, d.Actors...)
	}
	others = slices.DeleteFunc(others, func(k fhir.Key) bool {
		return k.Type != "HealthcareService" && k.Type != "PractitionerRole" && k.Type != "Location"
	})
	if err := b.look(ctx, slices.Clone(others)); err != nil {
		return err
	}
	b.practices = map[fhir.Key]fhir.Key{}
	for _, k := range others {
		r := b.resource(k)
		switch {
		case r == nil:
		case k.Type == "Location":
			b.practices[k] = b.referred(r.Root().Child("managingOrganization"), "Organization")
		default:
			b.practices[k] = b.home(k.Type, r.Root())
		}
	}
	return nil
}

// readComing reads what else a patient who books has booked, while nobody else books for the same
// patient.
func (b *booker) readComing(ctx context.Context) error {
	if !b.speaker.isPatient() {
		return nil
	}
	var patients []fhir.Key
	for _, v := range b.visits {
		if v.next != nil && v.next.Holds() != "" && (v.old == nil || v.old.Holds() == "") {
			patients = append(patients, v.next.Patients...)
		}
	}
	if len(patients) == 0 {
		return nil
	}
	patients = uniqueNames(patients)
	if err := b.hold(ctx, b.at, patients...); err != nil {
		return err
	}
	query := "patient=" + listed(patients) + "&status=booked,pending&date=ge" + url.QueryEscape(b.now.UTC().Format(time.RFC3339))
	all, err := b.at.Matching(ctx, "Appointment", query, maxBookings)
	if err != nil {
		return err
	}
	b.coming, err = b.read(all)
	return err
}

func (b *booker) read(all []store.Version) ([]consultation.Appointment, error) {
	var out []consultation.Appointment
	for _, v := range all {
		r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode an Appointment: %w", err)
		}
		out = append(out, *b.appointment(v.Key, r))
	}
	return out, nil
}

// listed returns references as the values of a search parameter.
func listed(of []fhir.Key) string {
	all := make([]string, len(of))
	for i, k := range of {
		all[i] = k.String()
	}
	return strings.Join(all, ",")
}
