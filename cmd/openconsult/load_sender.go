package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A sender has chunks stored.
type sender struct {
	target  *target
	options *loadOptions
	ledger  *ledger
	stubs   *stubs // nil: what is named but not there is refused
}

// run sends what the queue hands out until it ends.
func (s *sender) run(ctx context.Context, q *queue) error {
	for c := range q.out {
		v := &verdict{stored: map[string]int64{}}
		if err := s.chunk(ctx, c, v); err != nil {
			return err
		}
		if err := s.ledger.acknowledge(c, v); err != nil {
			return err
		}
		q.free(c)
	}
	return nil
}

func (s *sender) chunk(ctx context.Context, c *chunk, v *verdict) error {
	if c.whole() {
		return s.whole(ctx, c, v)
	}
	var lines []line
	for i := range c.lines {
		if c.lines[i].why != nil {
			v.reject(&c.lines[i], outcomeOf(c.lines[i].why))
			continue
		}
		lines = append(lines, c.lines[i])
	}
	return s.lines(ctx, c.number, lines, v)
}

// sourceURL is the extension of the reason for a rejection that says where the line is
// from.
const sourceURL = extensionBase + "load-source"

// reject rejects a line. The reason says where it is from.
func (v *verdict) reject(l *line, reason []byte) {
	reason = bytes.TrimSpace(reason)
	from := fhir.AppendString([]byte(`{"extension":[{"url":"`+sourceURL+`","valueString":`), fmt.Sprintf("%s:%d", l.source, l.number))
	v.rejected = append(v.rejected, rejection{l.raw, append(append(from, `}],`...), reason[1:]...)})
}

// outcomeOf returns an error for the caller as an OperationOutcome.
func outcomeOf(err error) []byte {
	if o := fhir.AsOutcome(err); o != nil {
		return o.JSON()
	}
	return fhir.AsOutcome(fhir.Errorf(fhir.BadRequest, fhir.Processing, "", "%s", err)).JSON()
}

// reason returns what an answer says is wrong, as an OperationOutcome. Elements of entry
// i of a batch, if i is not negative, become those of the resource, of type typ; where
// in the batch they stand is left out.
func reason(status int, outcome []byte, i int, typ string) []byte {
	var o struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal(outcome, &o); err == nil && o.ResourceType == "OperationOutcome" {
		if i >= 0 {
			outcome = unplaced(outcome)
		}
		return bytes.ReplaceAll(outcome, fmt.Appendf(nil, "Bundle.entry[%d].resource", i), []byte(typ))
	}
	return outcomeOf(fmt.Errorf("the server answers %d %s and does not say why", status, http.StatusText(status)))
}

// unplaced returns an OperationOutcome of this server without lines and columns, which
// are those of a Bundle that nobody has seen.
func unplaced(outcome []byte) []byte {
	const extension = `\{"url":"http://hl7\.org/fhir/StructureDefinition/operationoutcome-issue-(?:line|col)","valueInteger":\d+\}`
	for _, part := range []string{`"extension":\[` + extension + `(?:,` + extension + `)*\],?`, extension + `,`, `,` + extension} {
		outcome = regexp.MustCompile(part).ReplaceAll(outcome, nil)
	}
	return outcome
}

// post sends a Bundle. key makes it fit to be sent twice.
func (s *sender) post(ctx context.Context, body []byte, key string) (*answer, error) {
	h := http.Header{"Prefer": {"return=minimal"}}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	if s.options.history {
		h.Set("X-History", "true")
	}
	return s.target.insist(ctx, request{method: http.MethodPost, address: s.target.at(""), header: h, body: body})
}

// hopeless reports whether an answer to a batch says that no other will be answered
// otherwise.
func hopeless(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented, http.StatusInsufficientStorage:
		return true
	}
	return status < 400
}

// A reply is a Bundle that answers another.
type reply struct {
	ResourceType string       `json:"resourceType"`
	Entry        []replyEntry `json:"entry"`
}

// A replyEntry answers one entry.
type replyEntry struct {
	Response struct {
		Status   string          `json:"status"`
		Location string          `json:"location"`
		Outcome  json.RawMessage `json:"outcome"`
	} `json:"response"`
}

func (e *replyEntry) status() int {
	code, _, _ := strings.Cut(e.Response.Status, " ")
	// What is no number is no success either.
	n, _ := strconv.Atoi(code)
	return n
}

func (e *replyEntry) ok() bool { return e.status() >= 200 && e.status() < 300 }

// readReply reads the answer to a Bundle of n entries.
func readReply(body []byte, n int) ([]replyEntry, error) {
	var r reply
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("read the answer to a Bundle: %w", err)
	}
	if n >= 0 && len(r.Entry) != n {
		return nil, fmt.Errorf("the answer to a Bundle of %d entries has %d", n, len(r.Entry))
	}
	return r.Entry, nil
}

// maxAgain is how often a Bundle is sent with entries for which the server had no time.
const maxAgain = 50

// decided posts a Bundle until the server has decided about each of its entries, n or
// -1 for as many as there are. It is the same Bundle each time: what was stored is found
// stored then.
func (s *sender) decided(ctx context.Context, body []byte, key string, n int) (*answer, []replyEntry, error) {
	var p pauses
	for range maxAgain {
		a, err := s.post(ctx, body, key)
		if err != nil || !a.ok() {
			return a, nil, err
		}
		entries, err := readReply(a.body, n)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(entries, func(e replyEntry) bool { return passing(e.status(), e.Response.Outcome) }) {
			return a, entries, nil
		}
		p.tries++
		if err := p.wait(ctx, 0); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("the server has no time for some entries, also when they are sent %d times", maxAgain)
}

// lines sends lines as a batch. One that is refused as a whole is sent in halves, so
// that the line that is to blame is found.
func (s *sender) lines(ctx context.Context, number int64, lines []line, v *verdict) error {
	if len(lines) == 0 {
		return nil
	}
	body, key := batch(lines), ""
	if s.options.serverIDs {
		key = repeatKey(s.ledger.state.Run, number, body)
	}
	a, entries, err := s.decided(ctx, body, key, len(lines))
	switch {
	case err != nil:
		return err
	case a.ok():
		v.judge(lines, entries)
		return nil
	case hopeless(a.status):
		return a.complaint()
	case len(lines) == 1:
		v.reject(&lines[0], reason(a.status, a.body, 0, lines[0].typ))
		return nil
	}
	half := len(lines) / 2
	if err := s.lines(ctx, number, lines[:half], v); err != nil {
		return err
	}
	return s.lines(ctx, number, lines[half:], v)
}

// judge counts what was stored and what was rejected.
func (v *verdict) judge(lines []line, entries []replyEntry) {
	for i := range entries {
		e := &entries[i]
		if e.ok() {
			v.stored[lines[i].typ]++
			continue
		}
		v.reject(&lines[i], reason(e.status(), e.Response.Outcome, i, lines[i].typ))
	}
}

// whole has a Bundle carried out as it is, and once for as long as the server
// remembers it, in whichever load and file it comes again.
func (s *sender) whole(ctx context.Context, c *chunk, v *verdict) error {
	l := &c.lines[0]
	if s.stubs != nil {
		if err := s.stubs.make(ctx, l.body); err != nil {
			return err
		}
	}
	a, entries, err := s.decided(ctx, l.body, repeatKey("bundle", 0, l.body), -1)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusUnauthorized, a.status == http.StatusInsufficientStorage, a.status == http.StatusMethodNotAllowed:
		return a.complaint()
	case !a.ok():
		v.reject(l, reason(a.status, a.body, -1, l.typ))
		return nil
	}
	return v.judgeWhole(l, entries)
}

// judgeWhole counts what the entries of a Bundle have stored. Entries of a batch that
// were refused are rejected as a batch of one each.
func (v *verdict) judgeWhole(l *line, entries []replyEntry) error {
	var sent struct {
		Entry []json.RawMessage `json:"entry"`
	}
	for i := range entries {
		e := &entries[i]
		if e.ok() {
			if typ := typeIn(e.Response.Location); typ != "" {
				v.stored[typ]++
			}
			continue
		}
		if sent.Entry == nil {
			if err := json.Unmarshal(l.body, &sent); err != nil || len(sent.Entry) != len(entries) {
				return fmt.Errorf("the answer to a Bundle of %d entries has %d", len(sent.Entry), len(entries))
			}
		}
		one := line{source: l.source, number: l.number, raw: fmt.Appendf(nil, `{"resourceType":"Bundle","type":"batch","entry":[%s]}`, sent.Entry[i])}
		v.reject(&one, reason(e.status(), e.Response.Outcome, -1, l.typ))
	}
	return nil
}

// typeIn returns the type in the address of a version: "Patient" in
// "https://fhir.example.org/fhir/Patient/1/_history/1".
func typeIn(location string) string {
	path, _, _ := strings.Cut(location, "/_history/")
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}
