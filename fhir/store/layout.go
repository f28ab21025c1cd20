package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// errNewerLayout means that another program has given the search rows a layout
// that this one knows nothing of.
var errNewerLayout = errors.New("the search rows were made by a newer version of this program: run that one")

// fitting reports whether rows of a layout are found by what this program asks:
// nil, or that the database is of no use to it any more.
func fitting(layout int) error {
	if layout == searchsql.Layout {
		return nil
	}
	return &Unavailable{Err: fmt.Errorf("read the search parameters: rows have layout %d, this program makes layout %d: %w", layout, searchsql.Layout, errNewerLayout)}
}

// relayout has all search rows built anew if they have an older layout than this
// program gives them. Until that is done nothing can be searched. A newer one is
// an error.
func (db *DB) relayout(ctx context.Context) error {
	var layout int
	if err := db.sql.QueryRowContext(ctx, `SELECT layout FROM search_generation`).Scan(&layout); err != nil {
		return readFault("read the layout of search rows", err)
	}
	if layout >= searchsql.Layout {
		return fitting(layout)
	}
	return db.within(ctx, func(ctx context.Context, s *session) error {
		generation, err := lockGeneration(ctx, s)
		if err != nil {
			return err
		}
		// A server that starts along with this one may have been first.
		const move = `UPDATE search_generation SET layout = $1 WHERE layout < $1 RETURNING EXISTS (SELECT FROM res)`
		var hasRows bool
		switch err := s.tx.QueryRowContext(ctx, move, searchsql.Layout).Scan(&hasRows); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return fault("write the layout of search rows", err)
		case !hasRows:
			return nil
		}
		return await(ctx, s, generation+1)
	})
}

// await begins a generation in which nothing is searched before all rows are built
// anew.
func await(ctx context.Context, s *session, generation int) error {
	if err := begin(ctx, s, generation, nil); err != nil {
		return err
	}
	if _, err := s.tx.ExecContext(ctx, `UPDATE reindex_job SET awaited = true WHERE gen = $1`, generation); err != nil {
		return fault("begin a reindexing", err)
	}
	return nil
}

// searchable reports whether searches find everything that there is: nil, or an
// Unavailable Outcome that says how far the rows are.
func searchable(r *search.Registry) error {
	if r.Missing == 0 {
		return nil
	}
	return fhir.Errorf(fhir.Unavailable, fhir.Transient, "",
		"What resources are searched by is being rebuilt, %d %% of them are done; reading and writing go on. Search again later.", 100-r.Missing)
}
