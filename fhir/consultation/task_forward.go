package consultation

import (
	"encoding/json"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// Forward returns what is stored when a Task goes to another organisation. Linked is a new
// Task for the owner that the client gave, without an id: requested, with the same thread,
// patient, requester, priority and due time, and the extension task-replaces that points to
// old; what belongs to the work of the old owner, and business identifiers, are left out.
// Closed is the old Task, rejected with the reason forwarded. Old is the Task as it is stored,
// next as the client wrote it; [Decide] has found that it is to be forwarded. The error is a
// fault of ours.
func Forward(old, next *fhir.Resource, now time.Time) (linked, closed []byte, err error) {
	kind, err := KindOf(old.Root())
	if err != nil {
		return nil, nil, err
	}
	end, err := openDocument(old.Root())
	if err != nil {
		return nil, nil, err
	}
	end.setText("status", string(StatusRejected))
	end.setWire("statusReason", conceptOf(ReasonSystem, "forwarded", ""))
	end.setText("lastModified", dateTime(now))
	end.setBusiness(kind, businessStatusFor(Task{Kind: kind, Status: StatusRejected}))

	begin, err := grown(old, now)
	if err != nil {
		return nil, nil, err
	}
	begin.set("owner", next.Root().Child("owner").Raw())
	begin.set("extension", replacing(old))
	begin.setBusiness(kind, businessStatusFor(Task{Kind: kind, Status: StatusRequested}))
	return begin.bytes(), end.bytes(), nil
}

// grown returns a new, requested Task with what old has but the work done and the names.
func grown(old *fhir.Resource, now time.Time) (*document, error) {
	d, err := parseDocument(old.Stored(""))
	if err != nil {
		return nil, err
	}
	d.drop("text", "identifier", "statusReason", "output", "executionPeriod", "extension")
	d.setText("status", string(StatusRequested))
	d.setText("authoredOn", dateTime(now))
	d.setText("lastModified", dateTime(now))
	return d, nil
}

// replacing returns the extensions of the Task that takes the place of old: what the server
// has found out about it, and where it comes from.
func replacing(old *fhir.Resource) []byte {
	var all []json.RawMessage
	for e := range old.Root().Each("extension") {
		if url := e.Child("url").Text(); url == TriageOutcomeURL || url == identityStateURL {
			all = append(all, e.Raw())
		}
	}
	all = append(all, json.RawMessage(`{"url":"`+TaskReplacesURL+`","valueReference":{"reference":"Task/`+old.ID()+`"}}`))
	return encode(all)
}

// ConvertToReferral returns the referral Task, without an id, that grows out of a Task of
// advice and guidance whose outcome is a conversion: requested, part of the first and in its
// thread, with the same parties, patient, priority, reason and inputs. Request is the
// ServiceRequest of the referral. When it is due is for the clock to say. [Decide] takes it
// with the role System. The error is a fault of ours.
func ConvertToReferral(advice *fhir.Resource, request fhir.Key, now time.Time) ([]byte, error) {
	d, err := grown(advice, now)
	if err != nil {
		return nil, err
	}
	d.drop("restriction", "note")
	d.setWire("basedOn", []wireReference{{Reference: request.String()}})
	d.setWire("partOf", []wireReference{{Reference: "Task/" + advice.ID()}})
	d.setWire("code", conceptOf(KindSystem, string(Referral), ""))
	d.setWire("focus", wireReference{Reference: request.String(), Type: request.Type})
	d.setBusiness(Referral, businessStatusFor(Task{Kind: Referral, Status: StatusRequested}))
	return d.bytes(), nil
}
