package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// compose writes the Bundle that answers one of the given type, with an entry for
// each in the order in which they were sent. What the entries of a batch read is read
// now. https://hl7.org/fhir/R4/http.html#transaction-response
func (p *processing) compose(typ string, replies []interaction.Reply) ([]byte, error) {
	b := &fhir.Bundle{Type: typ + "-response", Total: -1, Base: p.baseURL(p.c.Request), Entries: make([]fhir.Entry, len(replies))}
	preferred := parsePrefer(p.c.Request.Header.Values("Prefer"))
	var size int64 // of what was read
	for i := range replies {
		err := p.c.Request.Context().Err()
		r, e := &replies[i], &b.Entries[i]
		switch {
		case err != nil:
		case r.Err != nil:
			*e = p.failed(r.Err)
		case typ == typeBatch && p.entries[i].reads() && size > p.config.Limits.Bundle:
			*e = p.failed(fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "", "The answer to this batch is too large already; ask for this in another one."))
		case typ == typeBatch && p.entries[i].reads():
			*e = p.ask(&p.entries[i])
			size += int64(len(e.Resource) + len(e.Outcome))
		case r.Found != nil:
			*e, err = p.foundEntry(i, r)
		case r.Read:
			*e, err = p.readEntry(i, r)
		default:
			*e = p.writtenEntry(r, preferred)
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Append(make([]byte, 0, b.Size())), nil
}

// failed is the entry of a request that was refused, or that failed.
func (p *processing) failed(err error) fhir.Entry {
	status, o := p.told(p.c, err)
	return fhir.Entry{Status: statusLine(status), Outcome: o.JSON()}
}

// writtenEntry is the entry of a write. It says no more than that by itself unless
// Prefer asks for more: who sends hundreds of resources has them.
func (p *processing) writtenEntry(r *interaction.Reply, preferred preferences) fhir.Entry {
	status := http.StatusOK
	switch {
	case r.Outcome == store.Created, r.Repeated:
		status = http.StatusCreated
	case r.Outcome == store.Removed, r.Outcome == store.Nothing:
		status = http.StatusNoContent
	}
	gone := status == http.StatusNoContent
	e := fhir.Entry{}
	for _, l := range r.Links {
		if !preferred.Dry {
			e.Links = append(e.Links, fhir.Link{Relation: l.Rel, URL: p.baseURL(p.c.Request) + "/" + l.Key.String()})
		}
	}
	if r.Number > 0 && !preferred.Dry {
		e.ETag, e.LastModified = etag(r.Number), r.Updated
		if !gone {
			e.Location = fmt.Sprintf("%s/%s/_history/%d", p.baseURL(p.c.Request), r.Key, r.Number)
		}
	}
	switch {
	case preferred.Return == "OperationOutcome":
		if gone {
			status = http.StatusOK
		}
		e.Outcome = success(writeText(r.Method, r.Result, preferred.Dry), r.Notes...).JSON()
	case preferred.Return == "representation" && !gone && !r.Hidden:
		e.Key, e.Stored, e.Meta = r.Key, r.Stored, fhir.Meta{Version: r.Number, Updated: r.Updated}
	}
	e.Status = statusLine(status)
	return e
}

// readEntry is the entry of a read in a transaction.
func (p *processing) readEntry(i int, r *interaction.Reply) (fhir.Entry, error) {
	a := &p.entries[i]
	e := fhir.Entry{Status: statusLine(http.StatusOK), ETag: etag(r.Number), LastModified: r.Updated}
	since, err := http.ParseTime(a.c.Request.Header.Get("If-Modified-Since"))
	known := err == nil && a.entry.Reading.IfNoneMatch == 0 && !r.Updated.Truncate(time.Second).After(since)
	switch {
	case r.NotModified || known:
		e.Status = statusLine(http.StatusNotModified)
	case a.entry.Method != http.MethodHead:
		err = carry(&e, &r.Version, a.shown)
		return e, err
	}
	return e, nil
}

// foundEntry is the entry of a search in a transaction.
func (p *processing) foundEntry(i int, r *interaction.Reply) (fhir.Entry, error) {
	a := &p.entries[i]
	e := fhir.Entry{Status: statusLine(http.StatusOK)}
	if a.entry.Method == http.MethodHead {
		return e, nil
	}
	found := &answered{Found: *r.Found, page: *a.entry.Reading.Page, address: p.searchAddress(a.c)}
	b, err := found.bundle(p.session(a.c), p.baseURL(a.c.Request))
	if err != nil {
		return e, err
	}
	e.Resource = b.Append(make([]byte, 0, b.Size()))
	return e, nil
}
