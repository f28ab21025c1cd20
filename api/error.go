package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// A refusal is an error of HTTP rather than of FHIR: its status has no class of
// Outcome behind it.
type refusal struct {
	status int
	code   fhir.Code
	text   string
}

// Error returns the sentence for the caller.
func (r *refusal) Error() string { return r.text }

// statusGone is what logs and metrics say of a request whose client has gone
// away before the answer; there is nobody to read it.
const statusGone = 499

// statuses maps what went wrong to the status that says so.
// https://hl7.org/fhir/R4/http.html#Status-Codes
var statuses = [...]int{
	fhir.BadRequest:    http.StatusBadRequest,
	fhir.Unprocessable: http.StatusUnprocessableEntity,
	fhir.Unauthorized:  http.StatusUnauthorized,
	fhir.Denied:        http.StatusForbidden,
	fhir.Unknown:       http.StatusNotFound,
	fhir.Gone:          http.StatusGone,
	fhir.Clash:         http.StatusConflict,
	fhir.Stale:         http.StatusPreconditionFailed,
	fhir.TooLarge:      http.StatusRequestEntityTooLarge,
	fhir.Busy:          http.StatusTooManyRequests,
	fhir.Unavailable:   http.StatusServiceUnavailable,
	fhir.Full:          http.StatusInsufficientStorage,
}

// handle adapts a handler that returns an error, and is the only place where an
// error becomes a response.
func (s *Server) handle(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		noteRoute(c.Request, r.path)
		answerHeaders(c.Writer.Header())
		err := s.admitted(c, r)
		if err == nil {
			err = s.serving(c, r)(c)
		}
		if err == nil {
			return
		}
		c.Abort()
		s.fail(c, err)
	}
}

// admitted checks what every route demands before its handler runs.
func (s *Server) admitted(c *gin.Context, r route) error {
	// A slash within a segment would be taken for one between two.
	if strings.Contains(strings.ToLower(c.Request.URL.RawPath), "%2f") {
		return nothingHere()
	}
	if err := refuseToken(c.Request.URL.RawQuery); err != nil {
		return err
	}
	if r.rule == granted {
		if err := s.identify(c, r); err != nil {
			return err
		}
	}
	if r.path == "" {
		return nil
	}
	if r.writes && noteOf(c.Request).inner {
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "This begins something, or changes something; send it by itself and not in a Bundle.")
	}
	if err := keyed(c, r); err != nil {
		return err
	}
	if !r.criteria {
		if err := checkParams(r, c.Request.URL.RawQuery); err != nil {
			return err
		}
	}
	if !r.writes {
		return nil
	}
	if err := unsupportedHeaders(r, c.Request.Header); err != nil {
		return err
	}
	if s.config.Writable == nil {
		return nil
	}
	return s.config.Writable()
}

// fail answers with the outcome that err stands for.
func (s *Server) fail(c *gin.Context, err error) {
	status, outcome := s.told(c, err)
	if status == statusGone {
		c.Status(statusGone)
		return
	}
	if says := challenge(c.Request, status, outcome); says != "" {
		c.Header("WWW-Authenticate", says)
	}
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInsufficientStorage:
		c.Header("Retry-After", "2")
	}
	if len(outcome.Issues) > 0 && outcome.Issues[0].Detail == "request-in-flight" {
		c.Header("Retry-After", "1")
	}
	if len(outcome.Issues) > 0 && outcome.Issues[0].Detail == "attachment-pending" {
		c.Header("Retry-After", "5")
	}
	if used, is := errors.AsType[*interaction.InUse](err); is && used.By.ID != "" {
		c.Header("Location", s.baseURL(c.Request)+"/"+used.By.String())
	}
	s.render(c, status, outcome.JSON())
}

// told returns what the caller is told of err. What is a fault of ours is logged under
// the id of the request, which the caller then gets in the text.
func (s *Server) told(c *gin.Context, err error) (int, *fhir.Outcome) {
	status, outcome := translate(err)
	doubtful := len(outcome.Issues) > 0 && outcome.Issues[0].Detail == "outcome-unknown"
	if doubtful && s.config.Doubted != nil {
		s.config.Doubted() // also for who has gone: that one does not know either
	}
	// An Outcome that stands alone says all there is; one within an error was
	// caused by something.
	if _, alone := err.(*fhir.Outcome); status >= http.StatusInternalServerError && !alone {
		if c.Request.Context().Err() == context.Canceled {
			return statusGone, outcome
		}
		if s.logFault(c.Request, status, err) && fhir.AsOutcome(err) == nil {
			outcome.Issues[0].Text += " The id of this request is " + requestID(c.Request) + "."
		}
	}
	if doubtful && noteOf(c.Request).key != "" {
		outcome.Issues[0].Text = "The database did not answer, so it is not known whether the request was carried out; send it again with the same " + idempotencyKey + ", which is safe: it is carried out once."
	}
	return status, outcome
}

// logFault logs what a request failed of and reports whether it did. While the
// database is away that is the same for all, so one line a second stands for them.
func (s *Server) logFault(r *http.Request, status int, err error) bool {
	if _, away := errors.AsType[*store.Unavailable](err); away {
		now, last := time.Now().Unix(), s.awayLogged.Load()
		if now == last || !s.awayLogged.CompareAndSwap(last, now) {
			return false
		}
	}
	s.config.Log.ErrorContext(r.Context(), "request failed", "request", requestID(r), "method", methodOf(r), "route", routeOf(r), "status", status, "err", err)
	return true
}

// translate returns the status and outcome of err.
func translate(err error) (int, *fhir.Outcome) {
	if o := fhir.AsOutcome(err); o != nil {
		return statuses[o.Class], o
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status, fhir.Errorf(fhir.BadRequest, r.code, "", "%s", r.text)
	}
	if u, ok := errors.AsType[*store.Unavailable](err); ok {
		o := fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The database cannot do this at the moment, so nothing was stored; send the request again later.")
		o.Issues[0].Detail = "not-stored"
		if u.Unknown {
			o.Issues[0].Text = "The database did not answer, so it is not known whether the request was carried out; look before you send it again."
			o.Issues[0].Detail = "outcome-unknown"
		}
		return http.StatusServiceUnavailable, o
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable, fhir.Errorf(fhir.Unavailable, fhir.Timeout, "", "The request took too long; send it again later.")
	}
	return http.StatusInternalServerError, fhir.Errorf(fhir.BadRequest, fhir.Exception, "", "The server has failed; nothing that you sent is to blame.")
}

// unsupportedHeaders refuses headers that would change what a write does and
// that the server does not follow, rather than ignoring them.
func unsupportedHeaders(r route, h http.Header) error {
	o := &fhir.Outcome{}
	for _, name := range []string{noneExist, "If-Unmodified-Since", "Content-Range", provenanceHeader, "X-Cascade"} {
		if len(h.Values(name)) > 0 && !(name == noneExist && r.interaction == access.Create) && !(name == provenanceHeader && takesProvenance(r.interaction)) {
			o.Issues = append(o.Issues, fhir.Issue{Code: fhir.NotSupported, Text: "The header " + name + " is not supported; nothing was stored. Leave it out."})
		}
	}
	if len(o.Issues) > 0 {
		return o
	}
	if takesProvenance(r.interaction) {
		_, err := withProvenance(h, interaction.Entry{})
		return err
	}
	return nil
}
