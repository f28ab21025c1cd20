// Command openconsult is the OpenConsult server and what its operator does
// beside it: migrate, config, version, backup, restore, reindex, user, client,
// token, launch, keys, load, export, watch, demo.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // opening hours are in the zones of their places, which a small machine may not have

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal then ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "openconsult: "+err.Error())
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "openconsult",
		Short:         "FHIR R4 server for online consultations in general practice",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(serveCommand(), migrateCommand(), configCommand(), versionCommand(), backupCommand(), restoreCommand(), reindexCommand(),
		userCommand(), clientCommand(), tokenCommand(), launchCommand(), keysCommand(), loadCommand(), exportCommand(), watchCommand(), demoCommand())
	return c
}
