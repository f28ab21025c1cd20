package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed sql/*.sql
var embedded embed.FS

// versionTable records the applied migrations. It is found through search_path like every other table.
const versionTable = "schema_version"

// undefinedTable is the SQLSTATE of a table that does not exist.
const undefinedTable = "42P01"

// ErrNewer says that the schema was made by a newer version of this program than the one that runs.
var ErrNewer = errors.New("the database schema is newer than this program")

var latest = sync.OnceValue(func() int64 {
	return int64(len(files()))
})

// Latest is the number of the newest migration in this program.
func Latest() int64 { return latest() }

// Fingerprint is a hexadecimal hash of all migrations: equal for equal schemas.
func Fingerprint() string {
	sum := sha256.New()
	for _, name := range files() {
		text, err := embedded.ReadFile(name)
		if err != nil {
			panic(err) // unreachable: the name was listed from the same embedded files
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Version is the number of the newest migration applied to the first schema of the connection's search_path: 0 for an empty
// database.
func Version(ctx context.Context, db *sql.DB) (int64, error) {
	// A table of that name further down the search_path belongs to somebody else.
	const query = `SELECT coalesce(max(version_id), 0) FROM ` + versionTable + `
		WHERE is_applied AND tableoid = to_regclass(format('%I.%I', current_schema(), '` + versionTable + `'))`
	var version int64
	err := db.QueryRowContext(ctx, query).Scan(&version)
	if isUndefinedTable(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", versionTable, err)
	}
	return version, nil
}

// Check says whether this program can work with a schema of the given version: an error that wraps [ErrNewer] if the schema is
// newer than the program. An older one is no error; [Up] brings it forward.
func Check(version int64) error {
	if version <= Latest() {
		return nil
	}
	return fmt.Errorf("%w (schema %d, program %d): run the newer program, or restore a backup that was made before the upgrade",
		ErrNewer, version, Latest())
}

// Up brings the schema forward to [Latest]: one query when it is there already. Servers that start together wait for each other
// (at most five minutes). One connection of the pool is enough. It refuses as [Check] does.
func Up(ctx context.Context, db *sql.DB) error {
	version, err := Version(ctx, db)
	if err != nil {
		return err
	}
	if err := Check(version); err != nil {
		return err
	}
	if version == Latest() {
		return nil
	}
	provider, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from %d to %d: %w", version, Latest(), err)
	}
	// A newer program may have been at work while this one waited for its turn.
	if version, err = Version(ctx, db); err != nil {
		return err
	}
	return Check(version)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(embedded, "sql")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
}

// files lists the migrations in order. They are numbered from 1 without gaps, which a test proves.
func files() []string {
	names, err := fs.Glob(embedded, "sql/*.sql")
	if err != nil {
		panic(err) // unreachable: the pattern is a constant
	}
	return names
}

func isUndefinedTable(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == undefinedTable
}
