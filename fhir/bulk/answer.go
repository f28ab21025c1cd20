package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// A shown is what of a resource in an answer says which version it is of what.
type shown struct {
	ResourceType, ID string
	Meta             struct{ VersionID string }
	Entry            []struct{ Resource *shown }
}

// versions adds the stored versions in s to all. A Bundle that is stored itself is
// one of them, whatever it has in it.
func (s *shown) versions(all []store.Version) []store.Version {
	if s == nil {
		return all
	}
	if n, err := strconv.Atoi(s.Meta.VersionID); err == nil && s.ID != "" {
		return append(all, store.Version{Key: fhir.Key{Type: s.ResourceType, ID: s.ID}, Number: n})
	}
	for _, e := range s.Entry {
		all = e.Resource.versions(all)
	}
	return all
}

// mayHave returns an Outcome when g may not read now what the answer of j shows, which
// was made for a holder. What is no resource, as AuditEvents are not, is for that holder
// only: it cannot be asked again who sees it.
func (e *Engine) mayHave(ctx context.Context, g access.Grant, j *Job, holder string) error {
	if g.IsTrusted() || j.Answer == nil {
		return nil
	}
	var answer shown
	if err := json.Unmarshal(j.Answer, &answer); err != nil {
		return fmt.Errorf("read the answer of a job: %w", err)
	}
	var stored []store.Version
	for _, v := range answer.versions(nil) {
		if v.Key.Type != "AuditEvent" || !e.Store.Audits() {
			stored = append(stored, v)
		} else if g.Terms().Holder != holder {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "This was asked with another token, and shows what only that may read. Send the request again.")
		}
	}
	return e.Engine.For(g, interaction.Origin{}).StillReads(ctx, stored)
}
