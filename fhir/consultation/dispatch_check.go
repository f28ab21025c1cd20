package consultation

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
)

// A Dispatch is a CommunicationRequest whose messages are to go out, and what is known of
// whom they are for.
type Dispatch struct {
	Request    fhir.Node   // a CommunicationRequest, or a message made of it
	Addressees []Addressee // the recipients that are people, in their order
	Served     []Channel   // that this server has a sender for
	Most       int         // recipients at most; 100 if zero
	Now        time.Time
}

// mostRecipients is how many people one request is for, unless it is said.
const mostRecipients = 100

// CheckRequest returns the ways in which each addressee may be reached, in the order in which
// they are tried. A request that names no medium is for the inbox here: it has no ways. The
// error is an [*fhir.Outcome] of class Unprocessable with a Detail:
//
//   - batch-too-large: more recipients than one request may have;
//   - recipient-not-contactable: somebody is dead, or no patient here any more;
//   - message-too-long: for a channel, which is named;
//   - contact-unverified: an address is not known to be theirs, and no reason was given to
//     use it all the same, by the extension contact-override;
//   - no-permitted-channel: nothing is left, for the reasons that the text says.
func CheckRequest(d Dispatch) ([][]Way, error) {
	most := d.Most
	if most == 0 {
		most = mostRecipients
	}
	if len(d.Addressees) > most {
		return nil, refuse(fhir.TooCostly, "batch-too-large", d.Request.Name()+".recipient", "One request is for %d recipients at most; send several requests.", most)
	}
	if _, err := ReadSchedule(d.Request); err != nil {
		return nil, err
	}
	media, err := Media(d.Request)
	if err != nil || len(d.Addressees) == 0 {
		return nil, err
	}
	all := make([][]Way, len(d.Addressees))
	for i, a := range d.Addressees {
		if all[i], err = d.ways(a, media); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ways returns how one person may be reached.
func (d Dispatch) ways(a Addressee, media []Channel) ([]Way, error) {
	if a.isGone() {
		return nil, refuse(fhir.BusinessRule, "recipient-not-contactable", d.Request.Name()+".recipient", "A recipient is dead or not a patient here any more; take them out of the request.")
	}
	var ways []Way
	var why reasons
	for _, c := range media {
		way, err := d.way(a, c, &why)
		if err != nil {
			return nil, err
		}
		if way.Channel != "" {
			ways = append(ways, way)
		}
	}
	switch {
	case len(ways) > 0 || len(media) == 0:
		return ways, nil
	case len(why.unverified) > 0:
		return nil, refuse(fhir.BusinessRule, "contact-unverified", d.Request.Name()+".medium",
			"The contact for %s is not known to be this person's alone; correct the record, or say in the extension contact-override why it is used.", channelNames(why.unverified))
	}
	return nil, refuse(fhir.BusinessRule, "no-permitted-channel", d.Request.Name()+".medium", "No channel of the request may be used: %s", why.String())
}

// way returns the way by a channel, or the zero Way and a reason why there is none.
func (d Dispatch) way(a Addressee, c Channel, why *reasons) (Way, error) {
	text := d.asksText(c)
	if n := d.length(); text && n > c.Most() {
		return Way{}, refuse(fhir.TooLong, "message-too-long", d.Request.Name()+".payload",
			"The message has %d characters, and the channel %s takes %d; shorten it, or send the link only (extension dispatch-content).", n, c, c.Most())
	}
	address, verified := a.Address(c, d.Now)
	switch {
	case !slices.Contains(d.Served, c):
		why.unserved = append(why.unserved, c)
		return Way{}, nil
	case !a.allows(c, d.Now):
		why.refused = append(why.refused, c)
		return Way{}, nil
	case address == "":
		why.nowhere = append(why.nowhere, c)
		return Way{}, nil
	case !verified && d.Request.Extension(ContactOverrideURL).Child("value").Text() == "":
		why.unverified = append(why.unverified, c)
		return Way{}, nil
	}
	return Way{Channel: c, Address: address, Text: text && (!c.linkOnly() || a.takesText(c, d.Now))}, nil
}

// asksText reports whether the text of the message is to be sent by a channel, and not a
// link to it. By SMS and push it is the link, unless the request says otherwise.
func (d Dispatch) asksText(c Channel) bool {
	switch d.Request.Extension(ContentURL).Child("value").Text() {
	case "text":
		return true
	case "link":
		return false
	}
	return !c.linkOnly()
}

// length returns the number of characters of the message.
func (d Dispatch) length() int { return utf8.RuneCountInString(MessageText(d.Request)) }

// MessageText returns the texts of a message or request, with an empty line in between.
func MessageText(n fhir.Node) string {
	var texts []string
	for p := range n.Each("payload") {
		if c := p.Child("content"); c.HasValue() && !hasMembers(c) {
			texts = append(texts, c.Text())
		}
	}
	return strings.Join(texts, "\n\n")
}

// The reasons are why channels may not be used.
type reasons struct{ unserved, refused, nowhere, unverified []Channel }

// String says the reasons in sentences.
func (r reasons) String() string {
	var all []string
	say := func(channels []Channel, text string) {
		if len(channels) > 0 {
			all = append(all, text+" "+channelNames(channels)+".")
		}
	}
	say(r.unserved, "This server has no sender for")
	say(r.refused, "The person does not want to be contacted by")
	say(r.nowhere, "There is no contact that may be used for")
	return strings.Join(all, " ")
}

// Revocable says whether a request may still be revoked: nothing of it has gone out. The error
// is an [*fhir.Outcome] of class Unprocessable with Detail already-sent.
func Revocable(sent bool) error {
	if !sent {
		return nil
	}
	return refuse(fhir.BusinessRule, "already-sent", "CommunicationRequest.status", "The message has been sent; take it back with $retract.")
}
