package interaction

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// Bounds of a search for AuditEvents.
const (
	auditBatch = 500    // lines looked at together
	auditPage  = 20_000 // lines looked at for one page; what is behind them comes on the next one
	auditCount = 50_000 // lines looked at to count them
)

// keepsAudit reports whether AuditEvents are the server's own, made of what it
// records, rather than resources like others.
func (s *Session) keepsAudit(typ string) bool { return typ == auditType && s.store.Audits() }

// Recorded returns the type of resource that only the server itself writes, and empty when
// there is none.
func (e *Engine) Recorded() string {
	if e.store == nil || !e.store.Audits() {
		return ""
	}
	return auditType
}

// refuseAudit returns an Outcome when i would write AuditEvents, which only the
// server records.
func (s *Session) refuseAudit(i access.Interaction, typ string) error {
	if !s.keepsAudit(typ) {
		return nil
	}
	switch i {
	case access.Create, access.Update, access.Patch, access.Delete, access.Purge, MetaAdd, MetaDelete:
		return fhir.Errorf(fhir.Denied, fhir.NotSupported, "", "AuditEvents are recorded by the server itself, and nobody changes them; they can only be read and searched.")
	}
	return nil
}

// readAudit returns the AuditEvent k, or nil when there is none that the caller
// sees.
func (s *Session) readAudit(ctx context.Context, k fhir.Key) (*store.Version, error) {
	line, err := s.store.Line(ctx, k.ID)
	if line == nil || err != nil {
		return nil, err
	}
	found, err := s.eye(access.MayRead).look(ctx, []store.Line{*line})
	if len(found) == 0 || err != nil {
		return nil, err
	}
	v := found[0].version(found[0].resource)
	return &v, nil
}

// vread returns version n of k, whoever asks. An AuditEvent has one only.
func (s *Session) vread(ctx context.Context, k fhir.Key, n int) (*store.Version, error) {
	if !s.keepsAudit(k.Type) {
		return s.store.VRead(ctx, k, n)
	}
	v, err := s.readAudit(ctx, k)
	if err != nil || v == nil || v.Number != n {
		return nil, err
	}
	return v, nil
}

// readAt does so for the version that was current at a moment.
func (s *Session) readAt(ctx context.Context, k fhir.Key, at time.Time) (*store.Version, error) {
	if !s.keepsAudit(k.Type) {
		return s.store.ReadAt(ctx, k, at)
	}
	v, err := s.readAudit(ctx, k)
	if err != nil || v == nil || v.Updated.After(at) {
		return nil, err
	}
	return v, nil
}

// auditHistory returns the history of an AuditEvent: its one version.
func (s *Session) auditHistory(ctx context.Context, h store.History) (store.Page, error) {
	if h.ID == "" {
		return store.Page{}, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "AuditEvents never change, so they have no history; search for them by date instead.")
	}
	v, err := s.readAudit(ctx, fhir.Key{Type: h.Type, ID: h.ID})
	switch {
	case err != nil:
		return store.Page{}, err
	case v == nil:
		return store.Page{}, unknown(h.Type)
	}
	p := store.Page{Total: 1, Safe: v.Updated}
	if !v.Updated.Before(h.Since) && (h.To.IsZero() || v.Updated.Before(h.To)) && h.After == "" && h.Count > 0 {
		v.Fresh = true
		p.Versions = []store.Version{*v}
	}
	return p, nil
}

// mixesAudit returns an Outcome when q asks for AuditEvents along with something
// else, which cannot be answered together.
func (s *Session) mixesAudit(q *search.Query) error {
	if !s.store.Audits() || len(q.Types) == 1 && q.Types[0] == auditType {
		return nil
	}
	refused := func(name, instead string) error {
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http."+name, "AuditEvents are kept apart from resources: %s.", instead)
	}
	if slices.Contains(q.Types, auditType) {
		return refused("_type", "search for them alone")
	}
	for _, in := range q.Includes {
		if in.Reverse && in.Source == auditType {
			return refused("_revinclude", "search for those with entity=Type/id instead of including them")
		}
	}
	if slices.ContainsFunc(q.Where, hasAudit) {
		return refused("_has", "nothing can be searched by the AuditEvents that there are of it")
	}
	return nil
}

func hasAudit(c search.Condition) bool {
	switch c := c.(type) {
	case search.And:
		return slices.ContainsFunc(c, hasAudit)
	case search.Or:
		return slices.ContainsFunc(c, hasAudit)
	case search.Not:
		return hasAudit(c.Condition)
	case *search.Chain:
		return c.Target == auditType || hasAudit(c.Where)
	case *search.Has:
		return c.Source == auditType || hasAudit(c.Where)
	}
	return false
}

// searchAudit returns the page of q, a search for AuditEvents alone, that begins
// behind the position after. They come newest first, unless sorted by date. A page
// may hold fewer than were asked for, although more follow.
func (s *Session) searchAudit(ctx context.Context, q *search.Query, after string) (*store.Matches, error) {
	ascending, err := auditOrder(q)
	if err != nil {
		return nil, err
	}
	w := &auditWalk{session: s, eye: s.eye(access.MaySearch), query: q}
	w.lines.Ascending = ascending
	if w.lines.After, err = auditPosition(after); err != nil {
		return nil, err
	}
	if w.where, err = s.resolve(ctx, search.And(q.Where)); err != nil {
		return nil, err
	}
	w.narrow()
	return w.page(ctx)
}

// auditOrder reports whether q asks for the oldest first. It refuses what
// AuditEvents cannot be asked for.
func auditOrder(q *search.Query) (ascending bool, err error) {
	if len(q.Includes) > 0 {
		return false, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http._include", "Nothing can be included with AuditEvents; read what they refer to by itself.")
	}
	for i, o := range q.Sort {
		if i > 0 || o.Param.Code != "date" && o.Param.Code != "_lastUpdated" {
			return false, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http._sort", "AuditEvents are sorted by date only: send _sort=date, _sort=-date or nothing.")
		}
		ascending = !o.Descending
	}
	return ascending, nil
}

// auditPosition reads what a page of the audit ends with.
func auditPosition(text string) (*store.Line, error) {
	if text == "" {
		return nil, nil
	}
	at, seq, _ := strings.Cut(text, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	number, wrong := strconv.ParseInt(seq, 10, 64)
	if err != nil || wrong != nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link is not valid here any more; start again from the first page.")
	}
	return &store.Line{At: time.UnixMicro(micros), Seq: number}, nil
}

// An auditWalk is one search for AuditEvents while it runs.
type auditWalk struct {
	session  *Session
	eye      *eye
	query    *search.Query
	where    search.Condition // without chains
	lines    store.Lines
	examined int
	ended    bool
}

// page returns one page, and the total if it was asked for.
func (w *auditWalk) page(ctx context.Context) (*store.Matches, error) {
	m := &store.Matches{Total: -1}
	first := w.lines.After == nil
	for len(m.Versions) < w.query.Count && !w.ended && w.examined < auditPage {
		found, err := w.batch(ctx)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if len(m.Versions) == w.query.Count {
				m.Next = position(&found[i-1].Line)
				break
			}
			m.Versions = append(m.Versions, found[i].version(found[i].resource))
		}
	}
	if m.Next == "" && !w.ended && w.query.Count > 0 {
		m.Next = position(w.lines.After)
	}
	switch {
	case first && w.ended && m.Next == "":
		m.Total = len(m.Versions)
	case w.query.Total == search.TotalNone && w.query.Count > 0:
		return m, nil
	}
	if m.Total >= 0 && w.query.Count > 0 {
		return m, nil
	}
	return m, w.count(ctx, m)
}

func position(l *store.Line) string {
	return strconv.FormatInt(l.At.UnixMicro(), 10) + " " + strconv.FormatInt(l.Seq, 10)
}

// count counts the matches of all pages.
func (w *auditWalk) count(ctx context.Context, m *store.Matches) error {
	w.lines.After, w.ended, w.examined, m.Total = nil, false, 0, 0
	for !w.ended {
		if w.examined >= auditCount {
			if w.query.Total == search.TotalEstimate {
				m.Estimated = true
				return nil
			}
			return fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "http._total", "There are too many AuditEvents to count them: narrow the search by date or patient, or send _total=estimate.")
		}
		found, err := w.batch(ctx)
		if err != nil {
			return err
		}
		m.Total += len(found)
	}
	return nil
}

// batch returns what matches of the next lines.
func (w *auditWalk) batch(ctx context.Context) ([]seen, error) {
	w.lines.Limit = auditBatch
	if w.examined == 0 {
		w.lines.Limit = min(auditBatch, 2*w.query.Count+20)
	}
	lines, err := w.session.store.Lines(ctx, w.lines)
	if err != nil {
		return nil, err
	}
	w.ended = len(lines) < w.lines.Limit
	w.examined += len(lines)
	if len(lines) > 0 {
		w.lines.After = &lines[len(lines)-1]
	}
	found, err := w.eye.look(ctx, lines)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(f seen) bool { return !w.matches(f) }), nil
}

func (w *auditWalk) matches(f seen) bool {
	if k := w.query.Within; k != nil && !slices.Contains(f.index.Members, search.Member{Compartment: *k}) {
		return false
	}
	return search.Match(w.where, f.index, eventDocument{f.resource.Root()})
}

// An eventDocument answers for words. Chains are resolved before.
type eventDocument struct{ root fhir.Node }

// Words returns the words of the AuditEvent.
func (d eventDocument) Words(narrative bool) []string { return search.WordsOf(d.root, narrative) }

// Targets returns nothing.
func (d eventDocument) Targets(search.Reference, string) []search.Found { return nil }

// Sources returns nothing: no resource is found by an AuditEvent that it points to.
func (d eventDocument) Sources(string, *search.Param) []search.Found { return nil }

// Listed returns false.
func (d eventDocument) Listed(string) bool { return false }
