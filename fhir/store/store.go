package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// Config says how to reach the database.
type Config struct {
	DSN string // as lib/pq takes it; binary_parameters=yes is added

	Conns  int  // connections at most; 4 for each core
	Unsafe bool // accept a database that may lose acknowledged writes in a crash

	BaseURL string       // of the API: references to URLs below it are to resources here; empty is not known
	Log     *slog.Logger // of what is done in the background; nil for none

	Audit      bool // record what [DB.Record] and [Row.Trail] say
	AuditQueue int  // lines that may wait to be stored; 10,000 if zero
}

// DB is the store. It is safe for use by any number of goroutines.
type DB struct {
	sql      *sql.DB
	aside    *sql.DB        // for what is looked up in the midst of other work
	alone    func() *sql.DB // opens a pool of one connection beside it
	log      *slog.Logger
	secret   secret
	types    map[string]int16
	names    map[int16]string
	rowType  uint32 // what Postgres calls write_row
	tables   *searchsql.Tables
	bodies   *bodies
	prepared statements
	free     *semaphore.Weighted // connections that nobody holds
	waits    atomic.Int64        // for one of those
	turns    turns               // of searches
	patience time.Duration       // for one statement; zero has no end

	base       string
	registry   atomic.Pointer[search.Registry]
	refreshing sync.Mutex    // held while the registry is read
	awake      chan struct{} // tells the indexer that there is work
	pulses     *pulses
	known      knowledge
	bounds     bounds
	audit      *recorder // nil without an audit
}

// Open connects to a migrated database. It refuses one whose settings could lose
// acknowledged writes, unless c.Unsafe says to go on.
func Open(ctx context.Context, c Config) (*DB, error) {
	conns := c.Conns
	if conns == 0 {
		conns = 4 * runtime.GOMAXPROCS(0)
	}
	patience := silence
	if strings.Contains(c.DSN, "statement_timeout=") {
		patience = 0 // statements may take longer than we know
	}
	connector, err := connecting(c.DSN, patience)
	if err != nil {
		return nil, err
	}
	indexed, err := connecting(c.DSN, patience, "enable_seqscan=off")
	if err != nil {
		return nil, err
	}
	db := &DB{
		sql: pool(connector, conns), aside: pool(indexed, asideConns), alone: func() *sql.DB { return pool(connector, 1) }, log: c.Log, base: strings.TrimRight(c.BaseURL, "/"),
		free: semaphore.NewWeighted(int64(conns)), turns: newTurns(conns), bodies: newBodies(), patience: patience, awake: make(chan struct{}, 1), bounds: defaultBounds(), pulses: newPulses(),
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := db.prepare(ctx, c); err != nil {
		db.sql.Close()
		db.aside.Close()
		return nil, err
	}
	if c.Audit {
		db.audit = db.startRecorder(c.AuditQueue)
	}
	return db, nil
}

// connecting returns what makes connections with some parameters beside those that all
// of them have.
func connecting(dsn string, patience time.Duration, more ...string) (*pq.Connector, error) {
	connector, err := pq.NewConnector(withParameters(dsn, more...))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	connector.Dialer(dialer{silence: patience})
	return connector, nil
}

// statementTimeout is after how long Postgres gives up a statement.
const statementTimeout = 10 * time.Second

// withParameters adds what every connection of the store needs: binary parameters save a
// round trip and the doubling of bytea as hex; the timeouts bound what a lost
// client or a long statement can hold. More are parameters beside these.
func withParameters(dsn string, more ...string) string {
	return extended(dsn, append([]string{"binary_parameters=yes", "connect_timeout=3", fmt.Sprintf("statement_timeout=%d", statementTimeout.Milliseconds()),
		"idle_in_transaction_session_timeout=10000", "jit=off", "max_parallel_workers_per_gather=0"}, more...))
}

// extended adds those parameters to a DSN that it does not set itself.
func extended(dsn string, parameters []string) string {
	separator, prefix := " ", " "
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		separator, prefix = "&", "?"
		if strings.Contains(dsn, "?") {
			prefix = "&"
		}
	}
	var added []string
	for _, p := range parameters {
		if name, _, _ := strings.Cut(p, "="); !strings.Contains(dsn, name+"=") {
			added = append(added, p)
		}
	}
	if len(added) == 0 {
		return dsn
	}
	return dsn + prefix + strings.Join(added, separator)
}

// Pool returns at most so many connections to the database, for a package that has tables of its
// own beside those of the store. They are made when they are needed. Binary parameters, which
// save a round trip, are asked for unless the DSN says otherwise.
func Pool(dsn string, conns int) (*sql.DB, error) {
	connector, err := pq.NewConnector(extended(dsn, []string{"binary_parameters=yes"}))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return pool(connector, conns), nil
}

func pool(connector *pq.Connector, conns int) *sql.DB {
	p := sql.OpenDB(connector)
	p.SetMaxOpenConns(conns)
	p.SetMaxIdleConns(conns)
	return p
}

func (db *DB) prepare(ctx context.Context, c Config) error {
	if !c.Unsafe {
		if err := refuseUnsafe(ctx, db.sql); err != nil {
			return err
		}
	}
	if err := db.loadInstallation(ctx); err != nil {
		return err
	}
	if err := db.loadTypes(ctx); err != nil {
		return err
	}
	if err := db.loadTables(ctx); err != nil {
		return err
	}
	if err := db.readStatistics(ctx); err != nil {
		return err
	}
	if err := db.relayout(ctx); err != nil {
		return err
	}
	if _, err := db.refresh(ctx, &session{querier: db.sql}, 0); err != nil {
		return err
	}
	if err := db.defineOwn(ctx); err != nil {
		return err
	}
	if db.base != "" {
		if err := db.rebase(ctx); err != nil {
			return err
		}
	}
	return db.prepared.prepare(ctx, db, c.Audit)
}

// refuseUnsafe fails when a setting of the server lets a crash lose what was
// acknowledged, or hides running transactions from [DB.SafeTime].
func refuseUnsafe(ctx context.Context, db *sql.DB) error {
	const query = `SELECT name FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'track_activities') AND setting = 'off' ORDER BY name`
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return readFault("read the settings of the database", err)
	}
	defer rows.Close()
	var off []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fmt.Errorf("read the settings of the database: %w", err)
		}
		off = append(off, name)
	}
	if len(off) > 0 {
		return fmt.Errorf("the database has %s=off and could lose acknowledged writes: switch it on, or start with --unsafe", strings.Join(off, "=off, "))
	}
	return rows.Err()
}

func (db *DB) loadTypes(ctx context.Context) error {
	rows, err := db.sql.QueryContext(ctx, `SELECT type, name FROM res_type`)
	if err != nil {
		return readFault("read resource types", err)
	}
	defer rows.Close()
	db.types, db.names = map[string]int16{}, map[int16]string{}
	for rows.Next() {
		var number int16
		var name string
		if err := rows.Scan(&number, &name); err != nil {
			return fmt.Errorf("read resource types: %w", err)
		}
		db.types[name], db.names[number] = number, name
	}
	if err := rows.Err(); err != nil {
		return readFault("read resource types", err)
	}
	if err := db.sql.QueryRowContext(ctx, `SELECT 'write_row'::regtype::oid`).Scan(&db.rowType); err != nil {
		return readFault("read the type of a row", err)
	}
	return nil
}

// loadTables reads how res is divided: the bound of a partition names one type,
// or none for the rest.
func (db *DB) loadTables(ctx context.Context) error {
	const query = `SELECT c.relname, substring(pg_get_expr(c.relpartbound, c.oid) FROM '^FOR VALUES IN \(''(\d+)''\)$')::smallint
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'res'::regclass`
	rows, err := db.sql.QueryContext(ctx, query)
	if err != nil {
		return readFault("read the partitions of res", err)
	}
	defer rows.Close()
	db.tables = &searchsql.Tables{Numbers: db.types, Parts: map[int16]string{}}
	for rows.Next() {
		var name string
		var number *int16
		if err := rows.Scan(&name, &number); err != nil {
			return fmt.Errorf("read the partitions of res: %w", err)
		}
		if number == nil {
			db.tables.Rest = name
		} else {
			db.tables.Parts[*number] = name
		}
	}
	return rows.Err()
}

// Close stores what is still to be recorded and gives the connections back.
func (db *DB) Close() error {
	err := db.audit.close()
	// What was to be stored is stored: a connection that cannot take leave, of a database that is gone already, loses nothing.
	_, _ = db.sql.Close(), db.aside.Close()
	return err
}

// Ping reports whether the database answers, and no newer program has changed it in a way that
// keeps this one from searching and writing.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var layout int
	if err := db.sql.QueryRowContext(ctx, `SELECT layout FROM search_generation`).Scan(&layout); err != nil {
		return readFault("ping the database", err)
	}
	if layout > searchsql.Layout {
		return fitting(layout)
	}
	return nil
}

// bounded gives ctx the time that a statement may take, including the wait for a
// connection: behind a database that hangs, requests would queue up.
func (db *DB) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.patience == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, db.patience)
}

// hold waits for a connection to be free, not for ever, and returns a context
// that nothing cancels. A statement by key ends soon, and its connection sees to
// it that it does. With nothing to watch the driver starts no goroutines for it,
// and no write is in doubt because its client has gone. Who holds one calls
// db.free.Release(1), and holds no second one.
func (db *DB) hold(ctx context.Context) (context.Context, error) {
	if err := db.wait(ctx); err != nil {
		return nil, err
	}
	return context.WithoutCancel(ctx), nil
}

// wait does so for statements that end with their context.
func (db *DB) wait(ctx context.Context) error {
	if db.free.TryAcquire(1) {
		return nil
	}
	db.waits.Add(1)
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	if err := db.free.Acquire(ctx, 1); err != nil {
		return readFault("wait for a connection", err)
	}
	return nil
}

// Stats returns the state of the connection pool. Its WaitCount is how often anything has waited
// for a connection, whether it got one or not: for any of this pool, for one of those that searches
// may have, or for one to look something up in the midst of other work. WaitDuration leaves most of
// that out, since the pool is asked only for connections that are free.
func (db *DB) Stats() sql.DBStats {
	s := db.sql.Stats()
	s.WaitCount += db.waits.Load() + db.turns.waits.Load() + db.aside.Stats().WaitCount
	return s
}

// number returns the number of k's resource type and k's rid.
func (db *DB) number(k fhir.Key) (typ int16, rid int64, err error) {
	typ, ok := db.types[k.Type]
	if !ok {
		return 0, 0, fmt.Errorf("resource type %q has no number in res_type", k.Type)
	}
	return typ, db.secret.RID(k), nil
}
