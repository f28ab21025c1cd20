package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// ProcessResponse is the operation that takes a response as a create does, and answers with what
// came of it.
const ProcessResponse access.Interaction = "process-response"

// Processed is what has come of a response, as far as the caller may read it.
type Processed struct {
	Response        fhir.Key
	Task            fhir.Key // empty when it started no consultation
	Priority        string   // of the Task
	Due             string   // when the Task is due, a dateTime; may be empty
	Acknowledgement fhir.Key // a Communication; empty for none
	Text            string   // of the acknowledgement
	Advice          []fhir.Issue
}

// Processed returns what has come of a response that was created with a result.
func (s *Session) Processed(ctx context.Context, of Result) (Processed, error) {
	p := Processed{Response: of.Key, Advice: of.Notes}
	var ask []fhir.Key
	for _, l := range of.Links {
		ask = append(ask, l.Key)
	}
	if len(ask) == 0 {
		return p, nil
	}
	found, err := s.store.Current(ctx, ask)
	if err != nil {
		return p, fmt.Errorf("look up what came of a response: %w", err)
	}
	for _, l := range of.Links {
		v, err := s.seen(access.MayRead, found[l.Key])
		if err != nil {
			return p, err
		}
		r, err := formerly(v)
		if err != nil {
			return p, fmt.Errorf("decode a %s: %w", l.Key.Type, err)
		}
		if r == nil {
			continue
		}
		switch root := r.resource.Root(); l.Rel {
		case "task":
			p.Task, p.Priority, p.Due = l.Key, root.Child("priority").Text(), root.Child("restriction").Child("period").Child("end").Text()
		case "acknowledgement":
			p.Acknowledgement, p.Text = l.Key, root.Child("payload").Child("content").Text()
		}
	}
	return p, nil
}
