package access

// A Kind says what an access key says of a resource that has it.
type Kind uint8

// The kinds. Their numbers are part of what is stored.
const (
	Open    Kind = 1 + iota // whoever may ask for the type sees it; Of is empty
	Patient                 // the patient Of sees it as a patient
	Record                  // it is part of the record of the patient Of; who was given the record sees it
	Party                   // Of takes part in it: an Organization, Practitioner, PractitionerRole, HealthcareService, CareTeam or RelatedPerson
	Author                  // Of wrote it, and its content does not say so: an Organization, a Patient or a client ("Client/id")
	Label                   // Of is a code of meta.security that can hide it: R, V, NOPAT, PSY and so on
	Itself                  // it is the resource Of; only gifts have such targets
)

// A Key is one thing that decides who sees a resource. Of is a resource as
// "Type/id", or a code.
type Key struct {
	Kind Kind
	Of   string
}

// A Gift says that whatever has the key Target, or is the resource that Target
// names, has Key as well.
type Gift struct{ Target, Key Key }
