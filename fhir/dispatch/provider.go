package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// A Provider sends messages by some channel.
type Provider interface {
	// Send gives a message away. It may be called again with the same Key after it
	// has succeeded, when this server did not live to know. An error that is not
	// [ErrRejected] is tried again.
	Send(ctx context.Context, m Message) (Acceptance, error)
}

// A Message is what a Provider sends.
type Message struct {
	Key     string               // the same whenever the same comes again
	ID      string               // of the Communication: what callbacks name
	Channel consultation.Channel //
	To      string               // see [consultation.Way]
	Subject string               // for channels that have one: nothing clinical
	Text    string               // plain
}

// An Acceptance is what a Provider says of a message that it took.
type Acceptance struct {
	ID    string // by which it knows the message; may be empty
	Final bool   // no callback will follow: that it was taken is all there will ever be to know
}

// ErrRejected is what an error of a Provider wraps when there is no use in trying
// again: the address or the message is not good.
var ErrRejected = errors.New("the provider rejects the message")

// rejected returns an error that wraps [ErrRejected].
func rejected(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRejected, fmt.Sprintf(format, args...))
}
