package conformance_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// sends is how a server under test sends messages. The zero value takes those for all channels
// and does nothing with them.
type sends struct {
	channels map[consultation.Channel]dispatch.Sender
	now      func() time.Time // nil for the time there is
}

// nowhere takes messages and does nothing with them.
type nowhere struct{}

// Send takes m.
func (nowhere) Send(context.Context, dispatch.Message) (dispatch.Acceptance, error) {
	return dispatch.Acceptance{}, nil
}

// open makes what sends messages for x; nothing does so on a server that does nothing by itself.
func (s sends) open(t *testing.T, x *errands, log *slog.Logger) interaction.Senders {
	t.Helper()
	if x.idle {
		return nil
	}
	if s.channels == nil {
		s.channels = map[consultation.Channel]dispatch.Sender{}
		for _, c := range consultation.Channels() {
			s.channels[c] = dispatch.Sender{Provider: nowhere{}}
		}
	}
	var err error
	x.dispatch, err = dispatch.New(dispatch.Config{Store: x.data, DSN: x.dsn, Channels: s.channels, Link: "https://example.org/messages/{id}", Now: s.now, Idle: 20 * time.Millisecond, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return x.dispatch
}
