// Package bulk does what takes longer than a request: it exports and imports
// resources as NDJSON, and performs requests whose sender does not wait. It owns the
// tables bulk_job, bulk_file and bulk_piece.
// https://hl7.org/fhir/uv/bulkdata/STU2/ https://hl7.org/fhir/async-bundle.html
//
// A job is a row. Whichever server has its lease works on it, and renews the lease
// while it does; a server that is gone loses it, and another one goes on at the last
// place that was stored. Each place is stored in one transaction with what was made
// up to there, and only by who still has the lease. What a job does to resources may
// so be done twice, and is made to come to the same.
//
// An export has no files of its own. It is planned: for each type, lists are stored
// of the versions that one instant has. A file is read by its list when it is
// fetched, with what its reader may see then. So it is the same bytes each time, but
// for what has been hidden or purged since.
//
// A job belongs to the client that began it, and to the person whom it acted for.
// For everybody else it is not there. It is removed 24 hours after its end, unless [Config]
// says otherwise, and after seven days if it does not come to an end.
package bulk
