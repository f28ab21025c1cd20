package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// mayBeApart reports whether p, which the rules of conversations look at, may turn out to be no
// matter of theirs.
func (t *transaction) mayBeApart(p *part) bool {
	switch p.Key.Type {
	case "Communication", "QuestionnaireResponse", "Task":
		return p.interaction != access.Delete && !t.byPatient()
	}
	return false
}

// apart tells those of proposed parts that the rules of conversations have nothing to say about
// from those that they have to judge, each by itself. It takes one round trip. What becomes part
// of a conversation meanwhile was written before.
func (t *transaction) apart(ctx context.Context, parts []*part) (rest, judged []*part, err error) {
	var of []fhir.Key
	for _, p := range parts {
		of = append(of, t.tasksOf(p)...)
	}
	a := around{written: map[fhir.Key]bool{}}
	if a.tasks, err = t.store.Current(ctx, uniqueNames(of)); err != nil {
		return nil, nil, err
	}
	for i := range t.parts {
		a.written[t.parts[i].Key] = true
	}
	for _, p := range parts {
		is, err := t.isApart(ctx, p, &a)
		switch {
		case err != nil:
			return nil, nil, err
		case is:
			rest = append(rest, p)
		default:
			judged = append(judged, p)
		}
	}
	return rest, judged, nil
}

// tasksOf returns the Tasks that a message says, or has said, that it is part of.
func (t *transaction) tasksOf(p *part) (all []fhir.Key) {
	if !p.minded || p.err != nil || p.Key.Type != "Communication" {
		return nil
	}
	all = t.partOf(p.proposal.resource)
	if p.proposal.old != nil {
		all = append(all, t.partOf(p.proposal.old.resource)...)
	}
	return all
}

// around is what messages of a batch may be part of.
type around struct {
	tasks   map[fhir.Key]*store.Version // that are stored
	written map[fhir.Key]bool           // what entries of the batch are about, which may become conversations
}

// isApart reports whether p is no matter of conversations.
func (t *transaction) isApart(ctx context.Context, p *part, a *around) (bool, error) {
	if !p.minded || p.err != nil {
		return true, nil
	}
	next, old := p.proposal.resource, p.proposal.old
	switch p.Key.Type {
	case "Task":
		return !beginsWork(ctx, next) && (old == nil || !beginsWork(ctx, old.resource)), nil
	case "QuestionnaireResponse":
		return old == nil && !t.starts(ctx, next), nil
	}
	if consultation.OutsideConversation(next.Root()) != nil {
		return false, nil
	}
	for _, k := range t.tasksOf(p) {
		if a.written[k] {
			return false, nil
		}
		if plain, err := t.isPlain(ctx, a.tasks[k]); !plain || err != nil {
			return false, err
		}
	}
	return true, nil
}

// isPlain reports whether a Task that the caller sees is none of ours; nil is one that there is not,
// which only a trusted caller may name.
func (t *transaction) isPlain(ctx context.Context, v *store.Version) (bool, error) {
	if !t.grant.IsTrusted() {
		seen, err := t.seen(anyPermission, v)
		if seen == nil || err != nil {
			return false, err
		}
	}
	task, err := formerly(v)
	if err != nil {
		return false, fmt.Errorf("decode a Task: %w", err)
	}
	return task == nil || !beginsWork(ctx, task.resource), nil
}
