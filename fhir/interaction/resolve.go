package interaction

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// links are what the entries of a transaction name one another by.
// https://hl7.org/fhir/R4/http.html#trules
type links struct {
	byURL      map[string]*part // whose resource has a fullUrl
	byCriteria map[string]*part // conditional ones: "Patient?identifier=1"
	byKey      map[string]*part // that write "Patient/1"
	references []lookup         // conditional ones that no entry answers
	asked      map[string]int   // which of references a text is
	versions   bool             // a version is named whose number depends on what is stored
	late       bool             // a link depends on what is stored
	settled    bool             // what is stored is known
}

// A lookup is a reference to what a search finds: "Patient?identifier=1".
// https://hl7.org/fhir/R4/http.html#trules
type lookup struct {
	text string
	by   *part // that has it first
}

// link sets the links of all resources, as far as they do not depend on what is
// stored.
func (t *transaction) link() error {
	t.links = links{byURL: map[string]*part{}, byCriteria: map[string]*part{}, byKey: map[string]*part{}, asked: map[string]int{}}
	for i := range t.parts {
		p := &t.parts[i]
		if p.linked = p.Resource; t.Single || p.Reading != nil || p.interaction == access.Delete {
			continue
		}
		if other := t.links.byURL[p.FullURL]; other != nil && p.FullURL != "" {
			return fhir.Errorf(fhir.BadRequest, fhir.Invalid, p.fullURL(), "Entries %d and %d have the same fullUrl; give each resource one of its own.", other.n, p.n)
		}
		t.links.byURL[p.FullURL] = p
		switch {
		case p.Conditional && p.Criteria != "":
			text := p.Key.Type + "?" + p.Criteria
			if other := t.links.byCriteria[text]; other != nil {
				return t.overlap(other, p)
			}
			t.links.byCriteria[text] = p
		case p.key.ID != "":
			t.links.byKey[p.key.String()] = p
		}
	}
	delete(t.links.byURL, "")
	if t.Single {
		return nil
	}
	return t.relinkAll()
}

func (p *part) fullURL() string { return fmt.Sprintf("Bundle.entry[%d].fullUrl", p.n) }

// relink sets those links that depend on what is stored.
func (t *transaction) relink() error {
	if !t.links.late {
		return nil
	}
	t.links.settled = true
	defer func() { t.links.settled = false }()
	return t.relinkAll()
}

func (t *transaction) relinkAll() error {
	for i := range t.parts {
		p := &t.parts[i]
		if p.Resource == nil || p.err != nil {
			continue
		}
		p.linked, p.err = t.relinked(p, p.Resource)
	}
	return t.problems()
}

// relinked returns r, the resource of p, with its links to other entries.
func (t *transaction) relinked(p *part, r *fhir.Resource) (*fhir.Resource, error) {
	if t.Single {
		return r, nil
	}
	var failed error
	linked, err := fhir.Relink(r, func(url string) (string, bool) {
		to, ok, err := t.target(p, url)
		if err != nil && failed == nil {
			failed = err
		}
		return to, ok
	})
	if failed != nil {
		return nil, failed
	}
	return linked, err
}

// target returns the reference that stands for what p names by url, if that is to
// be replaced.
func (t *transaction) target(p *part, url string) (string, bool, error) {
	if before, _, versioned := strings.Cut(url, "/_history/"); versioned {
		if q := t.named(p, before); q != nil {
			to, ok := t.versionOf(q)
			return to, ok, nil
		}
		return "", false, nil
	}
	if typ, _, is := strings.Cut(url, "?"); is && spec.R4().Resource(typ) != nil {
		return t.conditional(p, url)
	}
	q := t.links.byURL[url]
	if q == nil {
		if q = t.named(p, url); q == nil || q == t.links.byKey[url] {
			return "", false, nil // which is right as it is
		}
	}
	to, ok := t.nameOf(q)
	return to, ok, nil
}

// named returns the part that p names by url: by its fullUrl, or by one that is
// relative to that of p, or by type and id; nil for none.
// https://hl7.org/fhir/R4/bundle.html#references
func (t *transaction) named(p *part, url string) *part {
	if q := t.links.byURL[url]; q != nil {
		return q
	}
	if r, ok := fhir.ParseReference(url); !ok || r.Key.ID == "" || r.Base != "" {
		return nil
	}
	if own, _ := fhir.ParseReference(p.FullURL); own.Base != "" && own.Key.ID != "" {
		if q := t.links.byURL[own.Base+"/"+url]; q != nil {
			return q
		}
	}
	return t.links.byKey[url]
}

// nameOf returns what q is about as a reference, if that is known.
func (t *transaction) nameOf(q *part) (string, bool) {
	if q.Conditional && !t.links.settled || q.key.ID == "" {
		t.links.late = true
		return "", false
	}
	return q.key.String(), true
}

// versionOf returns the version that q writes, or has found, as a reference.
func (t *transaction) versionOf(q *part) (string, bool) {
	to, ok := t.nameOf(q)
	if !ok || q.next == 0 {
		t.links.late, t.links.versions = true, t.links.versions || ok
		return "", false
	}
	n := q.next
	if v := q.current; v != nil && (q.answered || q.linked != nil && bytes.Equal(q.linked.Stored(q.key.ID), v.Stored)) {
		n = v.Number // which stays
	}
	return to + "/_history/" + strconv.Itoa(n), true
}

// conditional returns what a conditional reference leads to.
func (t *transaction) conditional(p *part, text string) (string, bool, error) {
	if q := t.links.byCriteria[text]; q != nil {
		to, ok := t.nameOf(q)
		return to, ok, nil
	}
	i, asked := t.links.asked[text]
	if asked && t.links.settled {
		to, err := p.theOne(text, t.found[len(t.criteria)-len(t.links.references)+i])
		return to, err == nil, err
	}
	if !asked {
		t.links.late, t.links.asked[text] = true, len(t.links.references)
		t.links.references = append(t.links.references, lookup{text, p})
	}
	return "", false, nil
}

// theOne returns the one resource that was found for a conditional reference of p.
func (p *part) theOne(text string, found []store.Version) (string, error) {
	typ, _, _ := strings.Cut(text, "?")
	switch len(found) {
	case 0:
		return "", fhir.Errorf(fhir.BadRequest, fhir.NotFound, p.Key.Type, "A conditional reference finds no %s; send criteria that find one, or create it in the same Bundle.", typ)
	case 1:
		return found[0].Key.String(), nil
	}
	return "", fhir.Errorf(fhir.Stale, fhir.MultipleMatches, p.Key.Type, "A conditional reference finds more than one %s; send criteria that find one.", typ)
}

// ask makes the criteria by the search parameters in force.
func (t *transaction) ask(ctx context.Context) error {
	known := t.store.Registry()
	t.criteria = t.criteria[:0]
	ask := func(typ, criteria string) error {
		where, err := known.CriteriaWith(ctx, t.Terminology(), typ, criteria)
		if err == nil {
			err = t.mayAsk(where, []string{typ})
		}
		t.criteria = append(t.criteria, store.Criteria{Type: typ, Where: where, Generation: known.Generation, Grant: t.grant})
		return err
	}
	t.restart()
	for i := range t.parts {
		if p := &t.parts[i]; p.Conditional {
			p.criteria = len(t.criteria)
			p.err = ask(p.Key.Type, p.Criteria)
		}
	}
	for _, r := range t.links.references {
		typ, criteria, _ := strings.Cut(r.text, "?")
		err := t.maySearch([]string{typ})
		if err == nil {
			err = ask(typ, criteria)
		}
		if err != nil && r.by.err == nil {
			r.by.err = err
		}
	}
	return t.problems()
}

// find finds what the criteria are about, in one go.
func (t *transaction) find(ctx context.Context, tx *store.Tx) error {
	if len(t.criteria) == 0 {
		return nil
	}
	var err error
	if t.found, err = tx.Find(ctx, t.criteria); err != nil {
		return err
	}
	for i := range t.parts {
		if p := &t.parts[i]; p.Conditional {
			p.err = t.met(p, t.found[p.criteria])
		}
	}
	if err := t.problems(); err != nil {
		return err
	}
	return t.overlaps()
}

// met tells p what its criteria have found.
func (t *transaction) met(p *part, found []store.Version) error {
	if len(found) > 1 {
		return fhir.Errorf(fhir.Stale, fhir.MultipleMatches, "", "The criteria find more than one %s; send such that find one at most.", p.Key.Type)
	}
	if len(found) == 0 {
		return t.unmet(p)
	}
	v := &found[0]
	p.current, p.key, p.next = v, v.Key, v.Number+1
	switch {
	case p.interaction == access.Create:
		p.answered, p.reply.Result = true, Result{Version: *v, Outcome: store.Unchanged}
	case p.interaction == access.Update && p.Resource.ID() != "" && p.Resource.ID() != v.Key.ID:
		return fhir.Errorf(fhir.BadRequest, fhir.Invalid, p.Key.Type+".id", "The id of the resource is not that of the one that the criteria find; make them the same, or leave it out.")
	case p.Expect == store.Absent, p.Expect > 0 && v.Number != int(p.Expect):
		return stale(store.Written{})
	}
	return nil
}

// unmet does so where they have found nothing.
func (t *transaction) unmet(p *part) error {
	switch p.interaction {
	case access.Patch:
		return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "The criteria find no %s.", p.Key.Type)
	case access.Delete:
		p.answered, p.reply.Result = true, nothing(p.Key, nil)
	case access.Update:
		p.key.ID, p.next = p.newID, 1
		if p.Expect > 0 {
			return stale(store.Written{})
		}
		if id := p.Resource.ID(); id != "" {
			if !t.grant.View(access.MayCreate|access.MayUpdate, p.Key.Type).Unlimited() {
				return fhir.Errorf(fhir.Denied, fhir.Forbidden, p.Key.Type+".id", "The criteria find no %s, and you may not choose the id of a new one; leave it out.", p.Key.Type)
			}
			p.key.ID = id
		}
		return t.allow(access.Create, fhir.Key{Type: p.Key.Type})
	}
	return nil
}

// overlaps returns an Outcome when two entries write one resource.
func (t *transaction) overlaps() error {
	seen := make(map[fhir.Key]*part, len(t.parts))
	for i := range t.parts {
		p := &t.parts[i]
		if p.Reading != nil || p.answered || p.key.ID == "" {
			continue
		}
		if other := seen[p.key]; other != nil {
			return t.overlap(other, p)
		}
		seen[p.key] = p
	}
	return nil
}

func (t *transaction) overlap(p, q *part) error {
	return fhir.Errorf(fhir.BadRequest, fhir.Invalid, q.place(fhir.BadRequest, ""), "Entries %d and %d are about the same resource; write each one once.", p.n, q.n)
}

// leads returns what gifts of k lead to, which others in its transaction may have to
// know.
func leads(k *sketch) []access.Key {
	var of []access.Key
	for _, g := range k.Gifts {
		of = append(of, g.Key)
	}
	return of
}
