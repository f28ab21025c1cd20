package consultation

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
)

// A ReplyMode says how often a message may be answered. The zero ReplyMode is taken for
// ReplyNone.
type ReplyMode string

// The modes of a reply policy.
const (
	ReplyNone   ReplyMode = "none"
	ReplyOnce   ReplyMode = "once"   // one reply, until the time that is given, if any
	ReplyWindow ReplyMode = "window" // any number until the time that is given
	ReplyOpen   ReplyMode = "open"   // any number; a reply to a completed consultation opens it again
)

// A Policy says what replies a message allows: the extension reply-policy{mode, until?,
// maxAttachments?, maxLength?, by?}.
type Policy struct {
	Mode        ReplyMode
	Until       time.Time // the last moment; zero is none, which is right for once and open only
	Attachments *int      // the most in one reply; nil leaves it to the server
	Length      *int      // the most characters in one reply; nil as above
	By          string    // referrer or patient: who may answer; empty is any recipient
}

// ReadPolicy reads the reply policy of a Communication or CommunicationRequest; nil when it
// has none. The error is an [*fhir.Outcome] with Detail reply-policy-invalid.
func ReadPolicy(n fhir.Node) (*Policy, error) {
	e := n.Extension(replyPolicyURL)
	if e.IsZero() {
		return nil, nil
	}
	p := Policy{Mode: ReplyMode(extensionPart(e, "mode").Text()), By: extensionPart(e, "by").Text()}
	ok := slices.Contains([]ReplyMode{ReplyNone, ReplyOnce, ReplyWindow, ReplyOpen}, p.Mode) && slices.Contains([]string{"", "referrer", "patient"}, p.By)
	if until := extensionPart(e, "until").Text(); until != "" {
		var err error
		p.Until, err = time.Parse(time.RFC3339, until)
		ok = ok && err == nil
	}
	ok = ok && (p.Mode != ReplyWindow || !p.Until.IsZero())
	var readable bool
	if p.Attachments, readable = readLimit(extensionPart(e, "maxAttachments")); !readable {
		ok = false
	}
	if p.Length, readable = readLimit(extensionPart(e, "maxLength")); !readable {
		ok = false
	}
	if !ok {
		return nil, refuse(fhir.BusinessRule, "reply-policy-invalid", e.Path(),
			"A reply policy has a mode (none, once, window, open), for window a dateTime until, and may have until, maxAttachments and maxLength, not below 0, and by (referrer, patient).")
	}
	return &p, nil
}

// readLimit reads an integer from 0; nil when there is none.
func readLimit(n fhir.Node) (*int, bool) {
	if n.IsZero() {
		return nil, true
	}
	i, err := strconv.Atoi(n.Text())
	return &i, err == nil && i >= 0
}

// answered returns the message that p answers: the one that it names, or else the newest that
// the other side has sent, so that nobody gets round a policy by naming nothing. Who works
// for the owner answers only what they name. The zero Message is none.
func (p *posting) answered() (Message, error) {
	var named []fhir.Node
	for n := range p.sent.Each("inResponseTo") {
		named = append(named, n)
	}
	if len(named) > 1 {
		return Message{}, refuse(fhir.BusinessRule, "in-response-to-not-in-thread", "Communication.inResponseTo", "A message answers one other at most; name the newest of them.")
	}
	if len(named) == 1 {
		m, ok := p.Conversation.find(target(named[0], p.Conversation.Base), p.Caller)
		if !ok || !m.isSaid() {
			return Message{}, refuse(fhir.BusinessRule, "in-response-to-not-in-thread", named[0].Path(), "There is no such message in this conversation; answer one of its messages, or leave inResponseTo out.")
		}
		return m, nil
	}
	if p.house.ID != "" && p.side() == OwnerSide {
		return Message{}, nil
	}
	return p.newest(func(m Message) bool { return p.Conversation.side(m.Sender) != p.side() }), nil
}

// newest returns the newest message of the exchange that the caller may see, and that is so;
// the zero Message when there is none.
func (p *posting) newest(so func(Message) bool) Message {
	var last Message
	for _, m := range p.Conversation.Messages {
		if m.isTalk() && m.Task == p.Conversation.Task.Key && !m.Sent.Before(last.Sent) && p.Conversation.Shows(m, p.Caller) && so(m) {
			last = m
		}
	}
	return last
}

// policy returns the policy that binds an answer to m; nil when none does. A patient who
// was not asked may not answer; who works for a party may, unless the other side says
// otherwise.
func (p *posting) policy(m Message) *Policy {
	switch {
	case m.Unspeakable:
		return &Policy{Mode: ReplyNone}
	case p.house.ID == "" && (m.Policy == nil || m.Task != p.Conversation.Task.Key):
		return &Policy{Mode: ReplyNone} // what was asked in another Task is answered there
	case p.house.ID != "" && p.Conversation.standsFor(m.Sender, p.house):
		return nil // one's own house adds to what it said
	}
	return m.Policy
}

// reply holds an answer to m against its policy.
func (p *posting) reply(m Message, policy *Policy) error {
	switch {
	case policy == nil:
		return nil
	case policy.Mode != ReplyOnce && policy.Mode != ReplyWindow && policy.Mode != ReplyOpen, !p.isAsked(policy.By):
		return p.noReply("replies-not-allowed", "This message takes no reply.")
	case !policy.Until.IsZero() && p.Now.After(policy.Until), policy.Mode == ReplyWindow && policy.Until.IsZero():
		return p.noReply("reply-window-closed", "The time for replies to this message is over.")
	case policy.Mode == ReplyOnce && p.hasReply(m.Key):
		return p.noReply("already-replied", "This message takes one reply, and it has been given.")
	}
	return nil
}

// isAsked reports whether the sender is one of those who may answer.
func (p *posting) isAsked(by string) bool {
	switch by {
	case "":
		return true
	case "referrer":
		return p.side() == RequesterSide
	case "patient":
		return p.house.ID == ""
	}
	return false
}

// hasReply reports whether a message has been answered by the side that the sender is on.
// What was retracted, or never arrived, is no answer.
func (p *posting) hasReply(k fhir.Key) bool {
	return slices.ContainsFunc(p.Conversation.Messages, func(m Message) bool {
		return m.InReplyTo == k && m.isSaid() && m.Category != CategoryInternalNote && p.Conversation.side(m.Sender) == p.side()
	})
}

// noReply refuses a reply, and says what else to do.
func (p *posting) noReply(detail, text string) error {
	if p.house.ID != "" {
		return refuse(fhir.BusinessRule, detail, "Communication.inResponseTo", "%s Send a new message without inResponseTo, or ask the other side for another question.", text)
	}
	return refuse(fhir.BusinessRule, detail, "Communication.inResponseTo",
		"%s To tell the practice more, start a new consultation. If it is urgent call 111, or 999 in an emergency.", text)
}

// Limits bound every message of a server. The zero Limits allow text only, up to
// [DefaultLimits].
type Limits struct {
	Length      int      // characters of all texts together; 0 is that of DefaultLimits
	Attachments int      // at most
	Bytes       int64    // of one attachment, at most
	Types       []string // content types of attachments
}

// DefaultLimits are those of a server that sets no others.
func DefaultLimits() Limits {
	return Limits{Length: 8000, Attachments: 10, Bytes: 7 << 20, Types: []string{"image/png", "image/jpeg", "image/heic", "application/pdf"}}
}

// An Attachment is what is known of the content that a payload refers to.
type Attachment struct {
	ContentType string // by content
	Bytes       int64
	State       ScanState
}

// A ScanState says what a scanner found, in the words of e-RS. The zero ScanState is that
// of an attachment that is not there.
type ScanState string

// The scan states.
const (
	ScanAvailable ScanState = "AVAILABLE"
	ScanPending   ScanState = "PENDING"
	ScanThreats   ScanState = "THREATS_FOUND"
	ScanInvalid   ScanState = "VALIDATION_FAILED"
	ScanNone      ScanState = "NOT_SCANNED" // there is no scanner: nothing is claimed
)

// content holds the payload against the limits of the server and of the policy.
func (p *posting) content(policy *Policy) error {
	maxLength, maxFiles := p.Limits.Length, p.Limits.Attachments
	if maxLength == 0 {
		maxLength = DefaultLimits().Length
	}
	if policy != nil && policy.Length != nil {
		maxLength = min(maxLength, *policy.Length)
	}
	if policy != nil && policy.Attachments != nil {
		maxFiles = min(maxFiles, *policy.Attachments)
	}
	length := 0
	var files []fhir.Node
	for part := range p.sent.Each("payload") {
		content := part.Child("content")
		if content.Property() == "contentString" {
			length += utf8.RuneCountInString(content.Text())
			continue
		}
		files = append(files, content)
	}
	if len(files) > maxFiles {
		return refuse(fhir.TooLong, "too-many-attachments", "Communication.payload", "A message here has at most %d attachments; send fewer.", maxFiles)
	}
	for _, content := range files {
		if err := p.file(content); err != nil {
			return err
		}
	}
	switch {
	case length+len(files) == 0:
		return refuse(fhir.Required, "payload-required", "Communication.payload", "A message says something: give a payload with a text or an attachment.")
	case length > maxLength:
		return refuse(fhir.TooLong, "message-too-long", "Communication.payload", "A message here has at most %d characters; shorten it.", maxLength)
	}
	return nil
}

// file holds one attachment against the limits. It must lie on this server, where its
// content is known and has been scanned.
func (p *posting) file(content fhir.Node) error {
	reference := content.Child("reference").Text()
	if content.Property() == "contentAttachment" {
		reference = content.Child("url").Text()
	}
	a := p.Attachments[reference]
	switch {
	case content.Child("data").HasValue() || reference == "" || a.State == "":
		return refuse(fhir.BusinessRule, "attachment-not-here", content.Path(), "Store the attachment as a Binary on this server first, then refer to it by url.")
	case a.State == ScanThreats || a.State == ScanInvalid:
		return refuse(fhir.BusinessRule, "attachment-blocked", content.Path(), "The attachment was found to be harmful or broken; send another file.")
	case !slices.Contains(p.Limits.Types, a.ContentType):
		return refuse(fhir.NotSupported, "attachment-type", content.Path(), "Files of this type are not taken; send an image or a PDF.")
	case a.Bytes > p.Limits.Bytes:
		return refuse(fhir.TooLong, "attachment-too-large", content.Path(), "The file has more than %d bytes; send a smaller one.", p.Limits.Bytes)
	}
	return nil
}
