// Package migrations owns the database schema: numbered SQL files, applied forward only.
//
// The files in sql are the only way a table changes. Each is written so that the previous version of the server keeps working on
// the result. schema.sql is a dump of what they add up to, for reading; the tables are explained in the files.
// The package knows nothing of what the tables mean to the rest of the server.
package migrations

//go:generate go run ./dump schema.sql
