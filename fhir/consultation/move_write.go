package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Stamp is what the server gives to a Task that it stores.
type Stamp struct {
	Now    time.Time // written in its zone
	Thread string    // the thread of a new Task that names none: that of the Task it is part of, or a fresh id
}

// Write returns the JSON of what is to be stored of r, the Task as the client wrote it: with
// lastModified and the business status that is derived, and of a new Task authoredOn and
// groupIdentifier. Everything else stays byte for byte. It is nil for a Decision that stores
// nothing, or what [Forward] makes. The error is a fault of ours.
func (d Decision) Write(r *fhir.Resource, s Stamp) ([]byte, error) {
	switch d.Effect {
	case TaskPlain:
		return r.Source(), nil
	case TaskCreated, TaskEdited, TaskMoved, TaskClosed:
	default:
		return nil, nil
	}
	doc, err := openDocument(r.Root())
	if err != nil {
		return nil, err
	}
	if d.Effect == TaskCreated {
		doc.setText("authoredOn", dateTime(s.Now))
		if r.Root().Child("groupIdentifier").IsZero() {
			doc.setWire("groupIdentifier", wireIdentifier{ThreadSystem, s.Thread})
		}
	}
	doc.setText("lastModified", dateTime(s.Now))
	doc.setBusiness(d.kind, d.BusinessStatus)
	return doc.bytes(), nil
}

// setBusiness gives a Task of a kind its derived business status; the empty code is none.
// Of other kinds it stays.
func (d *document) setBusiness(kind Kind, code string) {
	switch {
	case machine().kinds[kind].system == "":
	case code == "":
		d.drop("businessStatus")
	default:
		d.setWire("businessStatus", conceptOf(machine().kinds[kind].system, code, ""))
	}
}
