package api

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// read serves GET [base]/[type]/[id], with ?_at= for a moment in the past.
// https://hl7.org/fhir/R4/http.html#read
func (s *Server) read(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	at, given := c.GetQuery("_at")
	if !given {
		v, err := s.session(c).Read(c.Request.Context(), k)
		return s.version(c, v, err)
	}
	moment, err := parsePeriod("_at", at)
	if err != nil {
		return err
	}
	v, err := s.session(c).ReadAt(c.Request.Context(), k, moment.last())
	return s.version(c, v, err)
}

// vread serves GET [base]/[type]/[id]/_history/[vid].
// https://hl7.org/fhir/R4/http.html#vread
func (s *Server) vread(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	n, ok := versionNumber(c.Param("vid"))
	if !ok {
		return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such version of a %s with this id.", k.Type)
	}
	v, err := s.session(c).VRead(c.Request.Context(), k, n)
	return s.version(c, v, err)
}

// version answers with v, unless the caller already has it. A deletion comes
// with an error and says which version it is.
func (s *Server) version(c *gin.Context, v *store.Version, err error) error {
	if v != nil {
		versionHeaders(c, v)
	}
	if err != nil {
		return err
	}
	f, err := negotiateFor(c.Request, v)
	if err != nil {
		return err
	}
	if err := matches(c, v); err != nil {
		return err
	}
	fresh, err := notModified(c, v)
	switch {
	case err != nil:
		return err
	case fresh:
		c.Status(http.StatusNotModified)
		return nil
	case f == rawFormat:
		return s.raw(c, v)
	}
	return s.resource(c, http.StatusOK, v)
}

// A period is a span of time: a moment, or what a partial date stands for.
type period struct{ from, to time.Time } // to is not part of it

// last returns the last millisecond of p.
func (p period) last() time.Time { return p.to.Add(-time.Millisecond) }

// dateTime is the form of a date or dateTime, also one without seconds.
// https://hl7.org/fhir/R4/datatypes.html#dateTime
var dateTime = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?)?)?$`)

// parsePeriod reads a parameter that is a FHIR date or dateTime. A date is one
// in UTC. A moment in whole seconds stands for its second, one with a fraction
// for its millisecond.
func parsePeriod(name, s string) (period, error) {
	s = restorePlus(s)
	// The parser of the library takes more than FHIR does.
	if !dateTime.MatchString(s) {
		s = ""
	}
	fraction := time.Second
	if strings.Contains(s, ".") {
		fraction = time.Millisecond
	}
	for _, l := range []struct {
		layout string
		add    func(time.Time) time.Time
	}{
		{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
		{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
		{time.RFC3339Nano, func(t time.Time) time.Time { return t.Truncate(fraction).Add(fraction) }},
	} {
		// There is no year 0 in FHIR.
		if t, err := time.Parse(l.layout, s); err == nil && t.UTC().Year() > 0 {
			return period{t.UTC(), l.add(t).UTC()}, nil
		}
	}
	return period{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "%s is no date or time: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone, Z or +hh:mm.", name)
}

// restorePlus undoes what a query makes of the plus sign of a time zone.
func restorePlus(s string) string {
	b := []byte(s)
	if n := len(b); n > 6 && b[n-6] == ' ' {
		b[n-6] = '+'
	}
	return string(b)
}
