package interaction

import (
	"context"
	"errors"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// AvailableActions is the operation that lists what the caller may do with a Task now.
const AvailableActions access.Interaction = "available-actions"

// Converses reports whether the rules of conversations hold, so that there is something to be
// asked about them.
func (e *Engine) Converses() bool { return e.conversation != nil }

// AvailableActions returns the moves of a Task that the caller may make now, as Parameters: none
// for a Task that is of none of our kinds, and for who may read Tasks but not change this one.
func (s *Session) AvailableActions(ctx context.Context, task fhir.Key) ([]byte, error) {
	if err := s.Allow(AvailableActions, task); err != nil {
		return nil, err
	}
	v, err := present(s.now(ctx, task))("Task")
	var moves []consultation.Move
	if err == nil {
		moves, err = s.availableMoves(ctx, v)
	}
	_, err = s.saw(ctx, AvailableActions, task, v, err)
	return consultation.ActionsJSON(moves), err
}

// availableMoves returns them for a Task that the caller sees.
func (s *Session) availableMoves(ctx context.Context, v *store.Version) ([]consultation.Move, error) {
	if changes, err := s.seen(access.MayUpdate, v); changes == nil || err != nil {
		return nil, err
	}
	k, err := s.listen(ctx, s.store)
	if err != nil {
		return nil, err
	}
	th, err := k.thread(ctx, v.Key)
	if err != nil || th == nil || th.Task.Kind == "" {
		return nil, err
	}
	roles, err := k.rolesIn(ctx, th, th.Task)
	if err != nil {
		return nil, err
	}
	facts, err := k.known(ctx, th, th.Task)
	if err != nil {
		return nil, err
	}
	return consultation.AvailableActions(th.Task, roles, facts), nil
}

// listen returns a talk in which nothing has been written yet: the rules of conversations, as
// they look at what is stored.
func (s *Session) listen(ctx context.Context, at ground) (*talk, error) {
	k := &talk{transaction: &transaction{Session: s, Bundle: Bundle{Single: true}}, at: at, now: s.clock(), tasks: map[fhir.Key]*thread{}}
	var err error
	k.speaker, err = s.speaker(ctx, at)
	return k, err
}

// speakUp runs act in a transaction, and writes along what act has the server author. It returns
// the results of that, in order. When others come between, all of it is done anew.
func (s *Session) speakUp(ctx context.Context, act func(context.Context, *talk) error) ([]Result, error) {
	for range maxRaces {
		var done []Result
		err := s.store.Atomically(ctx, false, func(ctx context.Context, tx *store.Tx) error {
			k, err := s.listen(ctx, tx)
			if err != nil {
				return err
			}
			if err := act(ctx, k); err != nil {
				return err
			}
			if err := k.write(ctx, nil, tx.Write); err != nil {
				return err
			}
			done = nil
			for _, p := range k.along {
				done = append(done, p.reply.Result)
			}
			return nil
		})
		if !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return nil, tooManyRaces()
}

// tell adds to the audit of what was authored last.
func (k *talk) tell(name, value string) {
	if trail := k.along[len(k.along)-1].sketch.Trail; trail != nil {
		trail.Detail = with(trail.Detail, name, value)
	}
}

// visible returns a resource that the caller may read. One that is not there, or not for them,
// is an Outcome.
func (k *talk) visible(ctx context.Context, key fhir.Key) (*former, error) {
	found, err := k.at.Current(ctx, []fhir.Key{key})
	if err != nil {
		return nil, err
	}
	v, err := present(k.seen(access.MayRead, found[key]))(key.Type)
	if err != nil {
		return nil, err
	}
	return formerly(v)
}
