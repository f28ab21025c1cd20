package conformance_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// TestAccessMatrix asks everything that testdata/access.txt says, cell by cell,
// and prints with -v what was answered.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	m := readMatrix(t)
	b := &board{matrix: m, target: serveSignIn(t, api.Config{}), tokens: map[string]string{}, standing: map[string]*place{}}
	b.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}, Timeout: patience}
	t.Cleanup(b.client.CloseIdleConnections)
	for i, name := range m.names {
		var err error
		if name == "nobody" {
			continue
		}
		if i == 0 || m.cast[i].role == "administrator" {
			b.admin = m.cast[i]
		}
		if b.tokens[name], err = b.target.door.token(t.Context(), m.cast[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range m.world {
		b.make(t, r)
	}
	// What is shared is asked about before anything else is made.
	for _, fresh := range []bool{false, true} {
		for _, a := range m.asks {
			if a.fresh == fresh {
				t.Run(strings.ReplaceAll(a.title, " ", "-"), func(t *testing.T) { b.ask(t, a) })
			}
		}
	}
	t.Logf("%d cells were asked", b.cells)
	if b.cells < 2000 {
		t.Error("these are too few")
	}
}

// A board is a server on which a matrix is tried.
type board struct {
	*matrix
	target   *subject
	client   *http.Client
	admin    actor
	tokens   map[string]string // by name of the cast
	standing map[string]*place // by situation
	made     int
	cells    int
}

// A place is a situation that was made, with what its names stand for.
type place struct {
	id            string
	about, target string
}

func (p *place) fill(text string) string {
	typ, id, _ := strings.Cut(p.target, "/")
	return strings.NewReplacer("{target}", p.target, "{type}", typ, "{tid}", id, "{about}", p.about, "{pid}", strings.TrimPrefix(p.about, "Patient/"), "{id}", p.id).Replace(text)
}

func (p *place) request(r request) request {
	filled := request{method: r.method, path: p.fill(r.path), body: p.fill(r.body)}
	for _, h := range r.headers {
		filled.headers = append(filled.headers, [2]string{h[0], p.fill(h[1])})
	}
	return filled
}

// send sends r by one of the cast.
func (b *board) send(t *testing.T, name string, r request) exchange {
	t.Helper()
	if token := b.tokens[name]; token != "" {
		r.headers = append(r.headers, [2]string{"Authorization", "Bearer " + token})
	}
	x, err := r.send(b.client, b.target.base)
	if err == nil {
		err = x.always()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, x)
	}
	return x
}

// make sends r, which must succeed, by the administrator.
func (b *board) make(t *testing.T, r request) {
	t.Helper()
	if x := b.send(t, "admin", r); x.status >= 300 {
		t.Fatalf("%s", x)
	}
}

// place returns a situation: one of its own for each that asks freshly.
func (b *board) place(t *testing.T, a *attempt, name string) *place {
	t.Helper()
	if p := b.standing[name]; p != nil && !a.fresh {
		return p
	}
	s := b.situations[name]
	p := &place{id: name}
	if a.fresh {
		b.made++
		p.id += "-" + strconv.Itoa(b.made)
	}
	p.about, p.target = p.fill(s.about), p.fill(s.target)
	for _, r := range s.made {
		b.make(t, p.request(r))
	}
	if !a.fresh {
		b.standing[name] = p
	}
	return p
}

// ask fills the cells of a.
func (b *board) ask(t *testing.T, a *attempt) {
	got := []string{line("", b.names)}
	for _, r := range a.rows {
		var cells []string
		for i, name := range b.names {
			b.cells++
			cell, x := b.cell(t, a, r.situation, name)
			if cells = append(cells, cell); cell != r.cells[i] {
				t.Errorf("%s: %s of %s gets %s, not %s\n%s", a.title, name, r.situation, cell, r.cells[i], x)
			}
		}
		got = append(got, line(r.situation, cells))
	}
	t.Logf("%s\n%s", a.title, strings.Join(got, "\n"))
}

// line writes a row as the table does.
func line(name string, cells []string) string {
	text := fmt.Sprintf("%-12s", name)
	for _, cell := range cells {
		text += fmt.Sprintf("%-8s", cell)
	}
	return strings.TrimRight(text, " ")
}

// cell returns what one of the cast gets.
func (b *board) cell(t *testing.T, a *attempt, situation, name string) (string, exchange) {
	t.Helper()
	p := b.place(t, a, situation)
	before, r := "", a.request
	if a.fresh {
		x := b.send(t, "admin", request{method: http.MethodGet, path: "/fhir/" + p.target})
		before = stateOf(x)
		r.body = strings.ReplaceAll(r.body, "{amended}", strings.Replace(x.answer, `"status":"final"`, `"status":"amended"`, 1))
	}
	x := b.send(t, name, p.request(r))
	cell := p.read(a, x)
	if !lets(cell) && strings.Contains(x.answer, p.fill(`Secret {id}"`)) {
		t.Errorf("%s: %s of %s gets something\n%s", a.title, name, situation, x)
	}
	if a.fresh {
		after := stateOf(b.send(t, "admin", request{method: http.MethodGet, path: "/fhir/" + p.target}))
		if cell == "204" && after == before {
			cell = "-"
		}
		if want := a.changes && lets(cell); want != (after != before) {
			t.Errorf("%s: %s of %s gets %s, and what was %s is %s\n%s", a.title, name, situation, cell, before, after, x)
		}
	}
	return cell, x
}

// stateOf says which version was read.
func stateOf(x exchange) string { return strconv.Itoa(x.status) + " " + x.header.Get("ETag") }

// read says what x is: its status, or if it is a Bundle of what was searched for,
// whether the resource is in it.
func (p *place) read(a *attempt, x exchange) string {
	status := strconv.Itoa(x.status)
	types, err := find(x.tree, "type")
	single := len(types) == 0 || strings.HasSuffix(a.request.path, "{target}/_history")
	if err != nil || x.status != http.StatusOK || single || plain(types[0]) != "searchset" && plain(types[0]) != "history" {
		return status
	}
	entries, err := find(x.tree, "entry")
	if err != nil {
		return err.Error()
	}
	total, err := find(x.tree, "total")
	if err != nil {
		return err.Error()
	}
	finds := a.finds
	if finds == "" {
		finds = "{target}"
	}
	text := ""
	if len(entries) > 0 {
		text = plain(entries[0])
	}
	switch name := "/fhir/" + p.fill(finds); {
	case strings.Contains(text, name+`"`), strings.HasSuffix(name, "/") && strings.Contains(text, name):
		return "found"
	case strings.Contains(a.request.path, "_summary=count") && len(total) == 1 && plain(total[0]) != "0":
		return "found"
	}
	return "-"
}
