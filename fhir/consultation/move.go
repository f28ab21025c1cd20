package consultation

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

//go:embed task-machine.json
var machineJSON string

// MachineJSON returns the state machine as JSON, as it is published: for each kind the
// statuses that a Task may begin in, the moves with who may make them and what they
// require, and the business statuses.
func MachineJSON() string { return machineJSON }

// machine is the state machine ready for use.
var machine = sync.OnceValue(func() *table {
	t, err := compile([]byte(machineJSON))
	if err != nil {
		panic(err) // it is part of the program
	}
	return t
})

// A table is the compiled state machine.
type table struct {
	kinds map[Kind]*rules
	every []transition // from any status, in every kind
}

// rules are those of one kind.
type rules struct {
	initial     map[Status]Roles
	moves       map[Status][]transition
	forwardFrom []Status
	system      string // of the business statuses that are derived; empty for none
	business    map[Status][]string
	closing     []closing
	outcomes    []string // of which the output outcome is one; nil is any
	outcomeIn   string   // the code system of outcomes
}

type transition struct {
	to       Status
	by       Roles
	requires string
	unless   []string // business statuses that rule it out
}

// A closing is a move of the business status by a client while the status stays.
type closing struct {
	status   Status
	from, to string
	by       Roles
}

type jsonMove struct {
	From, To, Requires string
	By, Unless         []string
}

type jsonKind struct {
	Initial        map[Status][]string
	Moves          []jsonMove
	ForwardFrom    []Status
	BusinessSystem string
	Business       map[Status][]string
	BusinessMoves  []struct {
		Status   Status
		From, To string
		By       []string
	}
	OutcomeSystem string
	Outcomes      []string
}

// compile reads the state machine.
func compile(src []byte) (*table, error) {
	var data struct {
		EveryKind []jsonMove
		Kinds     map[Kind]jsonKind
	}
	if err := json.Unmarshal(src, &data); err != nil {
		return nil, fmt.Errorf("read the state machine: %w", err)
	}
	t := &table{kinds: map[Kind]*rules{}}
	for _, m := range data.EveryKind {
		move, err := m.compile()
		if err != nil {
			return nil, err
		}
		t.every = append(t.every, move)
	}
	for kind, k := range data.Kinds {
		r, err := k.compile()
		if err != nil {
			return nil, fmt.Errorf("compile %s: %w", kind, err)
		}
		t.kinds[kind] = r
	}
	return t, nil
}

func (k jsonKind) compile() (*rules, error) {
	r := &rules{initial: map[Status]Roles{}, moves: map[Status][]transition{}, forwardFrom: k.ForwardFrom,
		system: k.BusinessSystem, business: k.Business, outcomes: k.Outcomes, outcomeIn: k.OutcomeSystem}
	for status, by := range k.Initial {
		roles, err := rolesNamed(by)
		if err != nil {
			return nil, err
		}
		r.initial[status] = roles
	}
	for _, m := range k.Moves {
		move, err := m.compile()
		if err != nil {
			return nil, err
		}
		r.moves[Status(m.From)] = append(r.moves[Status(m.From)], move)
	}
	for _, m := range k.BusinessMoves {
		roles, err := rolesNamed(m.By)
		if err != nil {
			return nil, err
		}
		r.closing = append(r.closing, closing{m.Status, m.From, m.To, roles})
	}
	return r, nil
}

func (m jsonMove) compile() (transition, error) {
	by, err := rolesNamed(m.By)
	return transition{to: Status(m.To), by: by, requires: m.Requires, unless: m.Unless}, err
}

func rolesNamed(names []string) (Roles, error) {
	var r Roles
	for _, name := range names {
		i := slices.Index(roleNames[:], name)
		if i < 0 {
			return 0, fmt.Errorf("there is no role %q", name)
		}
		r |= 1 << i
	}
	return r, nil
}

// from returns the transitions of a kind out of a status, by whomever.
func (t *table) from(kind Kind, from Status) []transition {
	moves := t.kinds[kind].moves[from]
	if from == StatusEnteredInError {
		return moves
	}
	return slices.Concat(moves, t.every)
}

// find returns the transition of a kind between two statuses.
func (t *table) find(kind Kind, from, to Status) (transition, bool) {
	moves := t.from(kind, from)
	i := slices.IndexFunc(moves, func(m transition) bool { return m.to == to })
	if i < 0 {
		return transition{}, false
	}
	return moves[i], true
}
