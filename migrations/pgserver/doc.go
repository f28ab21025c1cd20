// Package pgserver runs a private PostgreSQL cluster in a directory, from the binaries that the machine has installed.
//
// The cluster listens on a unix socket in a directory of mode 0700 and nowhere else. It outlives a killed program: the next [Start]
// adopts it if it still runs and lets it recover if it does not. A program started by root runs it as an unprivileged user. Under
// systemd use KillMode=mixed, so that PostgreSQL is stopped by the program and not beside it.
//
// The directory holds:
//
//	pg/                     the PostgreSQL data directory
//	run/                    the socket (a long path moves it to the system's directory of temporary files)
//	lock                    held by the program that runs the cluster
//	postgresql.conf         written at each start
//	postgresql.local.conf   settings of the operator, read last, if present
//	postgres.log            what PostgreSQL says
//
// The package knows nothing of the tables inside.
package pgserver
