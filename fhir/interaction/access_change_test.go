package interaction_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// referred adds a referral of patient a by practice a to hospital c, which takes
// an Observation along, and what else was sent to c.
func (w *world) referred() {
	w.put(observation("package", "a"))
	w.put(`{"resourceType":"ServiceRequest","id":"r","status":"active","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"performer":[{"reference":"Organization/c"}],"supportingInfo":[{"reference":"Observation/package"}]}`)
	w.put(`{"resourceType":"Communication","id":"message","status":"completed","subject":{"reference":"Patient/a"},"sender":{"reference":"Patient/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentString":"x"}]}`)
	w.put(`{"resourceType":"Communication","id":"letter","status":"completed","subject":{"reference":"Patient/a"},"sender":{"reference":"PractitionerRole/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentString":"x"}]}`)
	w.put(`{"resourceType":"Task","id":"t","status":"requested","intent":"order","for":{"reference":"Patient/a"},"focus":{"reference":"ServiceRequest/r"},"requester":{"reference":"Organization/a"},"owner":{"reference":"Organization/c"}}`)
}

// TestWhatIsSentIsNotOnesOwn: who was sent something may neither change nor delete
// it, nor write themselves into it, but goes on with what they were asked to do.
func TestWhatIsSentIsNotOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.referred()
	c, a := w.as(w.doctor("c")), w.as(w.doctor("a"))
	const about = `"status":"final","code":{"text":"mine"},"subject":{"reference":"Patient/a"}}`
	const message = `"status":"completed","subject":{"reference":"Patient/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentString":"forged"}],`
	for name, body := range map[string]string{
		"a thing in the package":            `{"resourceType":"Observation","id":"package",` + about,
		"the same, with themselves named":   `{"resourceType":"Observation","id":"package","performer":[{"reference":"Practitioner/c"}],` + about,
		"the words of the patient":          `{"resourceType":"Communication","id":"message",` + message + `"sender":{"reference":"Patient/a"}}`,
		"the words of the one who referred": `{"resourceType":"Communication","id":"letter",` + message + `"sender":{"reference":"PractitionerRole/a"}}`,
	} {
		r := decode(t, body)
		_, err := c.Update(t.Context(), r.ID(), r, store.Anything)
		refused(t, name, err, fhir.Denied)
		_, err = c.Delete(t.Context(), fhir.Key{Type: r.Type(), ID: r.ID()}, store.Anything)
		refused(t, name+", deleted", err, fhir.Denied)
	}
	for _, of := range []string{"ServiceRequest/r", "Task/t"} {
		_, err := c.Delete(t.Context(), key(of), store.Anything)
		refused(t, of+", deleted", err, fhir.Denied)
	}
	r := decode(t, `{"resourceType":"Task","id":"t","status":"accepted","intent":"order","for":{"reference":"Patient/a"},"focus":{"reference":"ServiceRequest/r"},"requester":{"reference":"Organization/a"},"owner":{"reference":"Organization/c"}}`)
	_, err := c.Update(t.Context(), "t", r, store.Anything)
	done(t, "the task they were asked to do", err)
	for _, body := range []string{`{"resourceType":"Observation","id":"package",` + about, `{"resourceType":"Communication","id":"letter",` + message + `"sender":{"reference":"PractitionerRole/a"}}`} {
		r := decode(t, body)
		_, err := a.Update(t.Context(), r.ID(), r, store.Anything)
		done(t, "their own "+r.ID(), err)
	}
	meta := decode(t, `{"resourceType":"Communication","meta":{"tag":[{"system":"s","code":"urgent"}]},"status":"completed"}`).Root().Child("meta")
	_, err = c.MetaAdd(t.Context(), key("Communication/message"), meta, store.Anything)
	done(t, "a tag on what they were sent", err)
	_, err = c.MetaAdd(t.Context(), key("Observation/package"), meta, store.Anything)
	refused(t, "a tag on a thing in the package", err, fhir.Denied)
}

// TestNobodyMakesColleagues: what is seen by all is given to nobody, so that
// a referral makes no colleague of a stranger, for whom one could speak.
func TestNobodyMakesColleagues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	system := w.doctor("b")
	system.User = fhir.Key{}
	b := w.as(system)
	_, err := b.Create(t.Context(), decode(t, `{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Patient/b"},"requester":{"reference":"Organization/b"},"performer":[{"reference":"Organization/b"}],"supportingInfo":[{"reference":"Practitioner/a"},{"reference":"PractitionerRole/a"}]}`))
	done(t, "a referral", err)
	_, err = b.Create(t.Context(), decode(t, `{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/b"},"requester":{"reference":"Organization/b"},"owner":{"reference":"Organization/b"},"focus":{"reference":"Practitioner/a"}}`))
	done(t, "a task", err)
	for _, sender := range []string{"Practitioner/a", "PractitionerRole/a"} {
		_, err = b.Create(t.Context(), decode(t, `{"resourceType":"Communication","status":"completed","subject":{"reference":"Patient/b"},"sender":{"reference":"`+sender+`"},"recipient":[{"reference":"Patient/b"}]}`))
		refused(t, "a message from "+sender, err, fhir.Denied)
	}
}

// TestNobodyGivesForOthers: a patient names what somebody else's record has, and
// the practice that sees both goes on with it. That must not show it to the
// patient, whatever the status was before.
func TestNobodyGivesForOthers(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"requested", "draft"} {
		w := newWorld(t)
		w.put(`{"resourceType":"Patient","id":"m","managingOrganization":{"reference":"Organization/a"}}`)
		w.put(`{"resourceType":"Binary","id":"x","contentType":"text/plain","data":"eA=="}`)
		w.put(`{"resourceType":"DocumentReference","id":"x","status":"current","subject":{"reference":"Patient/a"},"content":[{"attachment":{"url":"Binary/x"}}]}`)
		m, a := w.as(w.patient("m")), w.as(w.doctor("a"))
		task := func(id, status string) string {
			return `{"resourceType":"Task",` + id + `"status":"` + status + `","intent":"order","for":{"reference":"Patient/m"},"requester":{"reference":"Patient/m"},"owner":{"reference":"Organization/a"},"focus":{"reference":"Observation/a"}}`
		}
		made, err := m.Create(t.Context(), decode(t, task("", status)))
		if err == nil {
			_, err = a.Update(t.Context(), made.Key.ID, decode(t, task(`"id":"`+made.Key.ID+`",`, "accepted")), store.Anything)
			done(t, "the practice goes on", err)
		}
		_, err = m.Read(t.Context(), key("Observation/a"))
		refused(t, "what the task is about", err, fhir.Unknown)
		made, err = m.Create(t.Context(), decode(t, `{"resourceType":"DocumentReference","status":"current","subject":{"reference":"Patient/m"},"author":[{"reference":"Patient/m"}],"content":[{"attachment":{"url":"Binary/x"}}]}`))
		if err == nil {
			meta := decode(t, `{"resourceType":"Basic","meta":{"tag":[{"system":"s","code":"seen"}]},"code":{"text":"x"}}`).Root().Child("meta")
			_, err = a.MetaAdd(t.Context(), made.Key, meta, store.Anything)
			done(t, "the practice tags", err)
		}
		_, err = m.Read(t.Context(), key("Binary/x"))
		refused(t, "what is attached", err, fhir.Unknown)
	}
}
