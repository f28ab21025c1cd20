// Package subscription tells those who have asked for it what was written: it
// follows the feed once for all subscriptions, gives each its events with numbers
// that have no holes, and delivers them in order. It owns the tables subscription,
// subscription_event, subscription_feed, subscription_owner and subscription_binding.
//
// A Subscription names R4 criteria ("Task?owner=Organization/1") or a topic that
// is published ([Topics]) with filters, as the R5 Subscriptions Backport says. It
// is checked when it is written ([Engine.Check]); what could never fire is
// refused. https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
//
// One server at a time matches: it holds a lease, reads the feed page by page,
// and stores the events and its place in the feed in one transaction, so that
// nothing is missed or numbered twice. A version is looked up in a map of search
// keys, of which all that a criterion can match has at least one; only what is hit
// is decoded and compared. A criterion without such keys, as one that asks by a date
// only, is compared with every version of its type.
//
// All servers deliver. Whoever has a subscription in turn holds a lease on it with
// a number that grows, and stops when it loses that; so never are two
// notifications to one endpoint of one subscription under way, but for what a server
// that hangs has already sent. What was sent and not yet recorded is sent again with the
// same X-Delivery-Id. A failure is tried again for 72 hours, then the Subscription
// has the status error, and goes on from there when its client sets requested. Events are
// kept for 14 days, unless [Config] says otherwise; a Subscription that is in error for
// as long is switched off. Websockets are told by the server that they are connected to
// ([Engine.Listen]), without an answer and without a second try.
//
// Events are given to what the subscriber sees at that moment, and what they are
// about is told if it is still seen when it is delivered. The access is that of who
// wrote the Subscription last, but for who has only switched it on or tagged it. It is
// made anew for what is told, and at most two seconds old for which events there are.
//
// The secret and the values of headers are for the endpoint that they were given
// for: the stored resource has none of them, but the names of the headers, and with
// another endpoint they are gone.
package subscription
