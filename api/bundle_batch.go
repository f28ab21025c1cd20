package api

import (
	"net/http"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// batch carries out each entry by itself: what is stored first, then what is read.
func (p *processing) batch() error {
	replies := make([]interaction.Reply, len(p.entries))
	refused := p.writable()
	var stores []int
	for i := range p.entries {
		e := &p.entries[i]
		switch problem := p.problem(i); {
		case problem != nil:
			replies[i].Err = problem
		case e.reads():
		case refused != nil:
			replies[i].Err = refused
		default:
			stores = append(stores, i)
		}
	}
	if isDry(p.c.Request) {
		p.c.Header("Preference-Applied", "dry-run")
	}
	if err := p.storeEach(stores, replies); err != nil {
		return err
	}
	body, err := p.compose(typeBatch, replies)
	if err != nil {
		return err
	}
	p.render(p.c, http.StatusOK, body)
	return nil
}

// problem returns what is wrong with entry i as an Outcome, or nil.
func (p *processing) problem(i int) error {
	one := &fhir.Submission{Entries: p.sent.Entries[i : i+1]}
	err := allProblems(one, p.entries[i:i+1])
	if o := p.entries[i].problem; err != nil && o != nil && len(p.sent.Entries[i].Problems) == 0 {
		fhir.AsOutcome(err).Class = o.Class
	}
	return err
}

// storeEach carries out the entries with the given numbers. Under an Idempotency-Key
// each is a transaction with a key of its own, so that a repetition goes on where the
// first request was cut off.
func (p *processing) storeEach(stores []int, replies []interaction.Reply) error {
	b := interaction.Bundle{Dry: isDry(p.c.Request), Past: isPast(p.c.Request)}
	if noteOf(p.c.Request).key != "" {
		return p.storeOnce(stores, replies, b)
	}
	if len(stores) == 0 {
		return nil
	}
	for _, i := range stores {
		b.Entries = append(b.Entries, p.entries[i].entry)
	}
	done, err := p.session(p.c).Batch(p.c.Request.Context(), b)
	if err != nil {
		return err
	}
	for n, i := range stores {
		replies[i] = done[n]
	}
	return nil
}

// storeOnce carries out the entries with the given numbers but for those that were
// carried out before under the key of the request.
func (p *processing) storeOnce(stores []int, replies []interaction.Reply, b interaction.Bundle) error {
	before := make([]*interaction.Repeat, len(stores))
	n, repeated := noteOf(p.c.Request), 0
	for at := range stores {
		r, err := p.session(p.c).Received(p.c.Request.Context(), n.keyOf(at), n.digestSum())
		if err != nil {
			return err
		}
		if before[at] = r; r != nil {
			repeated++
			if err := p.restore(p.c, r); err != nil {
				return err
			}
		}
	}
	if repeated > 0 && repeated == len(stores) {
		p.c.Header(replayed, "true")
	}
	for at, i := range stores {
		if before[at] == nil {
			replies[i] = p.storeOne(i, n.keyOf(at), b)
		} else {
			replies[i] = before[at].Replies[0]
			replies[i].Method = p.entries[i].entry.Method
		}
	}
	return nil
}

// storeOne carries out entry i under a key.
func (p *processing) storeOne(i int, key string, b interaction.Bundle) interaction.Reply {
	b.Entries, b.Single = []interaction.Entry{p.entries[i].entry}, true
	b.Receipt = p.receipt(p.c)
	b.Receipt.Key = key
	done, repeat, err := p.transact(p.c, b)
	switch {
	case err != nil:
		return interaction.Reply{Err: err}
	case repeat != nil:
		repeat.Replies[0].Method = p.entries[i].entry.Method
		return repeat.Replies[0]
	}
	return done[0]
}

// isReading reports whether a method only reads.
func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }
