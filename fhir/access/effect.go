package access

// An effect is what it means for access that a resource is named by a reference
// parameter.
type effect uint8

const (
	patientSees effect = 1 << iota // a Patient has the key Patient
	ofRecord                       // a Patient has the key Record
	takesPart                      // a party has the key Party
)

// effectOf returns what the reference parameter of R4 with that code means for
// access to a resource of type typ. What is not listed means nothing: what a
// resource mentions besides is no reason to see it. Those that may name a party
// are decided one by one in testdata/parties.txt, and those of the patient
// compartment in the package documentation.
func effectOf(typ, code string) effect {
	switch typ + "." + code {
	case "Account.subject", "AdverseEvent.subject", "AllergyIntolerance.patient", "Basic.patient", "BodyStructure.patient", "CarePlan.patient",
		"CareTeam.patient", "ChargeItem.subject", "Claim.patient", "ClaimResponse.patient", "ClinicalImpression.subject", "Composition.subject",
		"Condition.patient", "Consent.patient", "Coverage.beneficiary", "CoverageEligibilityRequest.patient", "CoverageEligibilityResponse.patient",
		"DetectedIssue.patient", "Device.patient", "DeviceRequest.subject", "DeviceUseStatement.subject", "DiagnosticReport.subject",
		"DocumentManifest.subject", "DocumentReference.subject", "Encounter.patient", "EnrollmentRequest.subject", "EpisodeOfCare.patient",
		"ExplanationOfBenefit.patient", "FamilyMemberHistory.patient", "Flag.patient", "Goal.patient", "ImagingStudy.patient", "Immunization.patient",
		"ImmunizationEvaluation.patient", "ImmunizationRecommendation.patient", "Invoice.patient", "Invoice.subject", "List.subject", "MeasureReport.patient",
		"Media.subject", "MedicationAdministration.patient", "MedicationAdministration.subject", "MedicationDispense.patient", "MedicationDispense.subject",
		"MedicationRequest.subject", "MedicationStatement.subject", "MolecularSequence.patient", "NutritionOrder.patient", "Observation.subject",
		"Procedure.patient", "Provenance.patient", "QuestionnaireResponse.subject", "RelatedPerson.patient", "RequestGroup.subject",
		"ResearchSubject.individual", "RiskAssessment.subject", "Specimen.subject", "SupplyDelivery.patient", "VisionPrescription.patient":
		return patientSees | ofRecord
	case "SupplyRequest.subject":
		return patientSees | ofRecord | takesPart
	case "AuditEvent.patient", "Person.patient", "ServiceRequest.subject", "Task.patient":
		return patientSees
	case "AllergyIntolerance.asserter", "AllergyIntolerance.recorder", "Appointment.actor", "AppointmentResponse.actor", "Basic.author", "CarePlan.performer",
		"CareTeam.participant", "Claim.payee", "Communication.recipient", "Communication.sender", "CommunicationRequest.recipient",
		"CommunicationRequest.requester", "CommunicationRequest.sender", "Composition.attester", "Composition.author", "Condition.asserter", "Coverage.payor",
		"Coverage.policy-holder", "Coverage.subscriber", "DeviceRequest.performer", "DocumentManifest.author", "DocumentManifest.recipient",
		"DocumentReference.author", "ExplanationOfBenefit.payee", "Invoice.recipient", "MedicationAdministration.performer", "MedicationDispense.receiver",
		"Observation.performer", "Procedure.performer", "QuestionnaireResponse.author", "RequestGroup.participant", "Schedule.actor":
		return patientSees | takesPart
	case "Account.owner", "AdverseEvent.recorder", "CarePlan.care-team", "ChargeItem.enterer", "ChargeItem.performer-actor",
		"ChargeItem.performing-organization", "ChargeItem.requesting-organization", "Claim.care-team", "Claim.enterer", "Claim.insurer", "Claim.provider",
		"ClaimResponse.insurer", "ClaimResponse.requestor", "ClinicalImpression.assessor", "Consent.consentor", "Consent.organization", "Contract.authority",
		"Contract.signer", "CoverageEligibilityRequest.enterer", "CoverageEligibilityRequest.provider", "CoverageEligibilityResponse.insurer",
		"CoverageEligibilityResponse.requestor", "DetectedIssue.author", "Device.organization", "DeviceRequest.requester", "DiagnosticReport.performer",
		"DiagnosticReport.results-interpreter", "DocumentReference.authenticator", "DocumentReference.custodian", "Encounter.participant",
		"Encounter.service-provider", "EpisodeOfCare.care-manager", "EpisodeOfCare.organization", "ExplanationOfBenefit.care-team",
		"ExplanationOfBenefit.enterer", "ExplanationOfBenefit.provider", "Flag.author", "Group.managing-entity", "ImagingStudy.interpreter",
		"ImagingStudy.performer", "ImagingStudy.referrer", "Immunization.performer", "Invoice.issuer", "Invoice.participant", "Linkage.author", "List.source",
		"MeasureReport.reporter", "Media.operator", "MedicationDispense.performer", "MedicationDispense.responsibleparty",
		"MedicationRequest.intended-dispenser", "MedicationRequest.intended-performer", "MedicationRequest.requester", "MedicationStatement.source",
		"MessageHeader.author", "MessageHeader.enterer", "MessageHeader.receiver", "MessageHeader.responsible", "MessageHeader.sender",
		"NutritionOrder.provider", "PaymentNotice.provider", "PaymentReconciliation.payment-issuer", "PaymentReconciliation.requestor", "Person.organization",
		"Provenance.agent", "QuestionnaireResponse.source", "RequestGroup.author", "ResearchStudy.principalinvestigator", "ResearchStudy.sponsor",
		"RiskAssessment.performer", "ServiceRequest.performer", "ServiceRequest.requester", "Specimen.collector", "SupplyDelivery.receiver",
		"SupplyDelivery.supplier", "SupplyRequest.requester", "SupplyRequest.supplier", "Task.owner", "Task.requester", "VisionPrescription.prescriber":
		return takesPart
	}
	return 0
}

// isParty reports whether resources of a type can take part in something as
// parties. Patients are no parties: what they see, and what is theirs, have keys
// of their own.
func isParty(typ string) bool {
	switch typ {
	case "Organization", "Practitioner", "PractitionerRole", "HealthcareService", "CareTeam", "RelatedPerson":
		return true
	}
	return false
}

// isOpen reports whether resources of a type are a directory or definitions,
// which whoever may ask for the type sees.
func isOpen(typ string) bool {
	switch typ {
	case "Endpoint", "HealthcareService", "InsurancePlan", "Location", "Organization", "OrganizationAffiliation", "Practitioner", "PractitionerRole",
		"Schedule", "Slot",
		"DeviceDefinition", "Medication", "MedicationKnowledge", "ObservationDefinition", "SpecimenDefinition",
		"Substance", "SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation", "SubstanceSourceMaterial",
		"SubstanceSpecification",
		"MedicinalProduct", "MedicinalProductAuthorization", "MedicinalProductContraindication", "MedicinalProductIndication",
		"MedicinalProductIngredient", "MedicinalProductInteraction", "MedicinalProductManufactured", "MedicinalProductPackaged",
		"MedicinalProductPharmaceutical", "MedicinalProductUndesirableEffect",
		"ActivityDefinition", "CapabilityStatement", "CatalogEntry", "ChargeItemDefinition", "CodeSystem", "CompartmentDefinition", "ConceptMap",
		"EffectEvidenceSynthesis", "EventDefinition", "Evidence", "EvidenceVariable", "ExampleScenario", "GraphDefinition", "ImplementationGuide",
		"Library", "Measure", "MessageDefinition", "NamingSystem", "OperationDefinition", "PlanDefinition", "Questionnaire", "ResearchDefinition",
		"ResearchElementDefinition", "RiskEvidenceSynthesis", "SearchParameter", "StructureDefinition", "StructureMap", "TerminologyCapabilities",
		"TestScript", "ValueSet":
		return true
	}
	return false
}
