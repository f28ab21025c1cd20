package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestRegistryScripts runs the commands that keep accounts, clients and keys, each
// script on a database of its own on which no server has run.
func TestRegistryScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/registry", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("OPENCONSULT_DSN", pgtest.New(t).DSN)
			e.Setenv("OPENCONSULT_BASE_URL", "http://localhost:8080/fhir")
			return nil
		},
	})
}
