package subscription

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The extensions of the Backport.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/artifacts.html
const (
	backport         = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
	filterExtension  = backport + "backport-filter-criteria"
	contentExtension = backport + "backport-payload-content"
	beatExtension    = backport + "backport-heartbeat-period"
	timeoutExtension = backport + "backport-timeout"
	mostExtension    = backport + "backport-max-count"
	typeExtension    = backport + "backport-channel-type"
)

// SecretExtension is the extension of Subscription.channel by which a client gives
// the secret, a string, that notifications are signed with. It is never shown.
const SecretExtension = "https://fhir.openconsult.example/StructureDefinition/subscription-secret"

// handleExtension is the extension of Subscription.channel by which the stored
// resource names its row of subscription_owner.
const handleExtension = "https://fhir.openconsult.example/StructureDefinition/subscription-owner"

// The contents of a notification.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/payloads.html
const (
	contentEmpty = "empty"
	contentID    = "id-only"
	contentFull  = "full-resource"
)

// The bounds of what a channel may ask for.
const (
	leastBeat, mostBeat = 30 * time.Second, 24 * time.Hour
	mostTimeout         = 10 * time.Minute
	mostEvents          = 100
	mostHeaders         = 20
	mostHeader          = 4000 // bytes
	leastSecret         = 16   // bytes
	mostSecret          = 256
	mostFilters         = 20
)

// A request is what a Subscription asks for.
type request struct {
	topic    *Topic   // nil with R4 criteria
	typ      string   // of the resources that it is about
	query    string   // R4 criteria, or the filters of the topic together
	filters  []string // as they stand
	criteria string   // as it stands
	channel  channel
	ends     time.Time // zero: never
}

// A channel is how it wants to be told.
type channel struct {
	websocket bool
	endpoint  string
	mime      string // of what is sent; empty: R4's notification without a body
	content   string
	headers   []header      // in the stored resource without their values
	beat      time.Duration // zero: no heartbeats
	timeout   time.Duration // zero: the server's
	most      int           // events in one notification
	secret    string        // empty: none was given
	handle    string
}

// host returns the host that the endpoint is on.
func (c *channel) host() string {
	u, err := url.Parse(c.endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// A reading takes a Subscription apart and gathers what is wrong with it.
type reading struct {
	engine *Engine
	issues []fhir.Issue
	request
}

// read returns what a Subscription asks for, and what is wrong with it.
func (e *Engine) read(root fhir.Node) (request, []fhir.Issue) {
	r := reading{engine: e}
	r.readCriteria(root.Child("criteria"))
	r.readChannel(root.Child("channel"))
	if end := root.Child("end"); end.HasValue() {
		t, err := time.Parse(time.RFC3339Nano, end.Text())
		if err != nil {
			r.refuse(end, fhir.Value, "Give end as an instant.")
		}
		r.ends = t
	}
	return r.request, r.issues
}

// refuse notes that something is wrong with n.
func (r *reading) refuse(n fhir.Node, code fhir.Code, format string, args ...any) {
	r.issues = append(r.issues, fhir.Issue{Code: code, Expression: n.Path(), Text: fmt.Sprintf(format, args...)})
}

// number reads an extension of n that is a number of something between two bounds;
// zero without it.
func (r *reading) number(n fhir.Node, url string, least, most int) int {
	x := n.Extension(url)
	if x.IsZero() {
		return 0
	}
	var v int
	if _, err := fmt.Sscanf(x.Child("value").Text(), "%d", &v); err != nil || v != 0 && v < least || v > most {
		r.refuse(x, fhir.Value, "Give a number from %d to %d.", least, most)
		return 0
	}
	return v
}

// seconds reads one that is a time in seconds.
func (r *reading) seconds(n fhir.Node, url string, least, most time.Duration) time.Duration {
	return time.Duration(r.number(n, url, int(least/time.Second), int(most/time.Second))) * time.Second
}
