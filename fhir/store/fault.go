package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// Unavailable means that the database could not be asked, or did not answer. The
// same request may succeed later.
type Unavailable struct {
	Unknown bool // the statement was sent and its fate is not known: a write may have happened
	Err     error
}

// Error says what was being done and why it did not work out.
func (u *Unavailable) Error() string { return u.Err.Error() }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Err }

// fault wraps err with what was being done, and tells the database being away
// from everything else. https://www.postgresql.org/docs/15/errcodes-appendix.html
func fault(doing string, err error) error {
	wrapped := fmt.Errorf("%s: %w", doing, err)
	if e, ok := errors.AsType[*pq.Error](err); ok {
		if e.Code == "53100" {
			return fhir.Errorf(fhir.Full, fhir.NoStore, "", "There is no room left to store anything; reading goes on.")
		}
		if e.Code == mergedPatient {
			return NamesMerged()
		}
		switch e.Code.Class() {
		case "08", "53", "57", "55", "40", "25":
			return &Unavailable{Err: wrapped}
		}
		return wrapped
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return &Unavailable{Unknown: e.Op != "dial", Err: wrapped}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) {
		return &Unavailable{Unknown: true, Err: wrapped}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sql.ErrConnDone) {
		return &Unavailable{Unknown: true, Err: wrapped}
	}
	return wrapped
}

// readFault does so for a statement that writes nothing, whose fate is never in
// doubt.
func readFault(doing string, err error) error {
	err = fault(doing, err)
	if u, ok := errors.AsType[*Unavailable](err); ok {
		return &Unavailable{Err: u.Err}
	}
	return err
}
