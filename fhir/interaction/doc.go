// Package interaction performs the RESTful interactions of FHIR for one caller:
// what must happen between a request and the database. It asks the caller's
// Grant first, and knows neither HTTP nor SQL.
//
// # A search
//
// GET Task?owner=Organization/1 goes down once:
//
//	api.search           reads the parameters, or the page that a link means
//	Session.Search       asks whether the caller may search for Tasks
//	Session.understand   has search.Registry parse what is asked
//	store.DB.Search      adds what the caller sees, has searchsql write the statement, and runs it
//	Session.searched     records it in the audit
//	api.answered.bundle  makes a searchset of the stored texts
//
// # A write
//
// POST QuestionnaireResponse, with a form that starts nothing:
//
//	api.create           decodes the body, once
//	Session.Create       asks whether the caller may create such resources, and what is minded (below)
//	Session.sketch       holds it against its type, profiles and form ([Checks]), and makes its row:
//	                     what it is found by, and its access keys
//	Session.permit       looks up who takes part, and asks access.Grant.MayWrite
//	store.DB.Put         one statement, which says what became of it
//	api.written          answers
//
// An update reads the version before first, and a caller who sees everything skips permit.
//
// # A write that the rules of conversations look at
//
// Session.concernOf is the table of what package consultation has a say in. Such a write is a
// transaction of one entry, and runs as any Bundle does (Session.byItself, [Session.Transaction]).
// A form that starts a consultation:
//
//	transaction.begin     what can be known without the database: permissions, overlaps, links
//	transaction.prepare   look: the versions before; propose: what is to be written; converse: the
//	                      rules, one step for each sort of resource
//	talk.submission       collects what is known (foresee: in one round trip), asks consultation.Submit,
//	                      and adds what it says: the Task, the acknowledgement, Provenance
//	transaction.outline   a sketch of everything that is written
//	transaction.authorize all of it at once, by one look-up
//	store.DB.WriteAll     one statement
//
// A message or a Task goes the same way in hope (transaction.inHope): the conversation is foreseen
// as well, and store.DB.WriteGuarded writes only if it is still as it was read. If it is not, and
// for everything else that is minded, the conversation is held first, inside one transaction of the
// database (transaction.within).
//
// # A page of the feed
//
// GET $changes:
//
//	api.changes           reads what is asked, and the cursor
//	Session.Changes       asks whether the caller may follow such types
//	store.DB.Changes      opens the cursor, and reads the window behind it as far as the caller sees it
//	Session.awaited       if there is nothing, waits for store.Watch and asks again
//	Session.followed      records it in the audit
//	api.feedBundle        makes a history of the stored texts
package interaction
