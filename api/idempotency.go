package api

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	idempotencyKey = "Idempotency-Key"   // by which a request can be repeated
	replayed       = "Idempotent-Replay" // says that an answer is the one of before
	pastHeader     = "X-History"         // says that what is written is history
	maxKey         = 255                 // characters of an Idempotency-Key
)

// isRepeatable reports whether requests for i can be repeated under a key, tried out,
// and be about the past.
func isRepeatable(i access.Interaction) bool {
	switch i {
	case access.Create, access.Update, access.Patch, access.Delete, interaction.ProcessResponse, bundled:
		return true
	}
	return false
}

// keyed reads what says that a request is to be repeatable or to be tried out, and
// refuses that where it cannot be had. Reads by GET are repeatable as they are.
func keyed(c *gin.Context, r route) error {
	h := c.Request.Header
	keys, dry := h.Values(idempotencyKey), isDry(c.Request)
	switch {
	case isReading(c.Request.Method):
		return nil
	case !isRepeatable(r.interaction) && len(keys) > 0:
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "This request cannot be repeated under an %s; nothing was done. Leave the header out.", idempotencyKey)
	case !isRepeatable(r.interaction) && dry && r.writes:
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "This request cannot be tried out; nothing was done. Leave dry-run out of Prefer to have it done.")
	case len(h.Values(pastHeader)) > 0 && (!isRepeatable(r.interaction) || h.Get(pastHeader) != "true"):
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "%s is true, and for writes and Bundles only; nothing was done. Leave it out.", pastHeader)
	case len(keys) == 0:
		return nil
	case len(keys) > 1 || !validKey(keys[0]):
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "%s is one value of 1 to %d visible ASCII characters, made anew for each request that is not a repetition.", idempotencyKey, maxKey)
	case dry:
		return fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "A dry run stores nothing, so there is nothing to repeat; send %s without it.", idempotencyKey)
	}
	n := noteOf(c.Request)
	n.key, n.digest = keys[0], sha256.New()
	for _, part := range []string{c.Request.Method, strings.TrimSuffix(c.Request.URL.EscapedPath(), "/"), c.Request.URL.RawQuery, h.Get("If-Match"), h.Get("If-None-Match"), h.Get(noneExist)} {
		digest(n.digest, []byte(part))
	}
	for _, provenance := range h.Values(provenanceHeader) {
		digest(n.digest, []byte(provenance))
	}
	return nil
}

func validKey(key string) bool {
	return key != "" && len(key) <= maxKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// digest adds a part to h, so that no others give the same.
func digest(h hash.Hash, part []byte) {
	// A hash takes everything.
	_, _ = h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
	_, _ = h.Write([]byte{':'})
	_, _ = h.Write(part)
}

// digestSum returns the digest of the request, as far as it was read.
func (n *note) digestSum() []byte { return n.digest.Sum(nil) }

// keyOf returns the key of the i-th write of a batch. It is longer than any that a
// client sends may be, or has a character that none has.
func (n *note) keyOf(i int) string { return n.key + " " + strconv.Itoa(i) }

// isDry reports whether a request is to be tried out only.
func isDry(r *http.Request) bool { return parsePrefer(r.Header.Values("Prefer")).Dry }

// isPast reports whether a request loads history.
func isPast(r *http.Request) bool { return r.Header.Get(pastHeader) == "true" }

// An asked is what an answer is made by beside the results of the request.
type asked struct {
	Accept []string `json:"accept,omitempty"`
	Prefer []string `json:"prefer,omitempty"`
	Base   string   `json:"base"`
}

// receipt returns what is kept of a request, nil if it is not to be repeatable.
func (s *Server) receipt(c *gin.Context) *store.Receipt {
	n := noteOf(c.Request)
	if n.key == "" {
		return nil
	}
	// Texts always marshal.
	a, _ := json.Marshal(asked{Accept: c.Request.Header.Values("Accept"), Prefer: c.Request.Header.Values("Prefer"), Base: s.baseURL(c.Request)})
	return &store.Receipt{Key: n.key, Digest: n.digestSum(), Asked: a}
}

// repeated returns what is kept of the request if it was performed before.
func (s *Server) repeated(c *gin.Context) (*interaction.Repeat, error) {
	n := noteOf(c.Request)
	if n.key == "" {
		return nil, nil
	}
	return s.session(c).Received(c.Request.Context(), n.key, n.digestSum())
}

// repeat makes the request the one that was answered before, and says so.
func (s *Server) repeat(c *gin.Context, r *interaction.Repeat) error {
	c.Header(replayed, "true")
	return s.restore(c, r)
}

// restore makes the request ask for the form of answer that it asked for when it was
// performed.
func (s *Server) restore(c *gin.Context, r *interaction.Repeat) error {
	var a asked
	if err := json.Unmarshal(r.Asked, &a); err != nil {
		return fmt.Errorf("read what is kept of a request: %w", err)
	}
	c.Request.Header["Accept"], c.Request.Header["Prefer"] = a.Accept, a.Prefer
	noteOf(c.Request).base = a.Base
	return nil
}

// transact performs a transaction. If the same request was performed meanwhile over
// another connection, that one's answer is the Repeat.
func (s *Server) transact(c *gin.Context, b interaction.Bundle) ([]interaction.Reply, *interaction.Repeat, error) {
	if b.Dry {
		c.Header("Preference-Applied", "dry-run")
	}
	replies, err := s.session(c).Transaction(c.Request.Context(), b)
	if b.Receipt == nil || !errors.Is(err, store.ErrReceived) {
		return replies, nil, err
	}
	repeat, failed := s.session(c).Received(c.Request.Context(), b.Receipt.Key, b.Receipt.Digest)
	if repeat == nil && failed == nil {
		failed = fmt.Errorf("look for the receipt that was there: %w", err)
	}
	return nil, repeat, failed
}
