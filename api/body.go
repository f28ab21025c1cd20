package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// slowest is the least rate, in bytes a second, at which a body may arrive.
const slowest = 64 << 10

// arrival returns how long a body of that many bytes may take.
func arrival(size int64) time.Duration {
	if size == 0 {
		return 0
	}
	return 30*time.Second + time.Duration(size/slowest)*time.Second
}

// limitOf returns how large the body of a request about typ may be.
func (s *Server) limitOf(typ string) int64 {
	switch typ {
	case "Bundle":
		return s.config.Limits.Bundle
	case "Binary":
		return s.config.Limits.Binary
	}
	return s.config.Limits.Body
}

// readBody reads the body of a request, up to limit bytes. What announces more
// is refused before it is read; what sends more is refused when it does.
func (s *Server) readBody(c *gin.Context, limit int64) ([]byte, error) {
	r := c.Request
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &refusal{http.StatusUnsupportedMediaType, fhir.NotSupported, "The server takes bodies without Content-Encoding only; send it uncompressed."}
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	err := noteOf(r).seat.arriving(r.Context(), func() error {
		_, err := b.ReadFrom(http.MaxBytesReader(c.Writer, r.Body, limit))
		return err
	})
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, cutShort(err)
	}
	// Left in place, the deadline of the body would break off the request later.
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
	if n := noteOf(r); n.digest != nil {
		digest(n.digest, b.Bytes())
	}
	return b.Bytes(), nil
}

func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The body is shorter than its Content-Length says.")
	}
	return &refusal{http.StatusRequestTimeout, fhir.Timeout, "The body did not arrive; send the request again."}
}

func tooLarge(limit int64) error {
	return fhir.Errorf(fhir.TooLarge, fhir.TooLong, "", "The body is larger than the %d bytes that this address takes.", limit)
}

// decode reads the resource of type typ that a request sends.
func (s *Server) decode(c *gin.Context, typ string) (*fhir.Resource, error) {
	f, err := bodyFormat(c.Request)
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(c, s.limitOf(typ))
	if err != nil {
		return nil, err
	}
	if f == xmlFormat {
		return fhir.DecodeXML(typ, body)
	}
	return fhir.Decode(typ, body)
}

// bodyFormat returns the format that Content-Type names.
func bodyFormat(r *http.Request) (format, error) {
	header := r.Header.Get("Content-Type")
	name, ok := splitType(header)
	if f := formatOf(name); ok && isUTF8(header) && (f == jsonFormat || f == xmlFormat) {
		return f, nil
	}
	return 0, unsupportedType("application/fhir+json or application/fhir+xml")
}

// isUTF8 reports whether a Content-Type names no charset but UTF-8.
func isUTF8(contentType string) bool {
	_, parameters, err := mime.ParseMediaType(contentType)
	charset, named := parameters["charset"]
	return err == nil && (!named || strings.EqualFold(charset, "utf-8"))
}

func unsupportedType(want string) error {
	return &refusal{http.StatusUnsupportedMediaType, fhir.NotSupported, "The server does not take this Content-Type here; send " + want + " in UTF-8."}
}
