package subscription

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// tell stores a resource as the server itself does.
func (w *world) tell(body string) {
	w.t.Helper()
	r := decode(w.t, body)
	row, err := w.store.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, store.Update, r)
	if err != nil {
		w.t.Fatal(err)
	}
	row.Allowed = row.Gifts
	if _, err := w.store.Put(w.t.Context(), row, store.Anything); err != nil {
		w.t.Fatal(err)
	}
}

// alertOf is an alert that is part of a Task.
func alertOf(id, topic, task, more string) string {
	return strings.NewReplacer(`"id":"c",`, `"id":"`+id+`",`+more, "Task/t", task).Replace(alert(topic))
}

// TestFocus: an alert tells of the Task that it is part of, to who filters by what that
// Task says and sees it, whether they see the alert or not.
func TestFocus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	overdue := func(id, filter string) string {
		extension := fmt.Sprintf(`"_criteria":{"extension":[{"url":%q,"valueString":"Task?%s"}]},"reason":"test"`, filterExtension, filter)
		return strings.NewReplacer("task-changed", "task-overdue", `"reason":"test"`, extension).Replace(hook(id, at.URL+"/"+id))
	}
	w.put(overdue("ours", "owner=Organization/a"))
	w.put(overdue("theirs", "owner=Organization/b&code=referral"))
	for _, id := range []string{"a", "b"} {
		w.tell(`{"resourceType":"Organization","id":"` + id + `"}`)
	}
	w.setGrant("holder a", reader("a", everything, "*"))
	of, err := w.engine.For(reader("a", everything, "*"), interaction.Origin{}).Create(t.Context(), decode(t, overdue("seen", "code=referral")))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ours", "theirs", of.Key.ID} {
		w.is(id, active)
	}
	for id, owner := range map[string]string{"1": "a", "2": "b", "3": "a"} {
		w.tell(task(id, "referral", "requested", `,"owner":{"reference":"Organization/`+owner+`"}`))
	}
	w.tell(alertOf("a1", "response-overdue", "Task/1", ""))
	w.tell(alertOf("a2", "response-due-soon", "Task/1", ""))
	w.tell(alertOf("a3", "response-overdue", "Task/missing", ""))
	w.tell(alertOf("a4", "response-overdue", "https://elsewhere.example/fhir/Task/1", ""))
	w.tell(alertOf("a5", "response-overdue", "Task/2", `"recipient":[{"reference":"Organization/a"}],`))
	w.tell(alertOf("a6", "response-overdue", "Task/3", `"recipient":[{"reference":"Organization/b"}],`))
	for path, want := range map[string]string{"/ours": "Task/1 Task/3", "/theirs": "Task/2", "/seen": "Task/1 Task/3"} {
		n := len(strings.Fields(want))
		w.clock.until(t, fmt.Sprintf("%d events arrive at %s", n, path), time.Hour, func() bool { return len(at.told(path)) >= n })
		if got := strings.ReplaceAll(strings.Join(at.told(path), " "), base+"/", ""); got != want {
			t.Errorf("%s is told of %s, want %s", path, got, want)
		}
	}
}

// told returns what the events on a path are about.
func (e *endpoint) told(path string) []string {
	var all []string
	for _, x := range e.events(path) {
		all = append(all, x.focus...)
	}
	return all
}
