package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// searchReport is the outcome of a search run.
type searchReport struct {
	Resources uint64      `json:"resources"`
	Seed      uint64      `json:"seed"`
	Clients   int         `json:"clients"`
	Rows      []searchRow `json:"searches"`
}

type searchRow struct {
	Name     string     `json:"name"`
	Example  string     `json:"example"`
	Measured []measured `json:"measured"`
	// OwnSQL is how often its statement runs each second straight on the database, with all clients; 0 when it was not
	// measured or takes several statements.
	OwnSQL float64 `json:"own_sql_per_second,omitempty"`
}

// measured is one search under one number of clients.
type measured struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"per_second"`
	Matches   float64 `json:"matches"` // on a page, on average
	Latency   latency `json:"latency_ms"`
}

func (r searchReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "search in %d resources, seed %d; ms\n\n", r.Resources, r.Seed)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tmatches\tp50\tp99\t1 client/s\tp50\tp99\t%d clients/s\tof own SQL\t\n", r.Clients)
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%.1f\t", row.Name, row.Measured[0].Matches)
		for _, m := range row.Measured {
			fmt.Fprintf(w, "%.2f\t%.2f\t%.0f\t", m.Latency.P50, m.Latency.P99, m.PerSecond)
		}
		fmt.Fprintln(w, row.share()+"\t")
	}
	return w.Flush()
}

// share is what the server reaches of the rate of its own SQL.
func (r searchRow) share() string {
	if r.OwnSQL == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*r.Measured[len(r.Measured)-1].PerSecond/r.OwnSQL)
}
