package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// sentence returns what to do about an element that breaks an invariant of the
// definition source.
func sentence(source string, i spec.Invariant) string {
	for _, of := range [...]func(string) string{dataTypeSentence, clinicalSentence, formSentence, bundleSentence} {
		if s := of(source + "#" + i.Key); s != "" {
			return s
		}
	}
	if strings.HasSuffix(i.Key, "-0") && strings.HasPrefix(i.Human, "Name should be usable") {
		return "Write name as an identifier that programs can use: a capital letter first, then letters, digits and underscores only."
	}
	human := strings.Join(strings.Fields(i.Human), " ")
	return "Change this element so that it keeps to the rule " + i.Key + " of R4: " + strings.TrimRight(human, ".;") + "."
}

// dataTypeSentence speaks of what stands in resources of every type.
func dataTypeSentence(name string) string {
	switch name {
	case "Extension#ext-1":
		return "Give this extension either a value or extensions within it, not both and not neither."
	case "DomainResource#dom-2":
		return "Move this resource up into the contained of the outermost resource: a contained resource contains no others."
	case "DomainResource#dom-3":
		return "Refer to this contained resource by # and its id from somewhere in the resource, or remove it."
	case "DomainResource#dom-4":
		return "Remove this from the meta of the contained resource: it has no versions of its own."
	case "DomainResource#dom-5":
		return "Put the security label on the resource that contains this one."
	case "DomainResource#dom-6":
		return "Consider a narrative, for readers who cannot show the data."
	case "Reference#ref-1":
		return "Contain a resource with the id that this reference names after its #, or refer to one by type and id."
	case "Period#per-1":
		return "Let the period end no earlier than it starts."
	case "Range#rng-2":
		return "Let low be no more than high."
	case "Quantity#qty-3":
		return "Give the system of the unit beside its code, http://unitsofmeasure.org for UCUM."
	case "SimpleQuantity#sqty-1":
		return "Remove the comparator: the amount here has to be exact."
	case "Ratio#rat-1":
		return "Give both numerator and denominator, or neither and an extension that says why."
	case "Attachment#att-1":
		return "Give the contentType of the data."
	case "ContactPoint#cpt-2":
		return "Give the system of this contact, such as phone or email, beside its value."
	case "Age#age-1":
		return "Give an age as a number above 0 with a UCUM code of time, such as a for years, and the system http://unitsofmeasure.org."
	case "Duration#drt-1":
		return "Give a duration a value with a UCUM code of time, such as h or d, and the system http://unitsofmeasure.org."
	case "Distance#dis-1":
		return "Give a distance a UCUM code of length, such as m, and the system http://unitsofmeasure.org."
	case "Count#cnt-3":
		return "Give a count as a whole number with the code 1 and the system http://unitsofmeasure.org."
	}
	return timingSentence(name)
}

func timingSentence(name string) string {
	switch name {
	case "Timing#tim-1":
		return "Give the durationUnit of the duration."
	case "Timing#tim-2":
		return "Give the periodUnit of the period."
	case "Timing#tim-4":
		return "Let the duration be 0 or more."
	case "Timing#tim-5":
		return "Let the period be 0 or more."
	case "Timing#tim-6":
		return "Give the period that periodMax is the upper end of."
	case "Timing#tim-7":
		return "Give the duration that durationMax is the upper end of."
	case "Timing#tim-8":
		return "Give the count that countMax is the upper end of."
	case "Timing#tim-9":
		return "Give beside the offset the event that it counts from in when, which may not be a meal itself (C, CM, CD, CV)."
	case "Timing#tim-10":
		return "Give either timeOfDay or when, not both."
	}
	return ""
}

func clinicalSentence(name string) string {
	switch name {
	case "Observation#obs-3":
		return "Give the reference range a low, a high or a text."
	case "Observation#obs-6":
		return "Remove dataAbsentReason, or the value: a value that is there is not absent."
	case "Observation#obs-7":
		return "Remove the value of the Observation, or the component that has the same code."
	case "Patient#pat-1":
		return "Give the contact a name, a telecom, an address or an organization."
	case "Condition#con-1":
		return "Give the stage a summary or an assessment."
	case "Condition#con-2":
		return "Give the evidence a code or a detail."
	case "Condition#con-3":
		return "Give clinicalStatus to a problem on the list, unless it was entered in error."
	case "Condition#con-4":
		return "Set clinicalStatus to inactive, resolved or remission, or remove the abatement."
	case "Condition#con-5", "AllergyIntolerance#ait-2":
		return "Remove clinicalStatus: what was entered in error has none."
	case "AllergyIntolerance#ait-1":
		return "Give clinicalStatus, or set verificationStatus to entered-in-error."
	case "Appointment#app-1":
		return "Give the participant a type or an actor."
	case "Appointment#app-2":
		return "Give both start and end, or neither."
	case "Appointment#app-3":
		return "Give start and end, unless status is proposed, cancelled or waitlist."
	case "Appointment#app-4":
		return "Remove cancelationReason, or set status to cancelled or noshow."
	case "Organization#org-1", "InsurancePlan#ipn-1":
		return "Give a name or an identifier."
	case "Organization#org-2":
		return "Choose another use than home for an address of an organization."
	case "Organization#org-3":
		return "Choose another use than home for a telecom of an organization."
	case "Task#inv-1":
		return "Let lastModified be no earlier than authoredOn."
	case "ServiceRequest#prr-1":
		return "Give the code that orderDetail adds to."
	case "MedicationDispense#mdd-1":
		return "Let whenHandedOver be no earlier than whenPrepared."
	case "Consent#ppc-1":
		return "Give a policy or a policyRule."
	case "Consent#ppc-2", "Consent#ppc-3", "Consent#ppc-4", "Consent#ppc-5":
		return "Give the patient whom the consent is about, which its scope demands."
	}
	return ""
}

func formSentence(name string) string {
	switch name {
	case "QuestionnaireResponse#qrs-1":
		return "Put nested items either below this item or below its answer: below the answer if it is a question, below the item if it is a group."
	case "Questionnaire#que-1":
		return "Give a group at least one item, and a display none."
	case "Questionnaire#que-2":
		return "Give every item a linkId of its own: an earlier item has this one."
	case "Questionnaire#que-3":
		return "Remove the code: a display has none."
	case "Questionnaire#que-4":
		return "Give either answerOption or answerValueSet, not both."
	case "Questionnaire#que-5":
		return "Give answer options only to choice, open-choice, decimal, integer, date, dateTime, time, string and quantity."
	case "Questionnaire#que-6":
		return "Remove required and repeats: a display has neither."
	case "Questionnaire#que-7":
		return "Give answerBoolean to a condition whose operator is exists."
	case "Questionnaire#que-8":
		return "Remove the initial value: groups and displays have none."
	case "Questionnaire#que-9":
		return "Remove readOnly: a display has none."
	case "Questionnaire#que-10":
		return "Remove maxLength, or make this a question of type boolean, decimal, integer, string, text, url or open-choice."
	case "Questionnaire#que-11":
		return "Remove initial and mark the answerOption as initialSelected instead."
	case "Questionnaire#que-12":
		return "Say by enableBehavior whether all of the conditions of enableWhen have to hold, or any."
	case "Questionnaire#que-13":
		return "Give one initial value, or let the question repeat."
	}
	return ""
}

func bundleSentence(name string) string {
	switch name {
	case "Bundle#bdl-1":
		return "Remove total: only a searchset and a history have one."
	case "Bundle#bdl-2":
		return "Remove search from the entries: only a searchset has it."
	case "Bundle#bdl-3":
		return "Give each entry of a batch, transaction or history a request, and remove it in Bundles of other types."
	case "Bundle#bdl-4":
		return "Give each entry of a batch-response, transaction-response or history a response, and remove it in Bundles of other types."
	case "Bundle#bdl-5":
		return "Give the entry a resource, a request or a response."
	case "Bundle#bdl-7":
		return "Give the entry a fullUrl of its own, or the resource another meta.versionId than the earlier entry with the same fullUrl has."
	case "Bundle#bdl-8":
		return "Remove /_history/ and the version from the fullUrl."
	case "Bundle#bdl-9":
		return "Give a document an identifier with system and value."
	case "Bundle#bdl-10":
		return "Give a document a timestamp."
	case "Bundle#bdl-11":
		return "Put the Composition of a document into its first entry."
	case "Bundle#bdl-12":
		return "Put the MessageHeader of a message into its first entry."
	case "Parameters#inv-1":
		return "Give the parameter exactly one of a value, a resource and parts."
	case "CodeSystem#csd-1":
		return "Give every concept a code of its own: an earlier one has this one."
	}
	return ""
}
