package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry returns a registry with what is known of this process. What they
// mean and what to do about them is in monitoring/README.md.
func newRegistry(a *admin) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(a.requests, a.sent, a.let, a.doubts, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		constant("openconsult_build_info", "Always 1, with the version of the program.", prometheus.Labels{"version": version()}, 1),
		gauge("openconsult_database_connections", "Open database connections of the pool for requests.", func() float64 { return float64(a.data.Stats().OpenConnections) }),
		gauge("openconsult_database_connections_used", "Connections of that pool at work.", func() float64 { return float64(a.data.Stats().InUse) }),
		gauge("openconsult_database_connections_max", "Connections that pool may have.", func() float64 { return float64(a.data.Stats().MaxOpenConnections) }),
		counter("openconsult_database_waits_total", "Times a request waited for a database connection.", func() float64 { return float64(a.data.Stats().WaitCount) }),
		gauge("openconsult_audit_lines_waiting", "Lines of audit that this server has taken and not stored yet.", func() float64 { n, _ := a.data.Unrecorded(); return float64(n) }),
		gauge("openconsult_audit_lines_waiting_max", "How many may wait before nothing is done any more that has to be recorded; 0 without an audit.", func() float64 { _, most := a.data.Unrecorded(); return float64(most) }))
	return r
}

// observeMachine adds what is known of the disk and the process of a private database, and of the
// certificate.
func (a *admin) observeMachine(s *settings, db *database) error {
	if db.private != nil {
		a.registry.MustRegister(
			gauge("openconsult_disk_free_ratio", "Part of the disk under --data-dir that is free, 0 to 1.", func() float64 { return freeRatio(s.DataDir) }),
			constant("openconsult_disk_free_minimum_ratio", "Part of it that must be free for writes.", nil, s.DiskFree/100),
			counter("openconsult_database_restarts_total", "Times the private PostgreSQL ended by itself and was started again.", func() float64 { return float64(db.private.Restarts()) }))
	}
	if s.TLSCert == "" {
		return nil
	}
	c, err := certificate(s)
	if err != nil {
		return err
	}
	a.registry.MustRegister(constant("openconsult_certificate_expiry_timestamp_seconds", "When the certificate that is served runs out, in seconds since 1970.",
		nil, float64(c.Leaf.NotAfter.Unix())))
	return nil
}

// freeRatio returns which part of the disk under path is free; -1 is not known.
func freeRatio(path string) float64 {
	free, err := freePercentage(path)
	if err != nil {
		return -1
	}
	return free / 100
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func counter(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
}

func constant(name, help string, labels prometheus.Labels, value float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return value })
}

// newDoubts returns the counter of writes that are in doubt.
func newDoubts() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "openconsult_writes_unknown_total",
		Help: "Requests, and entries of batches, of which it is not known whether they were carried out, because the database did not say whether it has committed.",
	})
}

// newSent returns the counter of messages given to channels.
func newSent() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "openconsult_dispatch_attempts_total",
		Help: fmt.Sprintf("Messages given to a channel, by what came of it: %s, %s or %s.", resultTaken, resultFailed, resultRejected),
	}, []string{"channel", "result"})
}
