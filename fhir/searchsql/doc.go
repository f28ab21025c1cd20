// Package searchsql says with tables what package search says with values: what
// is written of a resource, and what is asked of the tables. It is pure; store
// runs the statements.
//
// Nearly everything that a resource is found by is a key: a keyed 64-bit hash of
// the parameter and the value, in one array with one index. [Secret.Row] makes
// the columns of a resource, [Secret.Filter] turns conditions into the keys and
// predicates that such rows have, and [Page], [Count], [IDs] and [Pointing] write
// the statements. What the tables cannot decide is left in [Filter.Check] for
// [search.Match]; what they say is never less than the truth.
//
// Each type of parameter has one file that holds both sides, what is written and
// what is asked. Text of a client is always a bound argument of a statement,
// never a part of it: only numbers, times and hashes are written out, for which
// Postgres plans better when it sees them.
package searchsql
