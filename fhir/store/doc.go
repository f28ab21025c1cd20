// Package store keeps resources and their history in Postgres. It owns the tables
// installation; res, rng and res_type, by which resources are found; ver, every version;
// access_event and access_grant, who sees what and by whom; search_param,
// search_generation and reindex_job, the search parameters of clients; idempotency,
// patient_merged and audit. It alone runs their SQL, but that auth/oauth reads a key of
// installation. What a resource is found by, search and searchsql say.
//
// A resource is found by its rid, a keyed 64-bit hash of Type/id, so that no
// look-up turns a name into a number. Two names with one rid are told apart by
// comparing the id; a clash is refused, never merged. The secret of the hash is
// in the database, so nobody outside can craft a clash, and at 100 million
// resources the chance of one is about 3 in 10,000.
//
// The search parameters are those of R4 and the SearchParameters that clients have
// stored. Each change of them begins a generation. A write names the generation
// that its search row was made in and is refused in another, and a new parameter
// is searched by only when [DB.RunIndexer] has built the rows of before. So no
// search finds too little, on whichever server.
//
// A write is one prepared statement, one round trip and one commit. It locks ver and
// takes its transaction id before its time, which is what lets [DB.SafeTime] promise
// that nothing older will still appear. The time of a version is in milliseconds and
// at least one more than that of the version before.
//
// Whoever is to miss no version follows the feed: a client by [DB.Changes], the
// server itself by a [Follower], whose place is stored with what comes of it.
//
// Several writes are one statement as well, by a function of the database that
// looks anew behind each lock. Locks are waited for in one order, by everybody:
// those of resources, then those of what others are given, by steps and keys, then
// those of rows. What is found later is only tried, and the statement begun anew.
// So no two transactions wait for each other. Each change of who sees a resource
// leaves an event with exactly its keys before and after.
//
// What a caller sees is a condition on every row that a search, an include or a
// history touches, beside what is asked of it and before anything is counted, put
// in order or cut off. So an answer is the one that there would be if nothing else
// were stored. What may differ is how long it takes, and with that whether it is
// refused for taking too long: the way to the rows is chosen by what is known of
// all of them.
//
// Faults of the database come back as [*Unavailable]. Everything else that is
// not an [*fhir.Outcome] is a fault of ours.
package store
