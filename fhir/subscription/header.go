package subscription

import (
	"fmt"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/openconsult/openconsult/fhir"
)

// keptValue is what the stored resource has in place of the value of a header. Who
// sends it back keeps the value, as long as the endpoint is the same.
const keptValue = "(kept)"

// headerElement is where a Subscription has its headers.
const headerElement = "Subscription.channel.header"

// A header is one that every notification has.
type header struct{ name, value string }

// line returns h as it is written, "Name: value".
func (h header) line() string { return h.name + ": " + h.value }

// forbidden reports whether a header is for the server to set.
func forbidden(name string) bool {
	switch name {
	case "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", numberHeader, deliveryHeader, signatureHeader:
		return true
	}
	return false
}

// readHeaders reads "Name: value".
func (r *reading) readHeaders(n fhir.Node) {
	for h := range n.Each("header") {
		name, value, ok := strings.Cut(h.Text(), ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || len(h.Text()) > mostHeader {
			r.refuse(h, fhir.Value, "Write a header as Name: value, on one line of at most %d bytes.", mostHeader)
			continue
		}
		if name = textproto.CanonicalMIMEHeaderKey(name); forbidden(name) {
			r.refuse(h, fhir.Value, "Leave out the header %s: the server sets it.", name)
			continue
		}
		r.channel.headers = append(r.channel.headers, header{name, value})
	}
	if len(r.channel.headers) > mostHeaders {
		r.refuse(n.Child("header"), fhir.TooCostly, "Give at most %d headers.", mostHeaders)
	}
}

// keep returns the headers of all notifications, one a line, with the values that
// were given, or that old has for the same endpoint: of several with a name, each
// that of its place. A value that is to be kept and is not there is an Unprocessable
// Outcome.
func (c *channel) keep(old owner) (string, error) {
	had := map[string][]string{}
	if old.endpoint == c.endpoint {
		for _, h := range old.lines() {
			had[h.name] = append(had[h.name], h.value)
		}
	}
	var issues []fhir.Issue
	var all []string
	place := map[string]int{}
	for i, h := range c.headers {
		n := place[h.name]
		place[h.name]++
		if h.value == keptValue && n >= len(had[h.name]) {
			issues = append(issues, fhir.Issue{Code: fhir.BusinessRule, Expression: fmt.Sprintf("%s[%d]", headerElement, i),
				Text: fmt.Sprintf("Give the value of the header %s: none is kept for this endpoint. Values stay with the endpoint that they were given for.", h.name)})
			continue
		}
		if h.value == keptValue {
			h.value = had[h.name][n]
		}
		all = append(all, h.line())
	}
	if len(issues) > 0 {
		return "", &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
	}
	return strings.Join(all, "\n"), nil
}

// lines returns the headers of o.
func (o *owner) lines() []header {
	var all []header
	for line := range strings.Lines(o.headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		all = append(all, header{name, value})
	}
	return all
}

// withNames replaces the headers of a Subscription, which are some headers, by their
// names.
func withNames(doc object, headers []header) (object, error) {
	if len(headers) == 0 {
		return doc, nil
	}
	channel, err := readObject(doc.get("channel"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range headers {
		names = append(names, header{h.name, keptValue}.line())
	}
	return doc.with("channel", channel.with("header", text(names)).bytes()), nil
}
