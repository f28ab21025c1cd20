package access

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// Keys returns the keys that the content of a resource gives it, sorted and none
// twice; nil is none. With any label there is that of [AnyLabel]: what lacks it
// need not be held against each. Its index is ix, and root is the resource. Author keys are
// not among them, since the content does not say them, nor what other resources
// give it.
func Keys(ix *search.Index, root fhir.Node) []Key {
	return keysOf(ix, root, isDraft(ix.Key.Type, root))
}

// keysOf returns them. If it is kept back, whom it is for does not see it.
func keysOf(ix *search.Index, root fhir.Node, back bool) []Key {
	keys := make([]Key, 0, 8)
	for i := range ix.Entries {
		code, named := reference(&ix.Entries[i])
		if named.ID == "" || back && code == "recipient" {
			continue
		}
		keys = appendNamed(keys, effectOf(ix.Key.Type, code), named)
	}
	keys = appendSpecial(keys, ix, root)
	if !back && isReleased(ix.Key.Type, root) && !isInternal(ix) {
		if subject := ours(ix, root.Child("subject")); subject.Type == "Patient" {
			keys = appendNamed(keys, patientSees, subject)
		}
	}
	for n := range root.Child("meta").Each("security") {
		if l := labelOf(n.Child("system").Text(), n.Child("code").Text()); l != "" {
			keys = append(keys, Key{Label, l}, Key{Label, AnyLabel})
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

// isDraft reports whether a message, or a request to send one, is not for anybody but who writes
// it yet.
func isDraft(typ string, root fhir.Node) bool {
	switch typ {
	case "Communication":
		return root.Child("status").Text() == "preparation"
	case "CommunicationRequest":
		return root.Child("status").Text() == "draft"
	}
	return false
}

// releaseToPatient is the extension by which clinicians let a patient see what they write one
// another.
const releaseToPatient = "https://fhir.openconsult.example/StructureDefinition/release-to-patient"

// isReleased reports whether a message has it.
func isReleased(typ string, root fhir.Node) bool {
	if typ != "Communication" {
		return false
	}
	value := root.Extension(releaseToPatient).Child("value")
	return !value.IsZero() && value.Property() == "valueBoolean" && value.Text() == "true"
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Of, b.Of))
}

func compareNames(a, b fhir.Key) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID))
}

// reference returns the code of a reference parameter of R4, and the resource
// that its value names; zero for anything else. A custom parameter must not
// decide who sees what.
func reference(e *search.Entry) (code string, named fhir.Key) {
	if e.Param.Custom || e.Param.Type != search.ReferenceType {
		return "", fhir.Key{}
	}
	if ref, ok := e.Value.(search.Reference); ok {
		return e.Param.Code, ref.Key
	}
	return "", fhir.Key{}
}

// named returns the resources that a reference parameter of R4 names.
func named(ix *search.Index, code string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for i := range ix.Entries {
			c, k := reference(&ix.Entries[i])
			if k.ID != "" && c == code && !yield(k) {
				return
			}
		}
	}
}

// appendNamed appends the keys of a resource that names k with an effect.
func appendNamed(keys []Key, e effect, k fhir.Key) []Key {
	switch {
	case e == 0:
		return keys
	case k.Type != "Patient":
		if e&takesPart != 0 && isParty(k.Type) {
			keys = append(keys, Key{Party, k.String()})
		}
		return keys
	}
	of := k.String()
	if e&patientSees != 0 {
		keys = append(keys, Key{Patient, of})
	}
	if e&ofRecord != 0 {
		keys = append(keys, Key{Record, of})
	}
	return keys
}

// appendSpecial appends, and for some types takes away, what no parameter says.
func appendSpecial(keys []Key, ix *search.Index, root fhir.Node) []Key {
	switch typ := ix.Key.Type; typ {
	case "Patient":
		return appendNamed(keys, patientSees|ofRecord, ix.Key)
	case "RelatedPerson":
		return append(keys, Key{Party, ix.Key.String()})
	case "Communication", "CommunicationRequest":
		if isInternal(ix) {
			return slices.DeleteFunc(keys, func(k Key) bool { return k.Kind == Patient })
		}
		if isCategory(ix, "acknowledgement") {
			keys = appendNamed(keys, takesPart, ours(ix, root.Extension(messageSender).Child("value")))
		}
		if subject := ours(ix, root.Child("subject")); subject.Type == "Patient" && ours(ix, root.Child("sender")).Type == "RelatedPerson" {
			return appendNamed(keys, patientSees, subject) // who acts for patients writes in their place
		}
	case "Task":
		if isReceipt(ix) {
			return appendReceipt(keys, ix, root)
		}
	case "CareTeam":
		for k := range careTeamOrganizations(ix, root) {
			keys = appendNamed(keys, takesPart, k)
		}
	case "Device":
		if root.Child("patient").IsZero() {
			keys = append(keys, Key{Kind: Open})
		}
	case "Schedule":
		if !ofPerson(root) {
			keys = append(keys, Key{Kind: Open})
		}
	default:
		if isOpen(typ) {
			keys = append(keys, Key{Kind: Open})
		}
	}
	return keys
}

// isInternal reports whether a message is a note that stays with those who treat
// a patient. Of what system the code is does not matter: when in doubt, the
// patient does not see it.
func isInternal(ix *search.Index) bool { return isCategory(ix, "internal-note") }

// isCategory reports whether a message has a code as its category, of whatever system.
func isCategory(ix *search.Index, code string) bool {
	return slices.ContainsFunc(ix.Entries, func(e search.Entry) bool {
		if e.Param.Custom || e.Param.Code != "category" {
			return false
		}
		t, ok := e.Value.(search.Token)
		return ok && strings.EqualFold(t.Code, code)
	})
}

// messageSender is the extension by which a receipt says whose message was read, and an
// acknowledgement on whose behalf the server has sent it.
const messageSender = "https://fhir.openconsult.example/StructureDefinition/message-sender"

// isReceipt reports whether a Task waits for a message to be read.
func isReceipt(ix *search.Index) bool {
	return slices.ContainsFunc(ix.Entries, func(e search.Entry) bool {
		t, ok := e.Value.(search.Token)
		return ok && !e.Param.Custom && e.Param.Code == "code" && t.System == "https://fhir.openconsult.example/CodeSystem/task-kind" && t.Code == "message-receipt"
	})
}

// appendReceipt appends who has sent the message of a receipt. A patient sees it if the message is
// from or to them, or who acts for them, and not for being its subject.
func appendReceipt(keys []Key, ix *search.Index, root fhir.Node) []Key {
	sender, own := ours(ix, root.Extension(messageSender).Child("value")), false
	for _, k := range [...]fhir.Key{sender, ours(ix, root.Child("owner"))} {
		own = own || k.Type == "Patient" || k.Type == "RelatedPerson"
	}
	if !own {
		keys = slices.DeleteFunc(keys, func(k Key) bool { return k.Kind == Patient })
	}
	return appendNamed(keys, takesPart, sender)
}

// ofPerson reports whether a Schedule is that of something that is not in the
// directory: a patient, a relative, or somebody who cannot be told.
func ofPerson(root fhir.Node) bool {
	for actor := range root.Each("actor") {
		ref, _ := fhir.ParseReference(actor.Child("reference").Text())
		switch cmp.Or(ref.Key.Type, actor.Child("type").Text()) {
		case "Practitioner", "PractitionerRole", "Device", "HealthcareService", "Location":
		default:
			return true
		}
	}
	return false
}

// careTeamOrganizations returns the organisations of a CareTeam for which R4 has
// no parameter.
func careTeamOrganizations(ix *search.Index, root fhir.Node) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for o := range root.Each("managingOrganization") {
			if k := ours(ix, o); k.ID != "" && !yield(k) {
				return
			}
		}
		for p := range root.Each("participant") {
			if k := ours(ix, p.Child("onBehalfOf")); k.ID != "" && !yield(k) {
				return
			}
		}
	}
}

// ours returns the resource of this server that the Reference n names; zero for
// none.
func ours(ix *search.Index, n fhir.Node) fhir.Key { return literal(ix, n.Child("reference").Text()) }

// literal returns the resource of this server that a literal reference names, by
// the rule that its index is made by; zero for none.
func literal(ix *search.Index, text string) fhir.Key {
	ref, ok := fhir.ParseReference(text)
	if !ok || ref.Key.ID == "" || ref.Fragment != "" || ref.Query != "" || ref.Base != "" && ref.Base != ix.Base {
		return fhir.Key{}
	}
	return ref.Key
}

// Subjects returns the patients of the Patient and Record keys among keys, which
// are sorted or not, as "Patient/1", each once.
func Subjects(keys []Key) []string {
	var all []string
	for _, k := range keys {
		if k.Kind == Patient || k.Kind == Record {
			all = append(all, k.Of)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
