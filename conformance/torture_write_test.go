package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// toil does one of what writers do.
func (w *toiler) toil() {
	what := w.IntN(100)
	var f fate
	switch {
	case what < 40:
		f = w.put()
	case what < 62:
		f = w.read()
	case what < 70:
		f = w.remove()
	case what < 78:
		f = w.create("")
	case what < 86:
		f = w.create("key")
	case what < 93:
		f = w.transact()
	default:
		f = w.createOnly()
	}
	if f != stored {
		w.recover()
	}
}

// done completes an effort with its answer, keeps it, and returns what became of it.
func (w *toiler) done(e effort, x exchange, f fate) fate {
	e.who, e.status, e.fate, e.answered = w.name, x.status, f, w.now()
	if f == doubtful {
		e.answered = unanswered
	}
	w.note(w.way, e)
	if f == refused && x.status == http.StatusPreconditionFailed {
		return stored // that is an answer, too
	}
	return f
}

// condition is the header that makes a write one of what is expected to be there.
func condition(p plot) (header [2]string, expect int) {
	if p.gone {
		return [2]string{"If-None-Match", "*"}, -1
	}
	return [2]string{"If-Match", fmt.Sprintf(`W/"%d"`, p.version)}, p.version
}

// put replaces what w knows of a plot.
func (w *toiler) put() fate {
	p := w.plots.pick(w.Rand)
	header, expect := condition(p)
	typ, id, _ := strings.Cut(p.key, "/")
	e := effort{op: putting, key: p.key, marker: w.marker(), group: p.group, expect: expect, sent: w.now()}
	body := tortured(typ, id, p.group, [2]string{"marker", e.marker})
	e.content = canonical(w.t, []byte(body))
	x, f := w.ask(request{method: http.MethodPut, path: "/fhir/" + p.key, headers: [][2]string{header}, body: body})
	if f == stored {
		e.version = versionIn(x.header)
		w.plots.learn(p.key, e.version, false)
	}
	if x.status == http.StatusPreconditionFailed {
		w.look(p.key)
	}
	return w.done(e, x, f)
}

// read looks a plot up.
func (w *toiler) read() fate {
	return w.look(w.plots.pick(w.Rand).key)
}

// look reads a resource and learns of it.
func (w *toiler) look(key string) fate {
	e := effort{op: reading, key: key, sent: w.now()}
	x, f := w.ask(request{method: http.MethodGet, path: "/fhir/" + key})
	if f == stored {
		e.gone = x.status == http.StatusGone
		e.version = versionIn(x.header)
		if x.status == http.StatusOK {
			e.marker = labelIn(json.RawMessage(x.answer), "marker")
		}
		w.plots.learn(key, e.version, x.status != http.StatusOK)
	}
	return w.done(e, x, f)
}

// remove deletes the version of a plot that w knows.
func (w *toiler) remove() fate {
	p := w.plots.pick(w.Rand)
	if p.gone {
		return w.look(p.key)
	}
	e := effort{op: deleting, key: p.key, expect: p.version, sent: w.now()}
	x, f := w.ask(request{method: http.MethodDelete, path: "/fhir/" + p.key, headers: [][2]string{{"If-Match", fmt.Sprintf(`W/"%d"`, p.version)}}})
	if f == stored {
		w.plots.learn(p.key, p.version+1, true)
	}
	return w.done(e, x, f)
}

// create has the server choose an id. With an Idempotency-Key it is sent until it is
// answered, which may take a few times, and is done once all the same.
func (w *toiler) create(key string) fate {
	e := effort{op: creating, marker: w.marker(), expect: -1, sent: w.now()}
	r := request{method: http.MethodPost, path: "/fhir/Basic", body: tortured("Basic", "", "", [2]string{"marker", e.marker})}
	e.content = canonical(w.t, []byte(r.body))
	tries := 1
	if key != "" {
		r.headers, tries = [][2]string{{"Idempotency-Key", e.marker}}, 20
	}
	var x exchange
	worst, f := refused, doubtful
	for range tries {
		if x, f = w.ask(r); f == stored || w.ended() {
			break
		}
		worst = max(worst, f) // doubtful once is doubtful until there is an answer
		if tries > 1 {
			w.rest(w.N(200 * time.Millisecond))
		}
	}
	if f == stored {
		e.key, e.version = keyIn(x.header.Get("Location")), versionIn(x.header)
	} else {
		f = worst
	}
	return w.done(e, x, f)
}

// createOnly creates a resource where there is none of its name, at the same time as
// others do.
func (w *toiler) createOnly() fate {
	e := effort{op: creating, marker: w.marker(), only: fmt.Sprintf("%d", time.Duration(w.now())/(400*time.Millisecond)), expect: -1, sent: w.now()}
	r := request{method: http.MethodPost, path: "/fhir/Basic", body: tortured("Basic", "", "", [2]string{"marker", e.marker}, [2]string{"only", e.only})}
	r.headers = [][2]string{{"If-None-Exist", "identifier=" + url.QueryEscape("urn:only|"+e.only)}}
	e.content = canonical(w.t, []byte(r.body))
	x, f := w.ask(r)
	if f == stored {
		e.key, e.version = keyIn(x.header.Get("Location")), versionIn(x.header)
	}
	return w.done(e, x, f)
}

// transact writes a plot and two new resources together.
func (w *toiler) transact() fate {
	p, name, sent := w.plots.pick(w.Rand), w.marker(), w.now()
	label := [2]string{"together", name}
	header, expect := condition(p)
	typ, id, _ := strings.Cut(p.key, "/")
	all := []effort{
		{op: putting, key: p.key, group: p.group, expect: expect},
		{op: creating, expect: -1},
		{op: putting, key: "Observation/" + name, expect: -1},
	}
	bodies := []string{
		tortured(typ, id, p.group, [2]string{"marker", name + "a"}, label),
		tortured("Basic", "", "", [2]string{"marker", name + "b"}, label),
		tortured("Observation", name, "", [2]string{"marker", name + "c"}, label),
	}
	member := map[string]string{"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch"}[header[0]]
	body := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%s,"request":{"method":"PUT","url":%q,%q:%q}},
		{"resource":%s,"request":{"method":"POST","url":"Basic"}},{"resource":%s,"request":{"method":"PUT","url":%q,"ifNoneMatch":"*"}}]}`,
		bodies[0], p.key, member, header[1], bodies[1], bodies[2], all[2].key)
	x, f := w.ask(request{method: http.MethodPost, path: "/fhir", body: body})
	locations, err := find(x.tree, "entry[*].response.location")
	if f == stored && (err != nil || len(locations) != len(all)) {
		w.t.Errorf("%s: a transaction was answered without saying what it made: %v\n%s", w.name, err, x)
		f = doubtful
	}
	for i := range all {
		e := &all[i]
		e.marker, e.content, e.together, e.sent = fmt.Sprintf("%s%c", name, 'a'+i), canonical(w.t, []byte(bodies[i])), name, sent
		if f == stored {
			at := plain(locations[i])
			e.key = keyIn(at)
			if _, err := fmt.Sscan(at[strings.LastIndexByte(at, '/')+1:], &e.version); err != nil {
				w.t.Errorf("%s: %q names no version", w.name, at)
			}
			w.plots.learn(e.key, e.version, false)
		}
		w.done(*e, x, f)
	}
	if x.status == http.StatusPreconditionFailed {
		return w.look(p.key)
	}
	return f
}
