package interaction

import (
	"context"
	"net/url"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// InstallPackage stores the definitions of a package.
const InstallPackage access.Interaction = "install-package"

// An Installation says what came of a package.
type Installation struct {
	Created, Updated, Unchanged int
	Problems                    []fhir.Issue // each begins with the name of the file that it is about
}

// MayInstall returns an Outcome of class Denied unless the caller may install packages.
func (s *Session) MayInstall() error { return s.Allow(InstallPackage, fhir.Key{}) }

// Install stores what a package defines, each under its canonical URL and version: what
// is there already becomes a further version only if it differs. Examples are left
// out. It is the administrator's. What a file is refused for is one of the Problems,
// and the others are stored.
//
// What is published is taken as it is: only its structure is checked, since packages
// break the rules for definitions more often than not, and are of use all the same.
func (s *Session) Install(ctx context.Context, p *definition.Package) (Installation, error) {
	done := Installation{Problems: p.Problems}
	if err := s.MayInstall(); err != nil {
		return done, err
	}
	plain := *s
	plain.published = true
	for _, f := range p.Contents {
		r, err := plain.installFile(ctx, f)
		o := fhir.AsOutcome(err)
		switch {
		case o != nil && o.Class != fhir.Unavailable && o.Class != fhir.Full:
			for _, i := range o.Issues {
				i.Text = f.Name + ": " + i.Text
				done.Problems = append(done.Problems, i)
			}
		case err != nil:
			return done, err
		case r.Outcome == store.Created:
			done.Created++
		case r.Outcome == store.Unchanged:
			done.Unchanged++
		default:
			done.Updated++
		}
	}
	return done, nil
}

// installFile stores one file of a package.
func (s *Session) installFile(ctx context.Context, f definition.File) (Result, error) {
	root := f.Resource.Root()
	criteria := "url=" + url.QueryEscape(search.Escape(root.Child("url").Text()))
	if v := root.Child("version").Text(); v != "" {
		criteria += "&version=" + url.QueryEscape("|"+search.Escape(v))
	}
	return s.UpdateIf(ctx, f.Resource, Target{Type: f.Resource.Type(), Criteria: criteria, Expect: store.Anything})
}
