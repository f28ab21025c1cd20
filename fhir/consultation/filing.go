package consultation

import (
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

const conversionURL = extensionBase + "conversion-authorisation"

// AuthorisesConversion reports whether a ServiceRequest for advice says that whoever is asked
// may make a referral of it: the extension conversion-authorisation.
func AuthorisesConversion(request fhir.Node) bool {
	value := request.Extension(conversionURL).Child("value")
	if value.IsZero() {
		return false
	}
	if value.Property() == "valueCoding" {
		return value.Child("code").Text() == "AUTHORISED_TO_CONVERT"
	}
	return slices.ContainsFunc(slices.Collect(value.Each("coding")), func(c fhir.Node) bool { return c.Child("code").Text() == "AUTHORISED_TO_CONVERT" })
}

// A Filing is an output filed-to-record that is added to a Task: it has gone into the record of a
// clinical system.
type Filing struct {
	Task        Task           // as it is to be stored
	Unverified  bool           // nobody knows for sure who the patient is
	Provenances []fhir.Node    // that are stored in the same transaction
	Current     map[string]int // the numbers of the current versions of what they name: "QuestionnaireResponse/1"
	Base        string
}

// Sources returns which versions some Provenances say that something was made from, as
// "QuestionnaireResponse/1" and the number, of those that name a version of a resource here.
func Sources(provenances []fhir.Node, base string) map[string]string {
	all := map[string]string{}
	for _, p := range provenances {
		for e := range p.Each("entity") {
			if e.Child("role").Text() != "source" {
				continue
			}
			r, ok := fhir.ParseReference(e.Child("what").Child("reference").Text())
			if ok && r.Key.ID != "" && (r.Base == "" || r.Base == base) {
				_, version, _ := strings.Cut(e.Child("what").Child("reference").Text(), "/_history/")
				all[r.Key.String()] = version
			}
		}
	}
	return all
}

// Allowed says whether what was filed may be said to be so. The error is an [*fhir.Outcome] with
// Detail identity-unverified, provenance-required (there is none that has the Task as its target,
// an agent assembler, an author and, where the Task is about a form, the version that was filed as
// its source), or, of class Clash, superseded-source (that version is not the current one).
func (f Filing) Allowed() error {
	if f.Unverified {
		return refuse(fhir.BusinessRule, "identity-unverified", "Task.output", "Nobody knows yet for sure who this patient is; match them first, and file it then.")
	}
	mine := slices.DeleteFunc(slices.Clone(f.Provenances), func(p fhir.Node) bool { return !f.isAbout(p) })
	if len(mine) == 0 {
		return f.unproven("Send a Provenance in the same transaction whose target is the Task: who has filed it, by which system, from which version.")
	}
	for _, role := range []string{"assembler", "author"} {
		if !slices.ContainsFunc(mine, func(p fhir.Node) bool { return hasAgent(p, role) }) {
			return f.unproven("The Provenance needs an agent of the type " + role + ".")
		}
	}
	sources := Sources(mine, f.Base)
	if f.Task.Focus.Type == "QuestionnaireResponse" && sources[f.Task.Focus.String()] == "" {
		return f.unproven("The Provenance needs an entity with the role source that names the version of the form which was filed.")
	}
	for what, version := range sources {
		if now := f.Current[what]; version != "" && now > 0 && version != strconv.Itoa(now) {
			o := fhir.Errorf(fhir.Clash, fhir.Conflict, "Provenance.entity", "Version %s of %s was filed, and the current one is %d; read that, file it, and say so.", version, what, now)
			o.Issues[0].Detail = "superseded-source"
			return o
		}
	}
	return nil
}

func (f Filing) unproven(text string) error {
	return refuse(fhir.Required, "provenance-required", "Task.output", "%s", text)
}

// isAbout reports whether a Provenance has the Task as a target.
func (f Filing) isAbout(p fhir.Node) bool {
	for n := range p.Each("target") {
		if target(n, f.Base) == f.Task.Key {
			return true
		}
	}
	return false
}

func hasAgent(p fhir.Node, role string) bool {
	for a := range p.Each("agent") {
		if codeIn(a.Child("type"), participantSystem) == role {
			return true
		}
	}
	return false
}

// IsUnverified reports whether nobody knows for sure who the patient of a Task is.
func IsUnverified(task fhir.Node) bool {
	return task.Extension(identityStateURL).Child("value").Text() == string(IdentityUnverified)
}
