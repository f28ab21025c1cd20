package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// bundled is the interaction of sending several requests at once. What each may do
// is asked of each.
const bundled access.Interaction = "transaction"

const (
	maxEntries = 10_000 // of a batch or a transaction
	maxReads   = 500    // of its entries that read, in a transaction, which keeps all that they find
)

// The types of Bundles that are carried out.
// https://hl7.org/fhir/R4/valueset-bundle-type.html
const (
	typeBatch       = "batch"
	typeTransaction = "transaction"
)

// A processing is a batch or a transaction on its way through the server.
type processing struct {
	*Server
	c       *gin.Context
	sent    *fhir.Submission
	entries []asking // as they were understood
}

// bundle serves POST [base]. https://hl7.org/fhir/R4/http.html#transaction
func (s *Server) bundle(c *gin.Context) error {
	if err := writable(c); err != nil {
		return err
	}
	sent, err := s.submission(c)
	if err != nil {
		return err
	}
	p := &processing{Server: s, c: c, sent: sent}
	if sent.Type == typeTransaction {
		if repeat, err := s.repeated(c); repeat != nil || err != nil {
			return p.again(repeat, err)
		}
	}
	p.entries = make([]asking, len(sent.Entries))
	for i := range sent.Entries {
		p.entries[i] = p.understand(i)
	}
	if sent.Type == typeTransaction {
		return p.transaction()
	}
	return p.batch()
}

// submission reads the Bundle that a request sends, and makes sure that it is one
// of those that are carried out.
func (s *Server) submission(c *gin.Context) (*fhir.Submission, error) {
	f, err := bodyFormat(c.Request)
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(c, s.config.Limits.Bundle)
	if err != nil {
		return nil, err
	}
	decode := fhir.DecodeSubmission
	if f == xmlFormat {
		decode = fhir.DecodeSubmissionXML
	}
	sent, err := decode(body)
	switch {
	case err != nil:
		return nil, err
	case sent.Type != typeBatch && sent.Type != typeTransaction && sent.Type != "":
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "Bundle.type", "This address carries out Bundles of the types batch and transaction; to store another Bundle as it is, send it to %s/Bundle.", base)
	case len(sent.Entries) > maxEntries:
		return nil, fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "Bundle.entry", "A Bundle has at most %d entries here; send several, one after the other.", maxEntries)
	case len(sent.Problems) > 0:
		return nil, allProblems(sent, nil)
	}
	return sent, nil
}

// maxProblems is how many problems of one Bundle are listed.
const maxProblems = 100

// allProblems returns an Outcome with what is wrong with a Bundle and with its
// entries, nil if nothing is.
func allProblems(sent *fhir.Submission, entries []asking) error {
	o := &fhir.Outcome{Issues: sent.Problems}
	for i := range sent.Entries {
		o.Issues = append(o.Issues, sent.Entries[i].Problems...)
		if i < len(entries) && entries[i].problem != nil {
			o.Issues = append(o.Issues, entries[i].problem.Issues...)
		}
	}
	if over := len(o.Issues) - maxProblems; over > 0 {
		further := fhir.Errorf(fhir.BadRequest, fhir.Processing, "", "There are %d further problems; they are not listed.", over)
		o.Issues = append(o.Issues[:maxProblems:maxProblems], further.Issues...)
	}
	if len(o.Issues) == 0 {
		return nil
	}
	return o
}

// writes reports whether some entry stores something.
func (p *processing) writes() bool {
	for i := range p.entries {
		if !p.entries[i].reads() {
			return true
		}
	}
	return false
}

// transaction carries out all entries or none.
func (p *processing) transaction() error {
	if err := allProblems(p.sent, p.entries); err != nil {
		return err
	}
	if err := p.writable(); err != nil {
		return err
	}
	b := interaction.Bundle{Entries: make([]interaction.Entry, len(p.entries)), Dry: isDry(p.c.Request), Past: isPast(p.c.Request)}
	var composed []byte
	reads := 0
	for i := range p.entries {
		b.Entries[i] = p.entries[i].entry
		if p.entries[i].reads() {
			reads++
		}
	}
	if reads > maxReads {
		return fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "Bundle.entry", "At most %d entries of a transaction read; put the others into a batch.", maxReads)
	}
	if b.Receipt = p.receipt(p.c); b.Receipt != nil && reads > 0 {
		b.Compose = func(replies []interaction.Reply) (_ []byte, err error) {
			composed, err = p.compose(typeTransaction, replies)
			return composed, err
		}
	}
	replies, repeat, err := p.transact(p.c, b)
	if repeat != nil {
		return p.again(repeat, err)
	}
	if err == nil && composed == nil {
		composed, err = p.compose(typeTransaction, replies)
	}
	if err != nil {
		return err
	}
	p.render(p.c, http.StatusOK, composed)
	return nil
}

// writable refuses what stores something while nothing can be stored.
func (p *processing) writable() error {
	if p.config.Writable == nil || !p.writes() {
		return nil
	}
	return p.config.Writable()
}

// again answers with what was answered before.
func (p *processing) again(r *interaction.Repeat, err error) error {
	if err == nil {
		err = p.repeat(p.c, r)
	}
	if err != nil {
		return err
	}
	for i := range r.Replies {
		r.Replies[i].Method = p.sent.Entries[i].Method
	}
	body := r.Body
	if body == nil {
		if body, err = p.compose(typeTransaction, r.Replies); err != nil {
			return err
		}
	}
	p.render(p.c, http.StatusOK, body)
	return nil
}
