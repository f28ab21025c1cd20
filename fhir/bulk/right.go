package bulk

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The permissions that it takes to export, and to import.
const (
	toExport = access.MayRead | access.MaySearch
	toImport = access.MayCreate | access.MayUpdate | access.MayDelete
)

// exporting returns the part of g that exports by: what whole types are read and
// searched by in the name of a system, without conditions.
func exporting(g access.Grant) access.Grant {
	if g.IsTrusted() {
		return g
	}
	t := g.Terms()
	t.Self = false
	t.Scopes = slices.DeleteFunc(slices.Clone(t.Scopes), func(s access.Scope) bool {
		return s.Context != access.ForSystem || len(s.Where) > 0 || s.Allows&toExport != toExport || s.Type != "*" && g.Withheld(s.Type) != nil
	})
	return access.NewGrant(t)
}

// exports reports whether g, which exporting has returned, exports a type.
func exports(g access.Grant, typ string) bool {
	if g.IsTrusted() {
		return true
	}
	return g.Withheld(typ) == nil && slices.ContainsFunc(g.Terms().Scopes, func(s access.Scope) bool { return s.Type == "*" || s.Type == typ })
}

// mayExport returns an Outcome unless g, which exporting has returned, exports all of
// some types.
func mayExport(g access.Grant, types []string) error {
	for _, typ := range types {
		if !exports(g, typ) {
			return lacking("To export a %s it takes a scope system/%s.rs or system/*.rs without conditions.", typ, typ)
		}
	}
	return nil
}

// mayImport returns an Outcome unless g may store whatever there is.
func mayImport(g access.Grant) error {
	if g.IsTrusted() {
		return nil
	}
	if !g.Has(access.Administer) {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only who administers the server may import.")
	}
	if !slices.ContainsFunc(g.Terms().Scopes, func(s access.Scope) bool {
		return s.Context == access.ForSystem && s.Type == "*" && len(s.Where) == 0 && s.Allows&toImport == toImport
	}) {
		return lacking("To import it takes the scope system/*.cud without conditions.")
	}
	return nil
}

func lacking(format string, args ...any) error {
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "", format, args...)
	o.Issues[0].Detail = interaction.LacksScope
	return o
}

// exportable returns the types that are stored as resources, or of those the ones
// that have a patient compartment.
func exportable(audits, compartment bool) []string {
	var all []string
	for _, t := range spec.R4().Resources() {
		switch {
		case t.Name == "AuditEvent" && audits:
		case t.Name == "Parameters" || t.Name == "OperationOutcome":
		case compartment && t.Name != "Patient" && search.CompartmentParams("Patient", t.Name) == nil:
		default:
			all = append(all, t.Name)
		}
	}
	return all
}
