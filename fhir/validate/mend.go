package validate

// mend returns what is evaluated instead of an expression of R4 that is wrong, and
// what is wrong with it. What is not known breaks no rule, so that an expression has to
// be false where its words do not hold; several of R4 are empty there.
func mend(name string) (expression, note string) {
	switch name {
	case "Questionnaire#que-7":
		return "operator = 'exists' implies (answer is boolean)", "says System.Boolean where an answer is a FHIR boolean"
	case "Questionnaire#que-12":
		return "enableWhen.count() > 1 implies enableBehavior.exists()", "lets two conditions pass, while its words speak of more than one"
	case "Questionnaire#que-13":
		return "repeats.where($this = true).exists() or initial.count() <= 1", "is empty without repeats"
	case "Timing#tim-9":
		return "offset.empty() or (when.exists() and when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty())", "takes one item by in, while when repeats"
	case "Condition#con-3":
		return "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error').exists() or category.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-category' and code='problem-list-item').empty()", "compares a CodeableConcept with a string"
	case "Bundle#bdl-11":
		return "type = 'document' implies entry.first().resource.ofType(Composition).exists()", "is empty without an entry"
	case "Bundle#bdl-12":
		return "type = 'message' implies entry.first().resource.ofType(MessageHeader).exists()", "is empty without an entry"
	case "RiskAssessment#ras-1":
		return "(low.empty() or low.where(code = '%' and system = %ucum).exists()) and (high.empty() or high.where(code = '%' and system = %ucum).exists())", "is empty without a unit"
	case "ValueSet#vsd-9":
		return "code.exists() or abstract.where($this = true).exists()", "is empty without abstract"
	case "MessageDefinition#md-1":
		return "max.empty() or max='*' or max.toInteger().where($this > 0).exists()", "is empty where max is no number"
	}
	if expression, note = mendDefinition(name); note != "" {
		return expression, note
	}
	return mendConsent(name)
}

func mendConsent(name string) (expression, note string) {
	scope := ""
	switch name {
	case "Consent#ppc-2":
		scope = "patient-privacy"
	case "Consent#ppc-3":
		scope = "research"
	case "Consent#ppc-4":
		scope = "adr"
	case "Consent#ppc-5":
		scope = "treatment"
	default:
		return "", ""
	}
	return "patient.exists() or scope.coding.where(system='http://terminology.hl7.org/CodeSystem/consentscope' and code='" + scope + "').exists().not()",
		"names the code system something, which was to be filled in"
}

// mendDefinition speaks of definitions of types, operations and tests.
func mendDefinition(name string) (expression, note string) {
	const operation = "sourceId.exists() or (targetId.count() + url.count() + params.count() = 1) or type.where(code in ('capabilities' | 'search' | 'transaction' | 'history')).exists()"
	switch name {
	case "ElementDefinition#eld-3":
		return "empty() or ($this = '*') or toInteger().where($this >= 0).exists()", "is empty where max is no number"
	case "ElementDefinition#eld-11":
		return "binding.empty() or type.code.empty() or type.where((code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') or (code = 'string') or (code = 'uri')).exists()", "selects truth values, of which there is always one"
	case "OperationDefinition#opd-2":
		return "searchType.exists() implies type.where($this = 'string').exists()", "is empty without a type"
	case "OperationDefinition#opd-3":
		return "targetProfile.exists() implies type.where($this = 'Reference' or $this = 'canonical').exists()", "is empty without a type"
	case "StructureDefinition#sdf-1":
		return "derivation.where($this = 'constraint').exists() or snapshot.element.select(path).isDistinct()", "is empty without a derivation"
	case "StructureDefinition#sdf-21":
		return "differential.element.defaultValue.exists() implies derivation.where($this = 'specialization').exists()", "is empty without a derivation"
	case "TestScript#tst-7", "TestScript#tst-8", "TestScript#tst-9":
		return operation, "is empty without a type"
	}
	return "", ""
}
