package interaction

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir/store"
)

// disclosed records that the caller was given what t says and m holds, or that err
// came of it, and returns err, or why it cannot be recorded. Whoever has it may keep
// it, so it counts as an export of what it holds.
func (s *Session) disclosed(ctx context.Context, t *store.Trail, query string, m *store.Matches, err error) error {
	if t == nil {
		return err
	}
	t.Detail = map[string]string{queryDetail: query}
	ids := []string{}
	if t.Key.ID != "" {
		ids = append(ids, t.Key.ID)
	}
	var failed error
	if m != nil {
		ids, failed = s.patientsIn(ctx, s.store, ids, slices.Concat(m.Versions, m.Included))
	}
	if t.Patients = ids; failed == nil {
		failed = s.record(ctx, t, err)
	}
	if failed != nil {
		return failed
	}
	return err
}
