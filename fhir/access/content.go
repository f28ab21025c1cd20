package access

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Content is all that the rules of writing look at in one version of a
// resource. [NewContent] makes it.
type Content struct {
	Keys      []Key      // own keys of the content: see [Keys]
	Sent      []Key      // of a Draft: what they are once it is sent
	Gifts     []Gift     // see [Gifts]
	Things    []Key      // resources that it takes along, as Itself: what a ServiceRequest supports itself with, the focus of a Task, attachments
	Authors   []fhir.Key // who is said to have made it: see authorships
	Reporters []fhir.Key // others who are said to tell what it says, as Observation.performer: only patients are held to them
	Stranger  bool       // an author or reporter is named who is not a resource of this server
	Owner     fhir.Key   // of a Task
	Members   []string   // the patients in a Group, as "Patient/1"
	Status    string     // its element status
	Link      string     // of a Patient: its links
	Draft     bool       // a message, or a request for one, that is not sent yet
	Excess    bool       // it names more gifts than it can make, or more than MaxKeys

	// Matches reports whether all conditions of a granular scope hold for it. Nil
	// is no.
	Matches func(where []Argument) bool
	// Given reports whether it has one of some keys beside Keys: by gifts that stand
	// in the table to what has one of Keys, and not to the resource itself, or as
	// Author keys of it or of the version before. Nil is no.
	Given func(any []Key) bool
}

// NewContent returns what the rules look at in the resource at root, whose index
// is ix. Matches and Given are left to the caller.
func NewContent(ix *search.Index, root fhir.Node) *Content {
	c := &Content{Keys: Keys(ix, root), Status: root.Child("status").Text()}
	if c.Draft = isDraft(ix.Key.Type, root); c.Draft {
		c.Sent = keysOf(ix, root, false)
	}
	gifts, ok := giftsOf(ix, root, c.Keys)
	c.Things = thingsOf(ix, root)
	c.Gifts, c.Excess = gifts, !ok || len(c.Keys) > MaxKeys || len(c.Things) > MaxGifts
	c.addAuthors(ix, root)
	switch ix.Key.Type {
	case "Task":
		for k := range named(ix, "owner") {
			c.Owner = k
		}
	case "Group":
		for k := range named(ix, "member") {
			if k.Type == "Patient" {
				c.Members = append(c.Members, k.String())
			}
		}
		slices.Sort(c.Members)
		c.Members = slices.Compact(c.Members)
	case "Patient":
		c.Link = linksOf(root)
	}
	return c
}

// named returns the own keys of c as if it were sent already.
func (c *Content) named() []Key {
	if c.Draft {
		return c.Sent
	}
	return c.Keys
}

// linksOf returns the links of a Patient without the white space that they were
// sent with.
func linksOf(root fhir.Node) string {
	var b bytes.Buffer
	for n := range root.Each("link") {
		// What was decoded is JSON.
		_ = json.Compact(&b, n.Raw())
	}
	return b.String()
}

// An authorship is an element that says who a resource is from.
type authorship struct {
	element string // "sender", of the resource
	code    string // of its search parameter
	reports bool   // it names a reporter, not an author
}

// authorships returns the elements of a type that say who a resource is from; of
// those without a code there is none.
func authorships(typ string) [2]authorship {
	switch typ {
	case "AppointmentResponse":
		return [2]authorship{{"actor", "actor", true}}
	case "Communication":
		return [2]authorship{{"sender", "sender", false}}
	case "CommunicationRequest":
		return [2]authorship{{"requester", "requester", false}, {"sender", "sender", false}}
	case "DocumentReference":
		return [2]authorship{{"author", "author", false}, {"authenticator", "authenticator", true}}
	case "MedicationStatement":
		return [2]authorship{{"informationSource", "source", true}}
	case "Observation":
		return [2]authorship{{"performer", "performer", true}}
	case "Provenance":
		return [2]authorship{{"agent", "agent", false}}
	case "QuestionnaireResponse":
		return [2]authorship{{"author", "author", false}, {"source", "source", true}}
	case "ServiceRequest", "Task":
		return [2]authorship{{"requester", "requester", false}}
	}
	return [2]authorship{}
}

// authorElement returns the expression that names who a resource of a type is
// from.
func authorElement(typ string) string {
	if a := authorships(typ)[0]; a.element != "" {
		return typ + "." + a.element
	}
	return typ
}

// addAuthors finds out who a resource says has sent, written or requested it, and
// whom it reports, in order and each once.
func (c *Content) addAuthors(ix *search.Index, root fhir.Node) {
	for _, a := range authorships(ix.Key.Type) {
		if a.code == "" {
			continue
		}
		all := &c.Authors
		if a.reports {
			all = &c.Reporters
		}
		unknown := 0
		for range root.Each(a.element) {
			unknown++
		}
		for k := range named(ix, a.code) {
			*all = append(*all, k)
			unknown--
		}
		c.Stranger = c.Stranger || unknown > 0
	}
	c.Authors, c.Reporters = sortedNames(c.Authors), sortedNames(c.Reporters)
}

func sortedNames(names []fhir.Key) []fhir.Key {
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}
