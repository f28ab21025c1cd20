// Package consultation holds the rules of the conversation between patient, practice
// and specialist. They are tables and pure functions: values in, values out. Times, ids
// and facts come in as arguments.
//
// The Task is the conversation. [ReadTask] takes from it what the rules look at, and
// [RolesOf] says what the caller is in it. [Decide] says what becomes of a Task that a
// client wants to create or change: [Decision.Write] gives what is to be stored, a
// [Refusal] the moves that the caller may make instead. [AvailableActions] lists those.
// Which moves there are stands in task-machine.json. [Forward] and [ConvertToReferral]
// make a Task that takes the place of another, or grows out of one.
//
// [Post] and [Revise] judge a message before it is stored, [Open] a request for one that
// begins a conversation. [Submit] makes a Task of a form that is sent, by what its triage
// rules say ([CompileRules]), and [Amend] changes the answers. Clocks count the opening hours
// until an answer is due ([Service.Deadline]).
//
// [Book] says what an Appointment does to the Slots that it names, [ChangeSlot] what may be done
// to those by hand, and [MayReissue] what may be asked for again of a repeat prescription.
//
// [CheckRequest] says by which channels the messages of a CommunicationRequest may go out,
// and [Progress.Next] what such a message needs next.
//
// [Alarms] says what is to be told about a Task if it is still so at a time, and [Alert] how.
//
// A Task whose code is none of our kinds is plain FHIR: no rule of this package applies
// to it. https://hl7.org/fhir/R4/task.html
package consultation
