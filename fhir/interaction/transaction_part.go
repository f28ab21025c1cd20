package interaction

import (
	"context"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// A part is an Entry while its transaction is performed.
type part struct {
	*Entry
	n           int
	interaction access.Interaction
	newID       string         // of what it creates
	linked      *fhir.Resource // the resource with its links to other entries
	criteria    int            // which of the criteria of the transaction are its own, if it is conditional
	earlier     *store.Version // of a vread: the version, if there was one before
	recorded    bool           // err is in the audit
	minded      bool           // the rules of conversations look at it
	attempt
}

// An attempt is what may be otherwise when a part is performed once more.
type attempt struct {
	key      fhir.Key       // what it is about, with an id as soon as that is known
	next     int            // number of the version that it writes, if that is known
	current  *store.Version // what it follows, deletes or has found; nil for none
	proposal *proposal      // of its write; nil for a deletion, and where there is nothing to write
	sketch   *sketch        // of its write
	links    []Link         // what else comes of it
	advice   []fhir.Issue   // what its sender has to know
	expect   store.Expect   // what the write demands
	answered bool           // there is nothing to write
	reply    Reply
	err      error // why it cannot be performed
}

// part returns the part of entry n, with an Outcome in it if the caller may not
// do such things at all.
func (t *transaction) part(ctx context.Context, n int) part {
	p := part{Entry: &t.Entries[n], n: n, criteria: -1}
	p.interaction = interactionOf(p.Entry)
	if p.interaction == access.Create || p.Conditional && p.interaction == access.Update {
		p.newID = t.newID()
	}
	p.restart()
	switch {
	case p.Problem != nil:
		p.err = p.Problem
	case p.Conditional:
		p.err = t.mayFind(p.interaction, p.Key.Type)
	case p.Reading != nil && p.Reading.Page != nil:
		p.err = t.maySearch(p.Reading.Page.Types)
	default:
		p.err = t.Allow(p.interaction, p.Key)
	}
	p.recorded = p.err != nil && p.Problem == nil
	if p.err == nil && p.interaction == access.Update && !p.Conditional {
		p.err = hasID(p.Resource, p.Key.ID)
	}
	if p.err == nil && t.Past {
		p.err = t.mayBePast(&p)
	}
	p.minded = p.err == nil && t.minds(ctx, p.Entry)
	return p
}

func interactionOf(e *Entry) access.Interaction {
	switch e.Method {
	case "POST":
		if e.Reading == nil {
			return access.Create
		}
	case "PUT":
		return access.Update
	case "PATCH":
		return access.Patch
	case "DELETE":
		return access.Delete
	}
	switch {
	case e.Reading == nil || e.Reading.Page == nil && e.Reading.Version == 0:
		return access.Read
	case e.Reading.Page == nil:
		return access.VRead
	case len(e.Reading.Page.Types) == 0:
		return access.SearchSystem
	}
	return access.SearchType
}

// restart forgets what an earlier attempt has found out.
func (p *part) restart() {
	p.attempt = attempt{key: p.Key}
	if p.interaction == access.Create {
		p.key.ID, p.next = p.newID, 1
	}
}

// about returns what the audit says that the part is about.
func (p *part) about() fhir.Key {
	if p.reply.Key.ID != "" {
		return p.reply.Key
	}
	return ours(p.Key)
}

// needsCurrent reports whether the current version has to be known to write.
func (t *transaction) needsCurrent(p *part) bool {
	switch {
	case p.Reading != nil || p.err != nil || p.key.ID == "":
		return false
	case p.interaction == access.Create:
		return p.answered && !t.grant.IsTrusted() // to say whether it is Hidden
	case p.interaction == access.Delete:
		return !t.grant.IsTrusted() || t.store.Audits() || t.judges(p)
	case p.interaction == access.Patch || t.judges(p):
		return true
	}
	return !t.grant.IsTrusted() || t.links.versions
}

// look looks up the current versions of what is to be changed, in one round trip.
func (t *transaction) look(ctx context.Context, at ground, parts []*part) error {
	of, all := make([]fhir.Key, 0, len(parts)), make([]*part, 0, len(parts))
	for _, p := range parts {
		if t.needsCurrent(p) {
			of, all = append(of, p.key), append(all, p)
		}
	}
	if len(of) == 0 {
		return nil
	}
	current, err := at.Current(ctx, uniqueNames(of))
	if err != nil {
		return err
	}
	for _, p := range all {
		v := current[p.key]
		if p.current != nil && p.interaction != access.Create && (v == nil || v.Number != p.current.Number) {
			return errRaced // what the criteria have found need not be what they find now
		}
		p.current, p.next = v, 1
		if v != nil {
			p.next = v.Number + 1
		}
	}
	return nil
}

// propose finds out what p is to write.
func (t *transaction) propose(p *part) (err error) {
	switch p.interaction {
	case access.Delete:
		return t.outlineDeletion(p)
	case access.Create:
		if p.answered && !t.grant.IsTrusted() {
			seen, err := t.seen(access.MayRead, p.current)
			if err != nil {
				return err
			}
			p.reply.Hidden = seen == nil
		}
		p.expect = store.Absent
		p.proposal = &proposal{interaction: access.Create, key: fhir.Key{Type: p.Key.Type, ID: p.newID}, op: store.Create, resource: p.linked, dry: t.Dry}
		return nil
	}
	return t.proposeChange(p)
}

// proposeChange does so for an update or a patch.
func (t *transaction) proposeChange(p *part) (err error) {
	c := change{interaction: p.interaction, key: p.key, op: store.Update, expect: p.Expect, creates: p.interaction == access.Update && !p.Conditional,
		next: func(*store.Version) (*fhir.Resource, error) { return p.linked, nil }}
	if p.interaction == access.Patch {
		c.op, c.next = store.Patch, func(v *store.Version) (*fhir.Resource, error) {
			r, err := patched(v, *p.Patch)
			if err != nil {
				return nil, err
			}
			return t.relinked(p, r)
		}
	}
	next := proposal{interaction: access.Create, key: p.key, op: store.Update, resource: p.linked}
	v := p.current
	switch {
	case p.creates():
		p.expect = store.Absent
	case t.grant.IsTrusted() && p.interaction == access.Update && !p.Conditional && !t.judges(p):
		next.interaction, p.expect = p.interaction, p.Expect
		if t.links.versions && p.Expect == store.Anything {
			p.expect = after(v) // which others may name
		}
	default:
		if v, err = t.changeable(c, v); err != nil {
			return err
		}
		if next, err = t.following(c, v); err != nil {
			return err
		}
		p.expect = after(v)
	}
	next.dry, p.proposal = t.Dry, &next
	return nil
}

// outline makes the sketch of what p writes.
func (t *transaction) outline(ctx context.Context, p *part) (err error) {
	if p.proposal != nil && !(p.answered && p.interaction != access.Create) {
		if p.sketch, err = t.sketch(ctx, *p.proposal); err != nil {
			return err
		}
		p.sketch.notes = append(p.sketch.notes, p.advice...)
	}
	if p.sketch != nil && t.Past {
		p.sketch.Past = true
	}
	return nil
}

// creates reports whether the part is an update whose criteria have found nothing.
func (p *part) creates() bool {
	return p.Conditional && p.interaction == access.Update && p.current == nil
}

// outlineDeletion does so for a deletion.
func (t *transaction) outlineDeletion(p *part) (err error) {
	if p.answered {
		return nil
	}
	v := p.current
	if t.grant.IsTrusted() {
		p.expect = p.Expect
		if p.Conditional {
			p.expect = after(v)
		}
		p.sketch = &sketch{draft: draft{Row: store.Row{Key: p.key, Op: store.Delete, Origin: t.grant.Client(), Trail: t.erasure(p.key, v)}}}
		return nil
	}
	if v, err = t.deletable(p.key, v); err != nil {
		return err
	}
	if v == nil || v.Deleted() {
		p.answered, p.reply.Result = true, nothing(p.key, v)
		return nil
	}
	if p.sketch, err = t.erasing(v); err != nil {
		return err
	}
	p.sketch.Trail = t.erasure(p.key, v)
	p.expect = after(v)
	if p.Expect > 0 && p.Expect != p.expect {
		return stale(store.Written{})
	}
	return nil
}

// settle tells p what came of its write. It reports whether somebody else came
// between, so that all has to be done anew.
func (p *part) settle(w store.Written) (raced bool) {
	if w.Outcome == store.Mismatch && p.Expect == store.Anything {
		if !p.creates() || p.Resource.ID() == "" {
			return true
		}
		p.err = fhir.Errorf(fhir.Clash, fhir.Duplicate, p.Key.Type+".id", "Another %s has this id, and the criteria do not find it; choose another id, or leave it out.", p.Key.Type)
		return false
	}
	p.reply.Result, p.err = settle(p.sketch.Row, w)
	p.reply.Hidden, p.reply.Notes, p.reply.Links = p.sketch.hidden, p.sketch.notes, p.links
	return false
}

// problems returns what is wrong with the parts, nil for nothing. A fault comes
// before all Outcomes.
func (t *transaction) problems() error {
	var all *fhir.Outcome
	for i := range t.parts {
		p := &t.parts[i]
		if p.err == nil {
			continue
		}
		o := fhir.AsOutcome(p.err)
		if o == nil {
			return fmt.Errorf("entry %d: %w", i, p.err)
		}
		if t.Single {
			return p.err
		}
		if all == nil {
			all = &fhir.Outcome{Class: o.Class}
		}
		for _, issue := range o.Issues {
			issue.Expression = p.place(o.Class, issue.Expression)
			all.Issues = append(all.Issues, issue)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// place returns where in the Bundle something is that has an expression in the entry's own
// resource, or none.
func (p *part) place(c fhir.Class, expression string) string {
	at := fmt.Sprintf("Bundle.entry[%d]", p.n)
	switch rest, is := strings.CutPrefix(expression, p.Key.Type); {
	case strings.HasPrefix(expression, "Bundle.entry["):
		return expression
	case strings.HasPrefix(expression, "http"):
		return at + ".request.url"
	case expression != "" && is && p.Key.Type != "" && (rest == "" || rest[0] == '.'):
		return at + ".resource" + rest
	case c == fhir.Stale && p.Expect != store.Anything:
		return at + ".request.ifMatch"
	}
	return at + ".request.url"
}
