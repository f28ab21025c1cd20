package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openconsult/openconsult/api"
)

// newAdmission returns the histogram of waits to be let in; what it counts is how many
// were let in and how many refused.
func newAdmission() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "openconsult_admission_wait_seconds",
		Help:    "Time that requests waited to be let in, or to be refused since there was too much to do, by what they cost.",
		Buckets: []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1},
	}, []string{"class", "admitted"})
}

// observeAdmission notes whether a request was let in, if that was asked.
func observeAdmission(h *prometheus.HistogramVec, o api.Observation) {
	if o.Class != "" {
		h.WithLabelValues(o.Class, strconv.FormatBool(o.Admitted)).Observe(o.Waited.Seconds())
	}
}
