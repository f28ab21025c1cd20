package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// scanner returns what scans attachments; nil for none.
func (s *settings) scanner() (attachment.Scanner, error) {
	if s.ClamAV == "" {
		return nil, nil
	}
	c, err := attachment.NewClamd(s.ClamAV)
	if err != nil {
		return nil, fmt.Errorf("--clamav: %w", err)
	}
	return c, nil
}

// pingTime is how long a scanner may take to say that it is there.
const pingTime = 3 * time.Second

// scan scans what has waited for the scanner, until ctx ends. It returns nil. A server
// starts without its scanner, too: content waits then.
func scan(ctx context.Context, s *settings, engine *interaction.Engine, log *slog.Logger) error {
	if s.ClamAV == "" {
		if !s.Demo {
			log.Warn("attachments are not scanned for viruses, and are marked so: give --clamav to have them scanned")
		}
		return nil
	}
	if c, err := attachment.NewClamd(s.ClamAV); err == nil {
		asking, cancel := context.WithTimeout(ctx, pingTime)
		err = c.Ping(asking)
		cancel()
		if err != nil && ctx.Err() == nil {
			log.Error("the scanner does not answer; attachments wait for it", "error", err)
		}
	}
	engine.RunScans(ctx, func(err error) { log.Error("attachments cannot be scanned yet", "error", err) })
	return nil
}
