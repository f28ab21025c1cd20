package interaction

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// keepsFiles reports whether the caller leaves files as they are that something has: everybody
// does but who administers the server.
func (s *Session) keepsFiles() bool { return !s.grant.IsTrusted() && !s.grant.Has(access.Administer) }

// files sees to it that what was sent stays as it is with its attachments, too.
func (k *talk) files(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if p.Key.Type != "Binary" || p.interaction == access.Create || p.err != nil || p.answered || p.current == nil {
			continue
		}
		if err := refuse(p, k.file(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

// file judges a change of one. A file has no parties of its own: if the caller takes part, it is
// in something that they take part in.
func (k *talk) file(ctx context.Context, p *part) error {
	itself := access.Key{Kind: access.Itself, Of: p.key.String()}
	known, err := k.at.Known(ctx, []access.Key{itself})
	if err != nil {
		return err
	}
	var parties []access.Key
	for _, at := range k.grant.Terms().Standings {
		for _, of := range slices.Concat(at.Parties, at.Within) {
			if of.Kind == access.Party || of.Kind == access.Patient {
				parties = append(parties, of)
			}
		}
	}
	if !k.Engine.store.Meets(known[itself], parties) {
		return nil
	}
	o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "Binary", "This file is attached to something, and stays as it is; send another one, or take back the message that has it.")
	o.Issues[0].Detail = "sent-message-immutable"
	return o
}
