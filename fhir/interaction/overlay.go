package interaction

import (
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// A ground is where it is looked up what is stored: the database, or a transaction
// that sees what it has written itself.
type ground interface {
	Current(context.Context, []fhir.Key) (map[fhir.Key]*store.Version, error)
	Known(context.Context, []access.Key) (map[access.Key][]int64, error)
	Matching(ctx context.Context, typ, query string, n int) ([]store.Version, error)
}

// facts are what is known of the resources that some writes name.
type facts struct {
	session *Session
	known   map[access.Key][]int64
	pending *overlay // nil without other writes beside the one that is asked about
}

// questions returns what has to be known to decide about w.
func questions(w *access.Write) []access.Key {
	patients, authors := w.Asks()
	of := make([]access.Key, 0, 2*len(patients)+2*len(authors)+8)
	for _, p := range patients {
		of = append(of, access.Key{Kind: access.Itself, Of: p}, access.Key{Kind: access.Record, Of: p})
	}
	for _, a := range authors {
		of = append(of, itself(a), access.Key{Kind: access.Party, Of: a.String()})
	}
	for _, c := range [...]*access.Content{w.Old, w.New} {
		if c != nil {
			of = append(of, giftKeys(c)...)
		}
	}
	return append(of, w.Names()...)
}

// giftKeys returns what c gives to, and the keys by which others may give to it.
func giftKeys(c *access.Content) []access.Key {
	var of []access.Key
	for _, g := range c.Gifts {
		of = append(of, g.Target)
	}
	for _, k := range c.Keys {
		if k.Kind == access.Record || k.Kind == access.Party {
			of = append(of, k)
		}
	}
	return of
}

func unique(keys []access.Key) []access.Key {
	slices.SortFunc(keys, func(a, b access.Key) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Of, b.Of)
	})
	return slices.Compact(keys)
}

// A knowing is what facts say to the writer of one write.
type knowing struct {
	*facts
	views []access.Branch // by which it is written
}

// of tells w of the patients and authors in it, and of what it takes along.
func (f *facts) of(w *access.Write) knowing {
	of := knowing{f, f.session.grant.View(permission(w.Interaction), w.Type)}
	patients, authors := w.Asks()
	w.Patients, w.Records, w.Authors = map[string]bool{}, map[string]bool{}, map[fhir.Key]bool{}
	w.Sides = map[string][]string{}
	for _, p := range patients {
		w.Sides[p] = of.sides(p)
		w.Patients[p] = of.shows(of.views, access.Key{Kind: access.Itself, Of: p})
		w.Records[p] = of.shows(of.views, access.Key{Kind: access.Record, Of: p})
	}
	for _, a := range authors {
		w.Authors[a] = of.ours(a)
	}
	w.Things = map[access.Key]bool{}
	for _, k := range w.Names() {
		w.Things[k] = of.shows(of.views, k) || of.sees(k)
	}
	return of
}

// permission returns what a scope must allow for a write.
func permission(i access.Interaction) access.Permission {
	switch i {
	case access.Create:
		return access.MayCreate
	case access.Delete:
		return access.MayDelete
	}
	return access.MayUpdate
}

// meets reports whether what k stands for has any of some keys.
func (f *facts) meets(k access.Key, any []access.Key) bool {
	if f.pending == nil {
		return f.session.store.Meets(f.known[k], any)
	}
	return f.pending.effective(f, k).meets(f.session.store, any)
}

// has reports whether there is what k stands for.
func (f *facts) has(k access.Key) bool {
	if f.pending == nil {
		_, there := f.known[k]
		return there
	}
	return f.pending.effective(f, k).there
}

// shows reports whether one of branches shows what k stands for. Conditions on
// its content hold for none.
func (f *facts) shows(branches []access.Branch, k access.Key) bool {
	return f.has(k) && slices.ContainsFunc(branches, func(b access.Branch) bool {
		return b.Admits(func(any []access.Key) bool { return f.meets(k, any) })
	})
}

// sees reports whether the writer sees the target of a gift: the resource, by a
// scope for its type, or what has the key, by the scopes that they write by.
func (f knowing) sees(target access.Key) bool {
	if target.Kind != access.Itself {
		return f.shows(f.views, target)
	}
	typ, _, _ := strings.Cut(target.Of, "/")
	whole := slices.DeleteFunc(f.session.grant.View(anyPermission, typ), func(b access.Branch) bool { return len(b.Where) > 0 })
	return f.shows(whole, target)
}

// sides returns the ids of those of the writer's organisations that a patient is
// shown to.
func (f *facts) sides(patient string) []string {
	var all []string
	for _, id := range f.session.grant.Terms().Organizations {
		if f.meets(access.Key{Kind: access.Itself, Of: patient}, []access.Key{{Kind: access.Party, Of: "Organization/" + id}}) {
			all = append(all, id)
		}
	}
	return all
}

// ours reports whether an author is of the writer's organisations, or a patient
// that the writer sees.
func (f knowing) ours(author fhir.Key) bool {
	if author.Type == "Patient" {
		return f.shows(f.views, itself(author))
	}
	organizations := f.session.grant.Terms().Organizations
	if author.Type == "Organization" {
		return slices.Contains(organizations, author.ID)
	}
	var any []access.Key
	for _, id := range organizations {
		any = append(any, access.Key{Kind: access.Party, Of: "Organization/" + id})
	}
	return f.meets(itself(author), any) || f.meets(access.Key{Kind: access.Party, Of: author.String()}, any)
}

// gives reports whether what has one of keys is given any of some others.
func (f *facts) gives(keys, any []access.Key) bool {
	return slices.ContainsFunc(keys, func(k access.Key) bool { return f.meets(k, any) })
}

// keeps reports whether a version that follows old keeps any of some Author keys.
func (f *facts) keeps(old *former, any []access.Key) bool {
	return old != nil && slices.ContainsFunc(any, func(k access.Key) bool {
		return k.Kind == access.Author && f.session.store.Meets(old.Keys, []access.Key{k})
	})
}
