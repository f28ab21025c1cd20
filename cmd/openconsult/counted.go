package main

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// What comes of giving a message to a channel.
const (
	resultTaken    = "taken"
	resultFailed   = "failed"   // it is tried again
	resultRejected = "rejected" // it is not
)

// A counted provider counts what comes of its messages.
type counted struct {
	dispatch.Provider
	sent *prometheus.CounterVec
}

// countSent has the senders of all channels counted. Every count is there from the
// start, so that the first failure is seen as a rise.
func countSent(all map[consultation.Channel]dispatch.Sender, sent *prometheus.CounterVec) {
	for c, s := range all {
		if s.Provider == nil {
			continue
		}
		for _, result := range []string{resultTaken, resultFailed, resultRejected} {
			sent.WithLabelValues(string(c), result)
		}
		s.Provider = counted{s.Provider, sent}
		all[c] = s
	}
}

// Send gives the message away.
func (c counted) Send(ctx context.Context, m dispatch.Message) (dispatch.Acceptance, error) {
	r, err := c.Provider.Send(ctx, m)
	result := resultTaken
	switch {
	case errors.Is(err, dispatch.ErrRejected):
		result = resultRejected
	case err != nil:
		result = resultFailed
	}
	c.sent.WithLabelValues(string(m.Channel), result).Inc()
	return r, err
}
