package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// Cleaned is Session.cleaned.
func Cleaned(ctx context.Context, s *Session, r *fhir.Resource) (*fhir.Resource, error) {
	return s.cleaned(ctx, r)
}
