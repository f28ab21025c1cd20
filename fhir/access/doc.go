// Package access says who may do what. It is pure: it knows neither tokens nor
// tables.
//
// # Seeing
//
// Every resource has keys, and every caller a [Grant]. A caller sees a resource if
// one scope for its type gives a context (patient, user or system) in which one of
// the caller's parties is among the keys, none of the labels that are denied is,
// and the conditions of the scope hold. An app that staff have opened for a patient
// sees what both that patient and they see. [Grant.View] makes that a [View], which
// package searchsql writes as SQL and [View.Shows] says in Go. The zero Grant, the
// zero View and the zero Branch show nothing. There are two sorts of refusal: what
// the scopes do not name is Denied whatever is stored ([Grant.Allow]); a resource
// that is not seen is Unknown, as if it had never been there.
//
// Own keys come from the content ([Keys]), and where that says too little, from who
// wrote it ([Grant.AuthorKeys]). They are kept with each version:
//
//	Open     directory and definitions: whoever may ask for the type sees it
//	Patient  the patient sees it
//	Record   it is part of the patient's record
//	Party    an organisation, person, role, service or team takes part in it
//	Author   who wrote what names no party of theirs
//	Label    meta.security can hide it
//
// Other keys are given by other resources ([Gifts]): whatever has the key Target,
// or is the resource that Target names, has Key as well. A Patient gives the
// record to the managing organisation and the general practitioners, an active
// CareTeam or EpisodeOfCare to its members, but to no relatives, until the Patient
// takes the record from one who had it: then who has it has to give it anew. A PractitionerRole
// and a HealthcareService have their organisation see what is addressed to them; a
// ServiceRequest and a Task show the patient and what they are about to those who
// ask and are asked, and nothing else of the record; a message, a document, a
// report, a picture or the answers to a form give their attachments their own keys, labels
// among them. A gift counts if its writer
// sees what is given ([Grant.Gives]): seeing a patient is not having the record.
//
// What a parameter means is in effect.go. Every parameter of R4 that can name a
// party has been decided in testdata/parties.txt, and every type in
// testdata/types.txt; a new one fails a test until somebody decides. Custom search
// parameters, contained resources, logical references and other servers'
// resources never give a key. References by this server's own URL are as good as
// relative ones.
//
// # The patient compartment
//
// What a patient sees is R4's patient compartment, except for:
//
//	Communication, CommunicationRequest   sender, recipient, requester, and not the subject: clinicians write to one
//	                                      another about a patient; what has the category internal-note has no patient,
//	                                      what a RelatedPerson sends is as if the subject had sent it, what has the
//	                                      extension release-to-patient the subject sees, and who has to
//	                                      answer a form sees its acknowledgement
//	Task                                  for, which R4 leaves out
//	Device                                patient, which R4 leaves out; one without a patient is open
//	ServiceRequest                        subject, not a performer
//	Group                                 not at all: a member would see the other members
//	List                                  subject, not source
//	Patient                               itself: links are not followed
//	Schedule                              one of a patient or a relative is theirs, any other is open
//	any                                   not what is labelled NOPAT, or above the clearance
//
// Part of the record is only what is about the patient: of the parameters above,
// the one that says whom a resource is about, and none for what has parties of its
// own: Appointment, AppointmentResponse, AuditEvent, Communication,
// CommunicationRequest, Person, ServiceRequest, Task. Who is given a record
// does not see these but by taking part, so that a specialist does not learn of the
// patient's other referrals. Compartment searches keep to R4, but for Task. In the
// receipt of a message, a Task, takes part also who sent the message; it is a patient's
// if the message is from or to them, and gives nothing. A draft, a Communication in
// preparation and a CommunicationRequest that is one, is not for its recipients yet.
//
// [Compartment] says all of that as data, which the server publishes.
//
// # Withheld
//
// Patients and who acts for them are shown a Practitioner in part: neither telecom
// and address with the use home, nor birthDate, nor the narrative ([Grant.Withheld]). It
// is tagged SUBSETTED whether it has these or not, they do not search or sort by
// what would tell it ([Grant.Tells]), a condition of a scope on that shows nothing,
// and they do not write it. What is contained in other resources, and what a
// stored Bundle has in it, is its container's content, and is shown as that is.
//
// # Labels
//
// R and V of v3-Confidentiality, and the policies of sensitivity and NOPAT of
// v3-ActCode hide, under their names of before R4, too; and RETRACTED of this server, what
// its author has taken back. V covers R; a kind of sensitivity covers those below it. A label
// is taken away by the role Labels only; everybody else may add one that leaves
// the resource in their own sight.
//
// # Writing
//
// [Grant.MayWrite] holds these rules, of which a trusted grant skips all but the
// bound on gifts. The caller has found that the writer sees the version before.
//
//   - The scopes give the interaction, and the writer sees the new version by them.
//   - Whom a resource is about does not change, but by the role Administer.
//   - A patient, and who acts for one, writes a few types (write_patient.go), about
//     that patient alone, and says that it is from nobody else. They change what is
//     from them, not after it was sent (but where the rules of conversations let them), and neither who takes part nor the labels; and a
//     Task that they were asked to do. Files do not change.
//   - Staff and clients write about patients that they see, or go on with what they
//     took part in. They speak for themselves: a person for that person, their roles
//     and organisations; a client for whoever is of its organisations; with
//     AssertAuthor a person for colleagues, with AssertPatient either for a patient
//     or a relative.
//   - Staff change what they take part in or were given the record of, not what they
//     were only shown; and neither the statements of another side nor, by deleting
//     it, what that side has asked for. Profiles, tags and labels they may add.
//   - Nobody takes along, as an attachment, a focus or with a referral, what they do not
//     see: who does see it might go on with the resource and so give it for them.
//   - What decides who sees has its own rules: the directory and definitions are the
//     administrator's; a Patient that of the practices it is registered with, before
//     and after, and its links the administrator's; RelatedPerson, Consent,
//     CareTeam, EpisodeOfCare, Group and Person that of who has the record of every
//     patient in them.
//   - An AuditEvent is written by the server.
//
// A refusal says the same of a patient who is hidden as of one who is not there.
package access
