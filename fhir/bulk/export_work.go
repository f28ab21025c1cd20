package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// exportPlace is how far an export is.
type exportPlace struct {
	Type    int   // place in the types
	Begun   bool  // something of it is planned, and Next is where the rest begins
	Next    int64 // RID
	Files   int
	Planned int64 // resources
}

func (p exportPlace) progress(a exportAsked) string {
	return fmt.Sprintf("%d of %d types are planned, %d resources so far", p.Type, len(a.Types), p.Planned)
}

// workExport plans an export, type by type.
func (e *Engine) workExport(ctx context.Context, j *job) error {
	w := exportWork{Engine: e, job: j}
	if err := json.Unmarshal(j.asked, &w.asked); err != nil {
		return fmt.Errorf("read an export: %w", err)
	}
	if err := json.Unmarshal(j.place, &w.place); err != nil {
		return fmt.Errorf("read the place of an export: %w", err)
	}
	for ; w.place.Type < len(w.asked.Types); w.advance() {
		g, err := e.Grants(ctx, j.holder)
		if err != nil {
			return err
		}
		typ := w.asked.Types[w.place.Type]
		g = exporting(g)
		if err := mayExport(g, []string{typ}); err != nil {
			return err
		}
		if err := w.plan(ctx, g, typ); err != nil {
			return err
		}
	}
	return e.store(ctx, j, step{place: w.place, done: true})
}

// An exportWork plans one export.
type exportWork struct {
	*Engine
	job   *job
	asked exportAsked
	place exportPlace

	// What is planned and not stored yet.
	versions, deletions store.List
}

func (w *exportWork) advance() {
	w.place.Type++
	w.place.Begun, w.place.Next = false, 0
}

// plan plans what is left of a type.
func (w *exportWork) plan(ctx context.Context, g access.Grant, typ string) error {
	x := store.Export{At: w.asked.At, Type: typ, Since: w.asked.Since, Patients: w.asked.Patients}
	for _, query := range w.asked.Filters[typ] {
		c, err := w.condition(ctx, typ, query, w.job.created)
		if err != nil {
			return err
		}
		x.Where = append(x.Where, c)
	}
	from := int64(store.PlanFrom)
	if w.place.Begun {
		from = w.place.Next
	}
	w.versions, w.deletions = nil, nil
	err := w.Store.PlanExport(ctx, g, x, from, func(p store.Planned) error {
		w.versions, w.deletions = append(w.versions, p.Versions...), append(w.deletions, p.Deletions...)
		for max(len(w.versions), len(w.deletions)) >= w.Part {
			if err := w.keep(ctx, typ, w.full()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.keep(ctx, typ, math.MaxInt64)
}

// full returns up to which RID the next file goes: where files end does not depend
// on how often the work was begun anew.
func (w *exportWork) full() int64 {
	last := int64(math.MaxInt64)
	for _, l := range []store.List{w.versions, w.deletions} {
		if len(l) >= w.Part {
			last = min(last, l[w.Part-1].RID)
		}
	}
	return last
}

// keep stores what is planned up to a RID.
func (w *exportWork) keep(ctx context.Context, typ string, last int64) error {
	var s step
	for _, of := range []struct {
		list *store.List
		kind string
		name string
	}{{&w.versions, outputKind, ""}, {&w.deletions, deletedKind, "deleted-"}} {
		n := sort.Search(len(*of.list), func(i int) bool { return (*of.list)[i].RID > last })
		if n == 0 {
			continue
		}
		w.place.Files++
		f := file{name: fmt.Sprintf("%s%s-%d.ndjson", of.name, typ, w.place.Files), kind: of.kind, typ: typ, nth: w.place.Files, count: int64(n)}
		s.files = append(s.files, f)
		s.pieces = append(s.pieces, piece{name: f.name, content: (*of.list)[:n].Append(nil)})
		*of.list = (*of.list)[n:]
		w.place.Planned += int64(n)
	}
	if w.place.Begun = last < math.MaxInt64; w.place.Begun {
		w.place.Next = last + 1
	}
	s.place = w.place
	if !w.place.Begun {
		done := w.place
		done.Type++
		done.Next = 0
		s.place = done
	}
	return w.store(ctx, w.job, s)
}

// render writes versions of a type as lines, as the export was asked for.
func (a *exportAsked) render(typ string) func([]byte, *store.Version) ([]byte, error) {
	names := append(a.Elements[""][:len(a.Elements[""]):len(a.Elements[""])], a.Elements[typ]...)
	selection := fhir.Selection{Elements: names}
	return func(dst []byte, v *store.Version) ([]byte, error) {
		shown, err := interaction.Harmless(v)
		if err != nil {
			return nil, err
		}
		v = shown
		switch {
		case v.Deleted():
			dst = append(dst, `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"`...)
			return append(append(dst, v.Key.String()...), "\"}}]}\n"...), nil
		case selection.All():
			return append(fhir.Stamp(dst, v.Stored, v.Key, fhir.Meta{Version: v.Number, Updated: v.Updated}), '\n'), nil
		}
		part, err := fhir.Subset(typ, v.Resource(), selection)
		if err != nil {
			return nil, err
		}
		return append(append(dst, part...), '\n'), nil
	}
}
