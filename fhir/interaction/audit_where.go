package interaction

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// maxChained is how many resources a chain may lead to.
const maxChained = 500

// resolve returns c with the references that its chains lead to in their place.
func (s *Session) resolve(ctx context.Context, c search.Condition) (search.Condition, error) {
	switch c := c.(type) {
	case search.And:
		parts, err := s.resolveAll(ctx, c)
		return search.And(parts), err
	case search.Or:
		parts, err := s.resolveAll(ctx, c)
		return search.Or(parts), err
	case search.Not:
		part, err := s.resolve(ctx, c.Condition)
		return search.Not{Condition: part}, err
	case *search.Chain:
		return s.chained(ctx, c)
	case *search.Has, search.Listed:
		return nil, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http._has", "AuditEvents are found neither by what refers to them nor by lists; leave _has and _list out.")
	}
	return c, nil
}

func (s *Session) resolveAll(ctx context.Context, all []search.Condition) ([]search.Condition, error) {
	parts := make([]search.Condition, len(all))
	for i, c := range all {
		var err error
		if parts[i], err = s.resolve(ctx, c); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// chained returns a condition for the resources that the caller sees at the end of
// a chain.
func (s *Session) chained(ctx context.Context, c *search.Chain) (search.Condition, error) {
	found, err := s.store.Search(ctx, s.grant, &search.Query{Types: []string{c.Target}, Where: []search.Condition{c.Where}, Count: maxChained}, "")
	if err != nil {
		return nil, err
	}
	if found.Next != "" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "http."+c.Name, "%s leads to more than %d resources; narrow it.", c.Name, maxChained)
	}
	if len(found.Versions) == 0 {
		return search.Or{}, nil
	}
	var to search.AskedReference
	for _, v := range found.Versions {
		to.Keys = append(to.Keys, v.Key)
	}
	return &search.Test{Param: c.Param, Values: []search.Asked{to}, Name: c.Name}, nil
}

// narrow makes the database look at those lines only that can match: by patient,
// by what was touched, by when and by what was done. What is found is matched afterwards.
func (w *auditWalk) narrow() {
	if k := w.query.Within; k != nil && k.Type == "Patient" {
		w.lines.About = append(w.lines.About, []fhir.Key{*k})
	}
	// The zero search.And of a search without conditions has none.
	all, _ := w.where.(search.And)
	var coded []search.Condition
	for _, c := range all {
		switch c := c.(type) {
		case search.Updated:
			w.between(c.Values)
		case *search.Test:
			if c.Modifier != search.Plain {
				break
			}
			switch c.Param.Code {
			case "patient", "entity":
				w.about(c.Values)
			case "date":
				w.between(c.Values)
			case "agent":
				w.by(c.Values)
			case "type", "subtype", "action":
				coded = append(coded, c)
			}
		}
	}
	w.viewed()
	w.done(coded)
}

// about asks for lines about one of some resources. Whoever acted as a patient is
// found the same way.
func (w *auditWalk) about(values []search.Asked) {
	var keys []fhir.Key
	for _, v := range values {
		ref, ok := v.(search.AskedReference)
		if !ok || len(ref.Keys) == 0 {
			return
		}
		keys = append(keys, ref.Keys...)
	}
	w.lines.About = append(w.lines.About, keys)
}

// by asks for lines of what one of some people did. Organisations and clients are
// left for later.
func (w *auditWalk) by(values []search.Asked) {
	var agents []string
	for _, v := range values {
		ref, ok := v.(search.AskedReference)
		if !ok || len(ref.Keys) == 0 {
			return
		}
		for _, k := range ref.Keys {
			if k.Type == "Organization" {
				return
			}
			agents = append(agents, k.String())
		}
	}
	w.lines.Agents = agents
}

// between asks for lines from the time that one of values may mean. Values are
// compared to the end of the second that they begin in, and more.
func (w *auditWalk) between(values []search.Asked) {
	if len(values) != 1 {
		return
	}
	asked, ok := values[0].(search.AskedRange)
	if !ok {
		return
	}
	const margin = 2 * time.Second
	switch asked.Prefix {
	case search.Greater, search.GreaterOrEqual, search.StartsAfter, search.Equal, search.Approximately:
		if t, ok := moment(asked.Lo); ok {
			w.lines.From = later(w.lines.From, t.Add(-margin))
		}
	}
	switch asked.Prefix {
	case search.Less, search.LessOrEqual, search.EndsBefore, search.Equal, search.Approximately:
		if t, ok := moment(asked.Hi); ok {
			w.lines.To = earlier(w.lines.To, t.Add(margin))
		}
	}
}

// moment returns the time of microseconds since 1970, unless it is out of all
// that can be recorded.
func moment(micros float64) (time.Time, bool) {
	const farthest = 1e17
	return time.UnixMicro(int64(micros)), math.Abs(micros) < farthest
}

func later(a, b time.Time) time.Time {
	if a.IsZero() || b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// viewed asks for lines about the patients that the caller asks as, if they see
// no others.
func (w *auditWalk) viewed() {
	var keys []fhir.Key
	for _, v := range w.eye.viewers {
		if v.All || len(v.organizations) > 0 || len(v.given()) > 0 || len(v.themselves) == 0 || v.user != "" && !strings.HasPrefix(v.user, "Patient/") {
			return
		}
		for _, id := range v.themselves {
			keys = append(keys, patientKey(id))
		}
		if user, ok := strings.CutPrefix(v.user, "Patient/"); ok {
			keys = append(keys, patientKey(user))
		}
	}
	w.lines.About = append(w.lines.About, keys)
}

// done leaves out the lines of interactions whose AuditEvents cannot match: all of
// one have the same type, subtypes and action.
func (w *auditWalk) done(coded []search.Condition) {
	if len(coded) == 0 {
		return
	}
	for _, i := range recorded() {
		r, err := auditEvent(sighting{Line: store.Line{Trail: store.Trail{Interaction: string(i)}}}, "")
		if err != nil {
			return // none is left out
		}
		ix, err := w.eye.index(r.Root(), "")
		if err != nil {
			return
		}
		if !search.Match(search.And(coded), ix, nil) {
			w.lines.Except = append(w.lines.Except, string(i))
		}
	}
}

// recorded returns the interactions that are recorded most.
func recorded() []access.Interaction {
	return []access.Interaction{
		access.Read, access.VRead, access.Create, access.Update, access.Patch, access.Delete, access.HistoryInstance, access.HistoryType,
		access.HistorySystem, access.SearchType, access.SearchSystem, access.Purge, SignIn, SignOut, TokenIssued, Refused,
	}
}
