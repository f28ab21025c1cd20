package consultation

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Channel is a way by which a message reaches a person outside of this server, a code of
// [ChannelSystem]. The zero Channel is none.
type Channel string

// The channels.
const (
	ChannelApp   Channel = "nhs-app"
	ChannelPush  Channel = "push"
	ChannelSMS   Channel = "sms"
	ChannelEmail Channel = "email"
)

// The code systems and extensions of messages that are dispatched.
const (
	ChannelSystem      = Base + "CodeSystem/channel"         // of CommunicationRequest.medium
	ContactRuleSystem  = Base + "CodeSystem/contact-rule"    // of Consent.category: contact, or text-by-channel
	FallbackAfterURL   = extensionBase + "fallback-after"    // of a request: a Duration
	ContentURL         = extensionBase + "dispatch-content"  // of a request: text or link
	ContactOverrideURL = extensionBase + "contact-override"  // of a request: a valueString, why an unverified contact is used
	ContactVerifiedURL = extensionBase + "contact-verified"  // of a ContactPoint: a valueBoolean
	ContactOptOutURL   = extensionBase + "contact-opt-out"   // of a Patient: a valueCode, a channel or all
	nhsNumberSystem    = "https://fhir.nhs.uk/Id/nhs-number" // of Patient.identifier
	securitySystem     = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
)

// Channels lists all channels in the order in which they are tried where a request does not
// say: those that show the message after a sign-in first.
func Channels() []Channel { return []Channel{ChannelApp, ChannelPush, ChannelSMS, ChannelEmail} }

// Most returns how many characters a message on the channel may have.
func (c Channel) Most() int {
	switch c {
	case ChannelSMS:
		return 918 // six parts
	case ChannelEmail:
		return 100_000
	}
	return 5_000
}

// linkOnly reports whether the channel carries no clinical text unless the request and the
// person say so: what it shows can be read by who only holds the telephone.
func (c Channel) linkOnly() bool { return c == ChannelSMS || c == ChannelPush }

// confirms reports whether an event of the channel shows that the message has arrived. What
// lies in the inbox of an app about which nobody was notified has not.
func (c Channel) confirms(e Event) bool {
	return e == EventRead || e == EventNotified || e == EventDelivered && c != ChannelApp
}

// An Event is what a channel says of a message. The zero Event is none.
type Event string

// The events of channels, in the words of their callbacks.
const (
	EventSending    Event = "sending"
	EventDelivered  Event = "delivered"
	EventNotified   Event = "notified"   // the person was told by the app that there is a message
	EventUnnotified Event = "unnotified" // the app could tell nobody
	EventRead       Event = "read"
	EventFailure    Event = "permanent_failure"
)

// Events lists all events.
func Events() []Event {
	return []Event{EventSending, EventDelivered, EventNotified, EventUnnotified, EventRead, EventFailure}
}

// Media returns the channels that a CommunicationRequest, or a message made of it, names in
// its order, each once; none when it names none. What is no channel of ours is an
// [*fhir.Outcome] with Detail no-permitted-channel.
func Media(n fhir.Node) ([]Channel, error) {
	var all []Channel
	for medium := range n.Each("medium") {
		c := Channel(codeIn(medium, ChannelSystem))
		if !slices.Contains(Channels(), c) {
			return nil, refuse(fhir.CodeInvalid, "no-permitted-channel", medium.Path(), "Name each medium by a code of %s: %s.", ChannelSystem, channelNames(Channels()))
		}
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all, nil
}

func channelNames(all []Channel) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// A Schedule is when a request lets its messages go.
type Schedule struct {
	Start, End time.Time     // of occurrence; zero is open
	Fallback   time.Duration // after which the next channel is tried; zero is not said
}

// ReadSchedule reads when a CommunicationRequest lets its messages go. The error is an
// [*fhir.Outcome].
func ReadSchedule(request fhir.Node) (Schedule, error) {
	var s Schedule
	occurrence := request.Child("occurrence")
	switch {
	case occurrence.IsZero():
	case hasMembers(occurrence):
		s.Start, s.End = momentOf(occurrence.Child("start")), momentOf(occurrence.Child("end"))
	default:
		s.Start = momentOf(occurrence)
	}
	after := request.Extension(FallbackAfterURL)
	if after.IsZero() {
		return s, nil
	}
	length, ok := wholeDuration(after.Child("value"))
	if !ok {
		return s, refuse(fhir.Value, "fallback-after-invalid", after.Path(), "Give fallback-after as a Duration of whole minutes, hours or days (min, h, d).")
	}
	s.Fallback = length
	return s, nil
}

// wholeDuration reads a Duration of whole minutes, hours or days, up to 30 days.
func wholeDuration(n fhir.Node) (time.Duration, bool) {
	unit := map[string]time.Duration{"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[n.Child("code").Text()]
	count, err := strconv.Atoi(n.Child("value").Text())
	length := time.Duration(count) * unit
	return length, err == nil && n.Child("system").Text() == "http://unitsofmeasure.org" && count > 0 && count <= 30*24*60 && length > 0 && length <= 30*24*time.Hour
}
