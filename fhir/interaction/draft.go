package interaction

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// A proposal is a version to be written.
type proposal struct {
	interaction access.Interaction
	key         fhir.Key
	op          store.Op
	resource    *fhir.Resource
	meta        bool    // only profiles, tags and labels differ from old
	old         *former // that it is to follow; nil for none, and not known to a trusted caller
}

// A former is the current version of a resource, which another one is to follow.
type former struct {
	*store.Version
	resource *fhir.Resource
}

// formerly decodes v; nil for none, and for a deletion.
func formerly(v *store.Version) (*former, error) {
	if v == nil || v.Deleted() {
		return nil, nil
	}
	r, err := fhir.Decode(v.Key.Type, v.Stored)
	return &former{v, r}, err
}

// A draft is a version that the caller may write.
type draft struct {
	store.Row
	hidden bool // its writer may not read it
}

// row makes p ready to be stored, if the caller may write it.
func (s *Session) row(ctx context.Context, p proposal) (draft, error) {
	if p.key == access.Published() {
		return draft{}, fhir.Errorf(fhir.Clash, fhir.Duplicate, p.key.Type+".id", "The server has a resource of its own under this id; choose another one.")
	}
	row, err := s.store.Row(p.key, p.op, p.resource)
	if err != nil {
		return draft{}, err
	}
	row.Origin = s.grant.Client()
	if row.Trail = s.trail(p.interaction, p.key); row.Trail != nil {
		row.Trail.Patients = subjects(row.Keys)
	}
	d := draft{Row: row}
	if s.grant.IsTrusted() {
		d.Allowed = row.Gifts
		return d, nil
	}
	return d, s.authorize(ctx, p, &d)
}

// subjects returns the ids of the patients in keys.
func subjects(keys []access.Key) []string {
	all := access.Subjects(keys)
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "Patient/")
	}
	return all
}

// authorize returns an Outcome unless the caller may write d, and completes it
// with what its writer gives it and may give to others.
func (s *Session) authorize(ctx context.Context, p proposal, d *draft) error {
	registry := s.store.Registry()
	w := access.Write{Interaction: p.interaction, Type: p.key.Type, Meta: p.meta, New: access.NewContent(d.Index, p.resource.Root())}
	w.New.Matches = matching(registry, d.Index)
	if w.New.Excess {
		return s.grant.MayWrite(w) // which refuses it, before anything is looked up
	}
	var err error
	if w.Old, err = s.before(registry, p.old); err != nil {
		return err
	}
	f, err := s.facts(ctx, &w)
	if err != nil {
		return err
	}
	if err := s.mayFile(p.key.Type, d.Index.Members); err != nil {
		return err
	}
	w.New.Given = func(any []access.Key) bool { return f.gives(w.New.Keys, any) || f.keeps(p.old, any) }
	if w.Old != nil {
		w.Old.Given = func(any []access.Key) bool { return f.gives(w.Old.Keys, any) || f.keeps(p.old, any) }
	}
	if err := s.grant.MayWrite(w); err != nil {
		return err
	}
	d.Author = s.grant.AuthorKeys(w)
	d.Allowed = s.grant.Gives(w, f.sees)
	d.hidden = !readable(s.grant.View(access.MayRead, p.key.Type), w.New, d.Author)
	return nil
}

// mayFile returns an Outcome when a patient, or who acts for one, files something
// with another patient, also where that would show it to nobody: staff would find
// it there.
func (s *Session) mayFile(typ string, with []search.Member) error {
	t := s.grant.Terms()
	if t.User.Type == "Practitioner" || t.User.Type == "PractitionerRole" || t.User.ID == "" && t.Patient.ID == "" {
		return nil
	}
	var own []string
	for _, b := range s.grant.View(anyPermission, typ) {
		own = append(own, access.Subjects(b.Parties)...)
	}
	for _, m := range with {
		if m.Compartment.Type == "Patient" && !slices.Contains(own, m.Compartment.String()) {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, typ, "You may write about yourself only, or whom you act for.")
		}
	}
	return nil
}

// readable reports whether v shows what has some content, and Author keys beside.
func readable(v access.View, c *access.Content, author []access.Key) bool {
	has := func(any []access.Key) bool {
		return slices.ContainsFunc(any, func(k access.Key) bool { return slices.Contains(c.Keys, k) || slices.Contains(author, k) })
	}
	return slices.ContainsFunc(v, func(b access.Branch) bool {
		return b.Admits(func(any []access.Key) bool { return has(any) || c.Given(any) }) && (len(b.Where) == 0 || c.Matches(b.Where))
	})
}

// before returns what the rules look at in the version that is to be followed, nil
// for none.
func (s *Session) before(registry *search.Registry, v *former) (*access.Content, error) {
	if v == nil {
		return nil, nil
	}
	ix, err := registry.Index(v.resource.Root(), v.Key.ID)
	if err != nil {
		return nil, fmt.Errorf("index version %d of a %s: %w", v.Number, v.Key.Type, err)
	}
	c := access.NewContent(ix, v.resource.Root())
	c.Matches = matching(registry, ix)
	return c, nil
}

// matching returns what says whether the conditions of a granular scope hold for
// the resource with index ix. Those that cannot be understood do not hold.
func matching(registry *search.Registry, ix *search.Index) func([]access.Argument) bool {
	return func(where []access.Argument) bool {
		return !slices.ContainsFunc(where, func(a access.Argument) bool {
			p := registry.Param(ix.Key.Type, a.Param)
			if p == nil || !p.Type.InScope() {
				return true
			}
			conditions, err := registry.Criteria(ix.Key.Type, url.QueryEscape(a.Param)+"="+url.QueryEscape(a.Value))
			return err != nil || len(conditions) == 0 || !search.Match(search.And(conditions), ix, nil)
		})
	}
}

// facts are what is known of the resources that a write names.
type facts struct {
	session *Session
	views   []access.Branch // by which the writer writes
	known   map[access.Key][]int64
}

// facts finds out, in one round trip, what the rules have to know of w, and tells
// w of the patients and authors.
func (s *Session) facts(ctx context.Context, w *access.Write) (*facts, error) {
	patients, authors := w.Asks()
	var of []access.Key
	for _, p := range patients {
		of = append(of, access.Key{Kind: access.Itself, Of: p}, access.Key{Kind: access.Record, Of: p})
	}
	for _, a := range authors {
		of = append(of, access.Key{Kind: access.Itself, Of: a.String()}, access.Key{Kind: access.Party, Of: a.String()})
	}
	for _, c := range [...]*access.Content{w.Old, w.New} {
		if c != nil {
			of = append(of, giftKeys(c)...)
		}
	}
	of = append(of, w.Names()...)
	f := &facts{session: s, views: s.grant.View(permission(w.Interaction), w.Type)}
	var err error
	if f.known, err = s.store.Known(ctx, unique(of)); err != nil {
		return nil, err
	}
	w.Patients, w.Records, w.Authors = map[string]bool{}, map[string]bool{}, map[fhir.Key]bool{}
	w.Sides = map[string][]string{}
	for _, p := range patients {
		w.Sides[p] = f.sides(p)
		w.Patients[p] = f.shows(f.views, access.Key{Kind: access.Itself, Of: p})
		w.Records[p] = f.shows(f.views, access.Key{Kind: access.Record, Of: p})
	}
	for _, a := range authors {
		w.Authors[a] = f.ours(a)
	}
	w.Things = map[access.Key]bool{}
	for _, k := range w.Names() {
		w.Things[k] = f.shows(f.views, k) || f.sees(k)
	}
	return f, nil
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

// shows reports whether one of branches shows what k stands for. Conditions on
// its content hold for none.
func (f *facts) shows(branches []access.Branch, k access.Key) bool {
	effective, there := f.known[k]
	if !there {
		return false
	}
	db := f.session.store
	return slices.ContainsFunc(branches, func(b access.Branch) bool {
		return b.Admits(func(any []access.Key) bool { return db.Meets(effective, any) })
	})
}

// sees reports whether the writer sees the target of a gift: the resource, by a
// scope for its type, or what has the key, by the scopes that they write by.
func (f *facts) sees(target access.Key) bool {
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
		if f.session.store.Meets(f.known[access.Key{Kind: access.Itself, Of: patient}], []access.Key{{Kind: access.Party, Of: "Organization/" + id}}) {
			all = append(all, id)
		}
	}
	return all
}

// ours reports whether an author is of the writer's organisations, or a patient
// that the writer sees.
func (f *facts) ours(author fhir.Key) bool {
	if author.Type == "Patient" {
		return f.shows(f.views, access.Key{Kind: access.Itself, Of: author.String()})
	}
	organizations := f.session.grant.Terms().Organizations
	if author.Type == "Organization" {
		return slices.Contains(organizations, author.ID)
	}
	var any []access.Key
	for _, id := range organizations {
		any = append(any, access.Key{Kind: access.Party, Of: "Organization/" + id})
	}
	db := f.session.store
	return db.Meets(f.known[access.Key{Kind: access.Itself, Of: author.String()}], any) || db.Meets(f.known[access.Key{Kind: access.Party, Of: author.String()}], any)
}

// gives reports whether what has one of keys is given any of some others.
func (f *facts) gives(keys, any []access.Key) bool {
	return slices.ContainsFunc(keys, func(k access.Key) bool { return f.session.store.Meets(f.known[k], any) })
}

// keeps reports whether a version that follows old keeps any of some Author keys.
func (f *facts) keeps(old *former, any []access.Key) bool {
	return old != nil && slices.ContainsFunc(any, func(k access.Key) bool {
		return k.Kind == access.Author && f.session.store.Meets(old.Keys, []access.Key{k})
	})
}
