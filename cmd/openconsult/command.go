package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

// command returns a subcommand that has its settings complete when it runs.
func command(use, short string, run func(ctx context.Context, s *settings, args []string) error) *cobra.Command {
	s := &settings{}
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	c.Flags().AddFlagSet(s.flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := complete(c.Flags(), os.Environ()); err != nil {
			return err
		}
		if err := s.check(); err != nil {
			return err
		}
		return run(c.Context(), s, args)
	}
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		fmt.Println("openconsult", version())
	}}
}

// release is the version of a release, which the linker sets (-X main.release=…). Other builds
// leave it empty.
var release string

// version returns the version of the release, or what the build recorded.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return strings.Trim(info.Main.Version, "()")
}

func migrateCommand() *cobra.Command {
	return command("migrate", "Bring the database to the schema of this version", func(ctx context.Context, s *settings, _ []string) error {
		log := newLog(s)
		db, err := openDatabase(ctx, s, log)
		if err != nil {
			return err
		}
		defer db.stop()
		fmt.Println("the schema is current")
		return nil
	})
}

func backupCommand() *cobra.Command {
	c := command("backup TO", "Copy the private database, while it runs, to the new directory TO", func(ctx context.Context, s *settings, args []string) error {
		if s.DSN != "" {
			return fmt.Errorf("backup copies the private database only; for --dsn use pg_basebackup or the means of its operator")
		}
		if err := pgserver.Backup(ctx, s.DataDir, args[0]); err != nil {
			return err
		}
		fmt.Println("backed up to", args[0])
		return nil
	})
	c.Args = cobra.ExactArgs(1)
	return c
}

func restoreCommand() *cobra.Command {
	c := command("restore FROM", "Make a private database in the new --data-dir from the backup FROM", func(ctx context.Context, s *settings, args []string) error {
		if err := pgserver.Restore(ctx, args[0], s.DataDir); err != nil {
			return err
		}
		if err := beginFeed(ctx, s); err != nil {
			return err
		}
		fmt.Println("restored to", s.DataDir)
		return nil
	})
	c.Args = cobra.ExactArgs(1)
	return c
}

// beginFeed starts a new generation of the feed in a restored database.
func beginFeed(ctx context.Context, s *settings) error {
	db, err := openDatabase(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	data, err := store.Open(ctx, store.Config{DSN: db.dsn, Unsafe: s.Unsafe})
	if err != nil {
		return errors.Join(err, db.stop())
	}
	return errors.Join(data.BeginFeed(ctx), data.Close(), db.stop())
}
