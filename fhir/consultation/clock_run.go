package consultation

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// FiledURL is the extension of a Task that says whether all of it has gone into a clinical
// record: a valueBoolean, kept by the server. It is false again as soon as there is a newer
// message or form.
const FiledURL = extensionBase + "filed"

// A Tick is a move of a Task, as its clock sees it.
type Tick struct {
	Task     *fhir.Resource // as it is to be stored, but for its clock
	From, To Status         // From is empty for a Task that is created
	Service  *Service       // whose hours count; nil is a service that says nothing
	Now      time.Time
}

// Write returns the JSON of the Task with its clock as the move sets it. It begins to run when
// the Task is requested, and anew when the Task is opened again; it stands still while the
// Task is on hold, and runs on with the time that was left. It is the JSON as it was for kinds
// without a clock and for moves that do not matter to it. Where the service has no hours in
// which an answer could be due, what the Task says stays.
func (t Tick) Write() ([]byte, error) {
	kind, err := KindOf(t.Task.Root())
	if err != nil {
		return nil, err
	}
	_, pauses := ReadClock(t.Task)
	begins := (t.From == "" || t.From == StatusDraft) && t.To == StatusRequested || t.From.settled() && t.To == StatusInProgress
	switch {
	case kind != Consultation && kind != AdviceAndGuidance && kind != Referral:
		return t.Task.Stored(t.Task.ID()), nil
	case begins:
		return t.set(kind, t.Now, nil)
	case t.From != StatusOnHold && t.To == StatusOnHold:
		return t.set(kind, time.Time{}, Hold(pauses, t.Now))
	case t.From == StatusOnHold && t.To == StatusInProgress:
		return t.set(kind, time.Time{}, Resume(pauses, t.Now))
	}
	return t.Task.Stored(t.Task.ID()), nil
}

// set gives the Task pauses, and from a start on, which is zero for the one that it has, the
// time at which it is due. While the clock stands still that stays as it was.
func (t Tick) set(kind Kind, start time.Time, pauses []Pause) ([]byte, error) {
	doc, err := parseDocument(t.Task.Stored(t.Task.ID()))
	if err != nil {
		return nil, err
	}
	doc.setPauses(t.Task.Root(), pauses)
	if start.IsZero() {
		start, _ = ReadClock(t.Task)
	}
	due := t.due(Question{Kind: string(kind), Priority: t.Task.Root().Child("priority").Text(), Start: start, Pauses: pauses})
	if due == "" {
		return doc.bytes(), nil
	}
	restriction, err := childDocument(t.Task.Root().Child("restriction"))
	if err != nil {
		return nil, err
	}
	restriction.setWire("period", wirePeriod{Start: dateTime(start), End: due})
	doc.set("restriction", restriction.bytes())
	return doc.bytes(), nil
}

// due returns when a Task is due, in the zone of its service; "" when that cannot be said.
func (t Tick) due(q Question) string {
	if t.Service == nil {
		return ""
	}
	d, err := t.Service.Deadline(q)
	if err != nil || d.Due.IsZero() {
		return ""
	}
	return dateTime(d.Due)
}

// childDocument reads the members of an element, none of one that is not there.
func childDocument(n fhir.Node) (*document, error) {
	if n.IsZero() {
		return &document{}, nil
	}
	return openDocument(n)
}

// setPauses gives d the extensions of root, with some pauses in place of those there.
func (d *document) setPauses(root fhir.Node, pauses []Pause) {
	all := otherExtensions(root, ClockPause)
	for _, p := range pauses {
		all = append(all, p.JSON())
	}
	d.setExtensions(all)
}

// otherExtensions returns the extensions of n but those with a URL.
func otherExtensions(n fhir.Node, url string) (all []json.RawMessage) {
	for e := range n.Each("extension") {
		if e.Child("url").Text() != url {
			all = append(all, e.Raw())
		}
	}
	return all
}

func (d *document) setExtensions(all []json.RawMessage) {
	if len(all) == 0 {
		d.drop("extension")
		return
	}
	d.set("extension", encode(all))
}

// IsFiled reports whether all of a Task has gone into a clinical record.
func IsFiled(task fhir.Node) bool { return task.Extension(FiledURL).Child("value").Text() == "true" }

// Files reports whether a Task has an output filed-to-record that it did not have before; old
// is nil for a Task that is created.
func Files(old *Task, next Task) bool {
	count := func(t Task) (n int) {
		for _, o := range t.Outputs {
			if o.Type == "filed-to-record" {
				n++
			}
		}
		return n
	}
	if old == nil {
		return count(next) > 0
	}
	return count(next) > count(*old)
}

// SetFiled returns the JSON of a Task that says whether all of it has gone into a clinical
// record.
func SetFiled(task *fhir.Resource, filed bool) ([]byte, error) {
	doc, err := parseDocument(task.Stored(task.ID()))
	if err != nil {
		return nil, err
	}
	doc.setExtensions(append(otherExtensions(task.Root(), FiledURL), filedExtension(filed)))
	return doc.bytes(), nil
}

func filedExtension(filed bool) json.RawMessage {
	return json.RawMessage(`{"url":"` + FiledURL + `","valueBoolean":` + strconv.FormatBool(filed) + `}`)
}
