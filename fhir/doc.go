// Package fhir is the vocabulary of the server and its codec: resources,
// references, partial dates, outcomes, strict JSON and XML.
//
// A resource is the JSON text that a client sent, kept as it is, beside a tree
// of nodes that point into it and carry their definitions. [Decode] makes both
// in one pass and reports everything that is structurally wrong. Nothing is
// ever rendered back from the tree, so whatever was accepted comes back with
// its element order, its decimals and its extensions untouched.
//
// The stored form of a resource is compact JSON that begins with resourceType,
// id and meta, without meta.versionId and meta.lastUpdated: these are known only
// to the database, and [Stamp] splices them in on the way out, without parsing.
//
// The package knows nothing about HTTP, storage, search or access.
package fhir
