package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	_ "github.com/lib/pq" // the driver of the statements

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// rawDraws is how many statements of each search are made before the measurement.
const rawDraws = 200

// A rawSearcher runs the server's own statements for a search straight on its database: the ceiling of what the server
// can do.
type rawSearcher struct {
	db  *store.DB
	sql *sql.DB
}

func openRawSearcher(ctx context.Context, c config) (*rawSearcher, error) {
	db, err := store.Open(ctx, store.Config{DSN: c.dsn, Conns: c.clients, Unsafe: true})
	if err != nil {
		return nil, err
	}
	// The same settings of a session as the server has.
	pool, err := sql.Open("postgres", c.dsn+" binary_parameters=yes jit=off max_parallel_workers_per_gather=0")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool.SetMaxIdleConns(c.clients)
	return &rawSearcher{db, pool}, nil
}

func (r *rawSearcher) close() {
	// The run is over; what a connection still has to say is of no interest.
	_, _ = r.db.Close(), r.sql.Close()
}

// statements returns the text that the server runs for a search, with values drawn anew for each; none when it takes
// several statements to answer it.
func (r *rawSearcher) statements(ctx context.Context, s searching) ([]string, error) {
	random := rand.New(rand.NewPCG(s.seed, 1))
	var list []string
	for range rawDraws {
		q, err := r.parse(withCount(s.query.made(s.corpus, random)))
		if q == nil || err != nil {
			return nil, err
		}
		m, err := r.db.Search(ctx, access.Trusted("fhirbench"), q, "")
		if err != nil {
			return nil, err
		}
		if len(m.Explanation.Steps) != 1 {
			return nil, nil
		}
		list = append(list, m.Explanation.Steps[0].SQL)
	}
	return list, nil
}

// parse reads an address such as Task?status=requested; nil when it is no search of one type.
func (r *rawSearcher) parse(address string) (*search.Query, error) {
	typeName, raw, _ := strings.Cut(address, "?")
	if strings.Contains(typeName, "/") {
		return nil, nil
	}
	request := search.Request{Types: []string{typeName}, Params: []search.Parameter{{Name: "_explain", Value: "true"}}, Now: time.Now()}
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", address, err)
		}
		request.Params = append(request.Params, search.Parameter{Name: name, Value: value})
	}
	return r.db.Registry().Parse(request)
}

// measure repeats the statements until the time is over, and returns how many ran each second.
func (r *rawSearcher) measure(ctx context.Context, c config, s searching) (float64, error) {
	list, err := r.statements(ctx, s)
	if err != nil || list == nil {
		return 0, err
	}
	taken := r.side(s, list).take(ctx, c.duration)
	if taken.failed > 0 {
		return 0, errors.New(taken.failure)
	}
	return thousandths(taken.rate()), context.Cause(ctx)
}

// side runs the statements of a search by each client.
func (r *rawSearcher) side(s searching, statements []string) side {
	randoms := s.randoms()
	return side{clients: s.clients, next: func(client int) func(context.Context) error {
		statement := pick(randoms[client], statements)
		return func(ctx context.Context) error { return drain(ctx, r.sql, statement) }
	}}
}

// drain runs a statement and reads all its rows without looking at them.
func drain(ctx context.Context, db *sql.DB, statement string) error {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return fmt.Errorf("run the statement of a search: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("run the statement of a search: %w", err)
	}
	cells, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read the rows of a search: %w", err)
		}
	}
	return rows.Err()
}
