package interaction

import (
	"context"
	"errors"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// errHopeless says that a write has to hold what it looks at before it does so.
var errHopeless = errors.New("what is looked at has to be held first")

// mostInHope bounds how many messages are held against what was read, where the write takes place.
const mostInHope = 500

// A hope is that nobody writes in a conversation between the moment when it is looked at and the
// write, which fails otherwise: see [store.Guard]. Held first, everything would be looked at one by
// one in a transaction of the database.
type hope struct {
	task  fhir.Key     // of which everything that was said is foreseen; empty for none
	guard *store.Guard // nil for a write that is in no conversation
}

// mayHope reports whether the transaction is one write of a message or a Task by itself.
func (t *transaction) mayHope() bool {
	if !t.Single || t.Dry || t.Past || len(t.parts) != 1 || len(t.links.references) > 0 || t.store.Registry().Missing > 0 {
		return false
	}
	p := &t.parts[0]
	is := p.Key.Type == "Communication" || p.Key.Type == "Task"
	return is && p.minded && !p.Conditional && p.Reading == nil && p.interaction != access.Delete
}

// inHope looks at what there is in one round trip, and writes by one statement. It is errHopeless
// if it takes more.
func (t *transaction) inHope(ctx context.Context) error {
	t.restart()
	f := &foresight{DB: t.store, hope: &hope{}}
	if err := t.foreseeEntry(ctx, f); err != nil {
		return err
	}
	if err := t.prepare(ctx, f); err != nil {
		return err
	}
	r, err := t.kept(nil)
	if err != nil {
		return err
	}
	return t.write(ctx, r, f.write)
}

// write writes some changes if all of them are still allowed.
func (f *foresight) write(ctx context.Context, changes []store.Change, r *store.Receipt) ([]store.Written, error) {
	switch {
	case f.hope.guard != nil:
		written, err := f.WriteGuarded(ctx, changes, r, f.hope.guard)
		if errors.Is(err, store.ErrMoved) {
			err = errHopeless
		}
		return written, err
	case len(changes) > 1 || r != nil:
		return f.WriteAll(ctx, changes, r)
	}
	w, err := f.Put(ctx, changes[0].Row, changes[0].Expect)
	return []store.Written{w}, err
}

// foreseeEntry finds out what will be asked about the one entry.
func (t *transaction) foreseeEntry(ctx context.Context, f *foresight) error {
	p := &t.parts[0]
	g, err := t.questionsOf(p)
	if err != nil {
		return err
	}
	if task := t.talkOf(p); task.ID != "" {
		f.hope.task = task
		g.Current = add(g.Current, task)
		g.Recent = store.Recent{Type: "Communication", Where: partOfQuery(task), Most: mostInHope,
			If: store.Provided{Task: task, Where: "code=" + consultation.KindSystem + "%7C"}}
	}
	if t.Receipt != nil {
		g.Holder, g.Key = t.holder(), t.Receipt.Key
	}
	if err := f.foresee(ctx, g); err != nil {
		return err
	}
	if f.found.Received {
		return store.ErrReceived
	}
	return nil
}

func partOfQuery(task fhir.Key) string { return "part-of=" + task.String() }

// talkOf returns the Task whose conversation p is likely to be in; empty for none.
func (t *transaction) talkOf(p *part) fhir.Key {
	if p.Key.Type == "Task" {
		return p.Key
	}
	if p.linked == nil {
		return fhir.Key{}
	}
	if of := t.partOf(p.linked); len(of) == 1 {
		return of[0]
	}
	return fhir.Key{}
}

// questionsOf returns what is likely to be asked about p beside its conversation.
func (t *transaction) questionsOf(p *part) (g store.Gathering, err error) {
	persons := t.standing().Persons
	for _, k := range persons {
		g.Current = add(g.Current, k)
	}
	if p.Key.ID != "" {
		g.Current = add(g.Current, p.Key)
	}
	if p.linked == nil {
		return g, nil
	}
	for _, k := range t.namedIn(p.linked) {
		g.Current = add(g.Current, k)
	}
	for _, file := range t.namedBinaries(p.linked) {
		g.Current = add(g.Current, file)
	}
	if g.Known, err = t.questionsAbout(&proposal{interaction: p.interaction, key: p.key}, p.linked); err != nil {
		return g, err
	}
	for _, k := range persons { // of whom one becomes the sender, if none is named
		g.Known = append(g.Known, access.Key{Kind: access.Party, Of: k.String()}, access.Key{Kind: access.Itself, Of: k.String()})
	}
	g.Known = unique(g.Known)
	return g, nil
}

// namedIn returns those whom a message or a Task names and whose resources say for whom they stand,
// and what a Task is about.
func (e *Engine) namedIn(r *fhir.Resource) (all []fhir.Key) {
	for _, element := range [...]string{"sender", "recipient", "owner", "requester"} {
		for n := range r.Root().Each(element) {
			for _, typ := range [...]string{"PractitionerRole", "HealthcareService", "CareTeam", "RelatedPerson"} {
				if k := e.referred(n, typ); k.ID != "" {
					all = add(all, k)
				}
			}
		}
	}
	for _, typ := range [...]string{"QuestionnaireResponse", "ServiceRequest"} {
		if k := e.referred(r.Root().Child("focus"), typ); k.ID != "" {
			all = add(all, k)
		}
	}
	return all
}

// Matching does what [store.DB.Matching] does. What was said in the conversation is foreseen; what
// others may change meanwhile is errHopeless.
func (f *foresight) Matching(ctx context.Context, typ, query string, n int) ([]store.Version, error) {
	switch {
	case f.hope == nil || typ == "HealthcareService" || typ == "PractitionerRole" || typ == "Task" && strings.HasPrefix(query, "patient="):
		return f.DB.Matching(ctx, typ, query, n)
	case typ != "Communication" || f.hope.task.ID == "" || query != partOfQuery(f.hope.task) || len(f.found.Recent) >= mostInHope:
		return nil, errHopeless
	}
	return f.found.Recent, nil
}

// watch makes the write of a conversation that was looked at depend on its being as it is.
func (k *talk) watch() error {
	f, is := k.at.(*foresight)
	if !is || f.hope == nil {
		return nil
	}
	for key, th := range k.tasks {
		switch {
		case th == nil || th.Task.Kind == "" || th.version == nil && th.part != nil && th.part.interaction == access.Create:
		case key != f.hope.task || f.hope.guard != nil:
			return errHopeless
		default:
			f.hope.guard = &store.Guard{Task: key, Where: partOfQuery(key), Said: f.found.Recent}
			if th.version != nil {
				f.hope.guard.Version = th.version.Number
			}
		}
	}
	return nil
}
