package consultation

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Addressee is somebody to whom a message is dispatched, and what is known of them.
type Addressee struct {
	Person   *fhir.Resource   // a Patient or RelatedPerson
	Consents []*fhir.Resource // of the patient; those that are not about contact do not count
	Shared   []string         // addresses, as [Addressee.Address] gives them, that other people have too
}

// A Way is a channel with the address of a person on it.
type Way struct {
	Channel Channel
	Address string // a telephone number, an address of e-mail, an NHS number, or a reference for push
	Text    bool   // the message itself is sent; else a link to it
}

// isGone reports whether the person is dead, or no longer a patient here.
func (a Addressee) isGone() bool {
	n := a.Person.Root()
	dead := n.Child("deceased")
	return n.Child("active").Text() == "false" || !dead.IsZero() && dead.Text() != "false"
}

// isHidden reports whether the person's contact data must not be used: their record is
// restricted. https://hl7.org/fhir/R4/v3/Confidentiality/vs.html
func (a Addressee) isHidden() bool {
	for label := range a.Person.Root().Child("meta").Each("security") {
		if c := code(label); c.System == securitySystem && (c.Code == "R" || c.Code == "V") {
			return true
		}
	}
	return false
}

// Address returns where the person is reached by a channel at a time, "" for nowhere, and
// whether it was found out that it is theirs: it is not when the record says so, or when
// others have it too.
func (a Addressee) Address(c Channel, now time.Time) (address string, verified bool) {
	switch c {
	case ChannelApp:
		return strings.ReplaceAll(identifierIn(a.Person.Root(), nhsNumberSystem), " ", ""), true
	case ChannelPush:
		return a.Person.Type() + "/" + a.Person.ID(), true
	}
	if a.isHidden() {
		return "", true
	}
	best, place := fhir.Node{}, 0
	for n := range a.Person.Root().Each("telecom") {
		if p := preference(n, c, now); p > 0 && (best.IsZero() || p < place) {
			best, place = n, p
		}
	}
	address = PlainAddress(c, best.Child("value").Text())
	return address, best.Extension(ContactVerifiedURL).Child("value").Text() != "false" && !slices.Contains(a.Shared, address)
}

// preference returns the place of a ContactPoint among those of a channel, from 1, and 0 when
// it is none: rank first, then mobile and home before others.
// https://hl7.org/fhir/R4/datatypes.html#ContactPoint
func preference(n fhir.Node, c Channel, now time.Time) int {
	system, use := n.Child("system").Text(), n.Child("use").Text()
	fits := c == ChannelEmail && system == "email" || c == ChannelSMS && (system == "sms" || system == "phone" && use == "mobile")
	if !fits || use == "old" || PlainAddress(c, n.Child("value").Text()) == "" || !isOn(n.Child("period"), now) {
		return 0
	}
	rank, err := strconv.Atoi(n.Child("rank").Text())
	if err != nil || rank > 1_000_000 {
		rank = 1_000_000
	}
	place := slices.Index([]string{"mobile", "home", "temp", "work"}, use)
	if place < 0 {
		place = 4
	}
	return rank*8 + place + 1
}

// isOn reports whether a Period is on at a time. One that cannot be read is not.
func isOn(period fhir.Node, now time.Time) bool {
	if start := period.Child("start").Text(); start != "" {
		if t, ok := edge(start, false); !ok || now.Before(t) {
			return false
		}
	}
	if end := period.Child("end").Text(); end != "" {
		if t, ok := edge(end, true); !ok || !now.Before(t) {
			return false
		}
	}
	return true
}

// edge returns the first moment of a dateTime, or with after the first one behind it. A date
// is taken in UTC.
func edge(text string, after bool) (time.Time, bool) {
	for i, layout := range []string{"2006", "2006-01", "2006-01-02", time.RFC3339} {
		t, err := time.Parse(layout, leapless(text))
		if err != nil {
			continue
		}
		if after {
			t = [4]time.Time{t.AddDate(1, 0, 0), t.AddDate(0, 1, 0), t.AddDate(0, 0, 1), t.Add(1)}[i]
		}
		return t, true
	}
	return time.Time{}, false
}

// PlainAddress returns a telephone number or an address of e-mail without what is there for the eye,
// and "" for what is none.
func PlainAddress(c Channel, value string) string {
	value = strings.TrimSpace(value)
	if c == ChannelEmail {
		at := strings.LastIndexByte(value, '@')
		if at < 1 || at == len(value)-1 || len(value) > 254 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>,;:"()[]\`, r) }) {
			return ""
		}
		return value
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().", r) {
			return -1
		}
		return r
	}, value)
	if rest := strings.TrimPrefix(digits, "+"); len(rest) < 5 || len(rest) > 15 || strings.Trim(rest, "0123456789") != "" {
		return ""
	}
	return digits
}

// allows reports whether the person lets a channel be used at a time. An opt-out on the
// Patient counts, and so does each active Consent of the category contact that denies it.
func (a Addressee) allows(c Channel, now time.Time) bool {
	for x := range a.Person.Root().Each("extension") {
		if v := x.Child("value").Text(); x.Child("url").Text() == ContactOptOutURL && (v == string(c) || v == "all") {
			return false
		}
	}
	return !slices.ContainsFunc(a.Consents, func(r *fhir.Resource) bool { return saysRule(r.Root(), contactRule{"contact", "deny", c, now}) })
}

// takesText reports whether the person has agreed to have clinical text on a channel.
func (a Addressee) takesText(c Channel, now time.Time) bool {
	return slices.ContainsFunc(a.Consents, func(r *fhir.Resource) bool {
		return saysRule(r.Root(), contactRule{"text-by-channel", "permit", c, now})
	})
}

// A contactRule is what a Consent is asked for.
type contactRule struct {
	category, typ string
	channel       Channel
	now           time.Time
}

// saysRule reports whether a Consent says so: one without channels is about all of them.
// https://hl7.org/fhir/R4/consent.html
func saysRule(n fhir.Node, r contactRule) bool {
	provision := n.Child("provision")
	if n.Child("status").Text() != "active" || cmp.Or(provision.Child("type").Text(), "deny") != r.typ || !isOn(provision.Child("period"), r.now) {
		return false
	}
	about := false
	for c := range n.Each("category") {
		about = about || codeIn(c, ContactRuleSystem) == r.category
	}
	if !about {
		return false
	}
	named := false
	for c := range provision.Each("code") {
		channel := codeIn(c, ChannelSystem)
		if channel == string(r.channel) {
			return true
		}
		named = named || channel != ""
	}
	return !named && r.typ == "deny"
}
