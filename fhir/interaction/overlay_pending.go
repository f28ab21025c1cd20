package interaction

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// An overlay is what the writes of one transaction add to what is stored. The own
// keys of all its versions count from the beginning: if one of them is refused, so are
// all. Gifts count when it has been decided that they may be given, so that
// none justifies itself. What the transaction takes away is taken away at its end,
// but for the resources that it deletes.
type overlay struct {
	own   map[access.Key][]access.Key // of what is written, as Itself
	gone  map[access.Key]bool         // what is deleted, as Itself
	made  map[string]bool             // what is created, as "Patient/1"
	gifts map[access.Key][]access.Key // by target
	memo  map[access.Key]*effective

	// Targets of gifts that were there before: all, those that are no resources, and
	// of these the parties.
	known, records, parties []access.Key
}

// An effective is what something is seen by: keys, and lists of them that are
// hashed.
type effective struct {
	there  bool
	keys   []access.Key
	hashed [][]int64
}

func newOverlay() *overlay {
	return &overlay{
		own: map[access.Key][]access.Key{}, gone: map[access.Key]bool{}, made: map[string]bool{}, gifts: map[access.Key][]access.Key{}, memo: map[access.Key]*effective{},
	}
}

// write adds the own keys of the version that k writes.
func (o *overlay) write(k *sketch) {
	if k.write.New == nil {
		o.gone[itself(k.Key)] = true
		return
	}
	o.own[itself(k.Key)] = k.write.New.Keys
	if k.Op == store.Create {
		o.made[k.Key.String()] = true
	}
}

// permit adds what was decided about k, and reports whether that is anything new.
func (o *overlay) permit(k *sketch) (news bool) {
	if k.write.New == nil {
		return false
	}
	if len(k.Author) > 0 {
		own := slices.Concat(k.write.New.Keys, k.Author)
		news = len(own) != len(o.own[itself(k.Key)])
		o.own[itself(k.Key)] = own
	}
	for _, g := range k.Allowed {
		keys := o.gifts[g.Target]
		if keys == nil {
			o.aim(g.Target)
		}
		if !slices.Contains(keys, g.Key) {
			o.gifts[g.Target], news = append(keys, g.Key), true
		}
	}
	return news
}

// aim notes a target that no gift has had yet.
func (o *overlay) aim(target access.Key) {
	if o.made[target.Of] {
		return
	}
	o.known = append(o.known, target)
	if target.Kind != access.Itself {
		o.records = append(o.records, target)
	}
	if target.Kind == access.Party {
		o.parties = append(o.parties, target)
	}
}

// effective returns what k stands for is seen by.
func (o *overlay) effective(f *facts, k access.Key) *effective {
	if e := o.memo[k]; e != nil {
		return e
	}
	e := &effective{}
	o.memo[k] = e
	if hashed, ok := f.known[k]; ok && !o.gone[k] {
		e.there, e.hashed = true, append(e.hashed, hashed)
	}
	if own, ok := o.own[k]; ok {
		e.there = true
		for _, q := range own {
			e.add(f, q)
		}
	}
	if e.there {
		e.lead(o, f, k)
	}
	return e
}

// add adds a key and what it is known to lead to.
func (e *effective) add(f *facts, k access.Key) {
	if slices.Contains(e.keys, k) {
		return
	}
	e.keys = append(e.keys, k)
	if hashed := f.known[k]; hashed != nil && k.Kind != access.Itself {
		e.hashed = append(e.hashed, hashed)
	}
}

// lead adds what the gifts of o give to what is k and has e. Gifts make no circles,
// so that this ends.
func (e *effective) lead(o *overlay, f *facts, k access.Key) {
	given := make([]access.Key, 0, 8)
	given = append(append(given, k), e.keys...)
	if k.Kind == access.Itself && strings.HasPrefix(k.Of, "Patient/") {
		given = append(given, access.Key{Kind: access.Record, Of: k.Of})
	}
	hidden := o.hidden(k)
	met := map[access.Key]bool{}
	for len(given) > 0 {
		for len(given) > 0 {
			target := given[0]
			given = given[1:]
			if met[target] {
				continue
			}
			met[target] = true
			for _, q := range o.gifts[target] {
				e.add(f, q)
				given = append(given, q)
			}
		}
		for _, target := range hidden {
			if !met[target] && e.meets(f.session.store, []access.Key{target}) {
				given = append(given, target)
			}
		}
	}
}

// hidden returns the targets of gifts that may be among the hashed keys of what k
// stands for, where they cannot be told from others but one by one. What is created
// by the transaction is no target there. Only a Binary is given the key Itself of others, and the
// one record that a Patient is part of is its own.
func (o *overlay) hidden(k access.Key) []access.Key {
	switch {
	case k.Kind != access.Itself || strings.HasPrefix(k.Of, "Patient/"):
		return o.parties
	case strings.HasPrefix(k.Of, "Binary/"):
		return o.known
	}
	return o.records
}

func (e *effective) meets(db *store.DB, any []access.Key) bool {
	return slices.ContainsFunc(e.keys, func(k access.Key) bool { return slices.Contains(any, k) }) ||
		slices.ContainsFunc(e.hashed, func(hashed []int64) bool { return db.Meets(hashed, any) })
}

// maxRounds bounds how often it is decided anew about writes because of gifts that
// others of the transaction may make.
const maxRounds = 16

// decideAll decides about all of some writes, of which the known facts tell beside
// what they tell of each other, and returns an error for each that is refused.
func (s *Session) decideAll(all []*sketch, f *facts) []error {
	f.pending = newOverlay()
	for _, k := range all {
		f.pending.write(k)
	}
	refused := make([]error, len(all))
	for round, news := 0, true; news && round < maxRounds; round++ {
		news = false
		for i, k := range all {
			if round == 0 || refused[i] != nil || len(k.Allowed) < len(k.Gifts) {
				refused[i] = s.decide(k, f)
			}
		}
		for i, k := range all {
			if refused[i] == nil && f.pending.permit(k) {
				news = true
			}
		}
		clear(f.pending.memo)
	}
	return refused
}
