package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir/searchsql"
)

// An Explanation says how a search was answered: its statements, in the order
// they ran.
type Explanation struct {
	Steps []Step
}

// A Step is one statement of a search.
type Step struct {
	What     string        // what it was for: "page", "patient.name", "_include=Task:patient"
	Path     string        // how the rows were found: "found first" or "walk"
	Why      string        // why that way
	Expected float64       // rows that match, by the statistics; negative when there are none
	Rows     int           // rows that came
	Took     time.Duration // until the last row was read
	SQL      string        // with hashes for everything that was asked
	Plan     string        // what Postgres plans for it; of pages only

	cost float64 // of the paths
}

// choice notes how the rows of one arm are found.
func (s *Step) choice(p path) {
	s.cost += p.cost
	way := "found first"
	if p.walk {
		way = "walk"
	}
	if s.Path == "" {
		s.Path, s.Why, s.Expected = way, p.why, p.rows
		return
	}
	if !strings.Contains(s.Path, way) {
		s.Path += ", " + way
	}
	if s.Expected >= 0 {
		s.Expected += p.rows
	}
}

// plan has Postgres say how it would run a statement.
func (s *searching) plan(ctx context.Context, statement searchsql.Statement, step *Step) error {
	rows, err := s.querier.QueryContext(ctx, "EXPLAIN (FORMAT TEXT) "+statement.SQL, statement.Args...)
	if err != nil {
		return s.fault(ctx, "explain", err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line sql.RawBytes
		if err := rows.Scan(&line); err != nil {
			return s.fault(ctx, "explain", err)
		}
		lines = append(lines, string(line))
	}
	step.Plan = strings.Join(lines, "\n")
	if err := rows.Err(); err != nil {
		return s.fault(ctx, "explain", err)
	}
	return nil
}
