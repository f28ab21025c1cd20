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
	dry         bool    // it is not stored
	old         *former // that it is to follow; nil for none, and not known to a trusted caller

	authored bool              // the server writes it along with something else
	amends   bool              // the rules of conversations let the caller change what was sent
	said     bool              // it is a message in a conversation, and may be
	shared   []access.Key      // Author keys that it gets beside those of the caller
	checked  bool              // it has been held against everything already, which gave notes
	notes    []fhir.Issue      // what is not good about it
	detail   map[string]string // for the audit
}

func (p *proposal) subscribing(g access.Grant) Subscribing {
	w := Subscribing{Grant: g, Key: p.key, New: p.resource, Dry: p.dry}
	if p.old != nil {
		w.Old = p.old.resource
	}
	return w
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
	hidden bool         // its writer may not read it
	notes  []fhir.Issue // what is not good about it
	large  string       // canonical URL of a code system that takes long to be made ready; empty for all else
}

// A sketch is a write of which it has to be decided yet if the caller may do it.
type sketch struct {
	draft
	write access.Write
	old   *former // that it follows or deletes; nil for none
	with  []search.Member
	share []access.Key // Author keys that it gets beside those of the caller
	asks  []access.Key // what has to be known to decide it; nil for a trusted caller
}

// row makes p ready to be stored, if the caller may write it.
func (s *Session) row(ctx context.Context, p proposal) (draft, error) {
	k, err := s.sketch(ctx, p)
	if err != nil {
		return draft{}, err
	}
	return k.draft, s.permit(ctx, s.store, k)
}

// sketch makes p ready to be stored.
func (s *Session) sketch(ctx context.Context, p proposal) (*sketch, error) {
	if isPublished(p.key) {
		return nil, fhir.Errorf(fhir.Clash, fhir.Duplicate, p.key.Type+".id", "The server has a resource of its own under this id; choose another one.")
	}
	if p.key.Type == "Subscription" && s.subscribe != nil {
		var err error
		if p.resource, err = s.subscribe(ctx, p.subscribing(s.grant)); err != nil {
			return nil, err
		}
	}
	var err error
	if !p.checked && !p.authored {
		if p.notes, err = s.check(ctx, &p); err != nil {
			return nil, err
		}
	}
	if !p.meta && !s.published {
		if p.resource, err = s.cleaned(ctx, p.resource); err != nil {
			return nil, err
		}
	}
	row, err := s.store.Row(p.key, p.op, p.resource)
	if err != nil {
		return nil, err
	}
	if !p.authored {
		row.Origin = s.grant.Client()
	}
	if row.Trail = s.trail(p.interaction, p.key); row.Trail != nil {
		row.Trail.Patients = subjects(row.Keys)
		for name, value := range p.detail {
			row.Trail.Detail = with(row.Trail.Detail, name, value)
		}
	}
	k := &sketch{draft: draft{Row: row, notes: p.notes, large: largeSystem(p.resource)}, old: p.old, with: row.Index.Members, share: p.shared}
	if s.grant.IsTrusted() || p.authored {
		k.Allowed = row.Gifts
		return k, nil
	}
	k.write = access.Write{Interaction: p.interaction, Type: p.key.Type, Meta: p.meta, Amends: p.amends, New: access.NewContent(row.Index, p.resource.Root())}
	k.write.New.Matches = matching(s.store.Registry(), row.Index)
	if k.write.New.Excess {
		return nil, s.grant.MayWrite(k.write) // which refuses it, before anything is looked up
	}
	return k, s.compare(k)
}

// erasing makes the deletion of v ready.
func (s *Session) erasing(v *store.Version) (*sketch, error) {
	old, err := formerly(v)
	if err != nil {
		return nil, fmt.Errorf("decode version %d of a %s: %w", v.Number, v.Key.Type, err)
	}
	k := &sketch{write: access.Write{Interaction: access.Delete, Type: v.Key.Type}, old: old}
	k.Row = store.Row{Key: v.Key, Op: store.Delete, Origin: s.grant.Client()}
	return k, s.compare(k)
}

// compare tells k of the version before, and finds out what it asks.
func (s *Session) compare(k *sketch) (err error) {
	if k.write.Old, err = s.before(s.store.Registry(), k.old); err == nil {
		k.asks = questions(&k.write)
	}
	return err
}

// permit returns an Outcome unless the caller may do k, and completes it. What has
// to be known for that is looked up in one round trip.
func (s *Session) permit(ctx context.Context, at ground, k *sketch) error {
	if s.grant.IsTrusted() {
		return nil
	}
	known, err := at.Known(ctx, unique(slices.Clone(k.asks)))
	if err != nil {
		return err
	}
	return s.decide(k, &facts{session: s, known: known})
}

// decide does so by what is known.
func (s *Session) decide(k *sketch, f *facts) error {
	w, old := &k.write, k.old
	own := f.of(w)
	if w.New != nil {
		if err := s.mayFile(w.Type, k.with); err != nil {
			return err
		}
		w.New.Given = func(any []access.Key) bool { return own.gives(w.New.Keys, any) || own.keeps(old, any) }
	}
	if w.Old != nil {
		w.Old.Given = func(any []access.Key) bool { return own.gives(w.Old.Keys, any) || own.keeps(old, any) }
	}
	if err := s.grant.MayWrite(*w); err != nil || w.New == nil {
		return err
	}
	k.Author = unique(append(s.grant.AuthorKeys(*w), k.share...))
	k.Allowed = s.grant.Gives(*w, own.sees)
	k.hidden = !readable(s.grant.View(access.MayRead, w.Type), w.New, k.Author)
	return nil
}

// subjects returns the ids of the patients in keys.
func subjects(keys []access.Key) []string {
	all := access.Subjects(keys)
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "Patient/")
	}
	return all
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
