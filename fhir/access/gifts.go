package access

import (
	"iter"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// MaxGifts is how many gifts a resource can make. One that names more makes none
// and is refused by [Grant.MayWrite].
const MaxGifts = 2000

// MaxKeys is how many access keys the content of a resource can have. The database
// holds a lock for each while it writes, of which there are not many for all.
const MaxKeys = 1000

// Gifts returns what a resource, whose own keys are own, gives to others, in order
// and none twice: what its content names, whether or not its writer may give it,
// which [Grant.Gives] says. Its index is ix, and root is the resource.
func Gifts(ix *search.Index, root fhir.Node, own []Key) []Gift {
	gifts, _ := giftsOf(ix, root, own)
	return gifts
}

// giftsOf returns what a resource gives. It is not ok when that is too much.
func giftsOf(ix *search.Index, root fhir.Node, own []Key) (gifts []Gift, ok bool) {
	s := sharing{ix: ix, root: root}
	switch ix.Key.Type {
	case "Patient":
		s.target(Record, ix.Key)
		s.parties("organization", "general-practitioner")
	case "CareTeam":
		s.careTeam()
	case "EpisodeOfCare":
		s.episode()
	case "PractitionerRole":
		s.role()
	case "HealthcareService":
		s.target(Party, ix.Key)
		s.parties("organization")
	case "ServiceRequest":
		s.referral()
	case "Task":
		return s.task()
	case "Communication", "DocumentReference", "DiagnosticReport", "Media", "QuestionnaireResponse":
		s.attachments(own)
	}
	return s.gifts()
}

// A sharing is what one resource gives: every key to every target.
type sharing struct {
	ix      *search.Index
	root    fhir.Node
	targets []Key
	keys    []Key
}

func (s *sharing) target(kind Kind, k fhir.Key) {
	if k.ID != "" {
		s.targets = append(s.targets, Key{kind, k.String()})
	}
}

// thing has the resource k be given, unless all see it: a gift would only say of
// who is in the directory whose they are.
func (s *sharing) thing(k fhir.Key) {
	if !isOpen(k.Type) {
		s.target(Itself, k)
	}
}

// party has k get what is given, if it can be a party. A related person gets
// nothing so: whoever acts for a patient does so by a consent.
func (s *sharing) party(k fhir.Key) {
	if isParty(k.Type) && k.Type != "RelatedPerson" {
		s.keys = append(s.keys, Key{Party, k.String()})
	}
}

func (s *sharing) parties(codes ...string) {
	for i := range s.ix.Entries {
		if code, k := reference(&s.ix.Entries[i]); k.ID != "" && slices.Contains(codes, code) {
			s.party(k)
		}
	}
}

// records has the records of the patients that a parameter names be given.
func (s *sharing) records(code string) {
	for k := range named(s.ix, code) {
		if k.Type == "Patient" {
			s.target(Record, k)
		}
	}
}

// gifts returns every key for every target. It is not ok when they are too many.
func (s *sharing) gifts() (gifts []Gift, ok bool) {
	if len(s.targets) == 0 || len(s.keys) == 0 {
		return nil, true
	}
	targets, keys := sorted(s.targets), sorted(s.keys)
	if len(targets)*len(keys) > MaxGifts {
		return nil, false
	}
	gifts = make([]Gift, 0, len(targets)*len(keys))
	for _, t := range targets {
		for _, k := range keys {
			gifts = append(gifts, Gift{t, k})
		}
	}
	return gifts, true
}

func sorted(keys []Key) []Key {
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func (s *sharing) status() string { return s.root.Child("status").Text() }

// careTeam gives the record of the patient to the members of an active team.
func (s *sharing) careTeam() {
	if s.status() != "active" {
		return
	}
	s.records("patient")
	s.parties("participant")
	for k := range careTeamOrganizations(s.ix, s.root) {
		s.party(k)
	}
}

// episode gives the record of the patient to who is in charge of an active
// episode.
func (s *sharing) episode() {
	if s.status() != "active" {
		return
	}
	s.records("patient")
	s.parties("organization", "care-manager")
	for team := range s.root.Each("team") {
		s.party(ours(s.ix, team))
	}
}

// role has an organisation see what is addressed to its role, and tells that the
// practitioner is one of its own.
func (s *sharing) role() {
	if s.root.Child("active").Text() == "false" {
		return
	}
	s.target(Party, s.ix.Key)
	for k := range named(s.ix, "practitioner") {
		s.target(Itself, k)
	}
	s.parties("organization")
}

// referral gives the patient and what goes with the referral to who is asked and
// who asks.
func (s *sharing) referral() {
	switch s.status() {
	case "active", "on-hold", "completed":
	default:
		return
	}
	s.parties("performer", "requester")
	for k := range named(s.ix, "subject") {
		if k.Type == "Patient" {
			s.target(Itself, k)
		}
	}
	s.things()
}

// things has what a referral, a task or an attachment takes along be given.
func (s *sharing) things() {
	switch s.ix.Key.Type {
	case "ServiceRequest":
		for _, element := range [...]string{"supportingInfo", "reasonReference", "insurance"} {
			for n := range s.root.Each(element) {
				s.thing(ours(s.ix, n))
			}
		}
	case "Task":
		for k := range named(s.ix, "focus") {
			s.thing(k)
		}
	case "Communication", "DocumentReference", "DiagnosticReport", "Media", "QuestionnaireResponse":
		for text := range attached(s.root) {
			if k := literal(s.ix, text); k.Type == "Binary" {
				s.target(Itself, k)
			}
		}
	}
}

// thingsOf returns what a resource takes along, whether or not its status is one
// in which it gives that to somebody.
func thingsOf(ix *search.Index, root fhir.Node) []Key {
	s := sharing{ix: ix, root: root}
	s.things()
	return sorted(s.targets)
}

// task gives the patient and the focus of a Task to who does it and who asks for
// it. A patient who is one of these gets the focus, too. A receipt gives nothing: whom a message
// was sent to sees it for that, and not what it was as a draft.
func (s *sharing) task() (gifts []Gift, ok bool) {
	if isReceipt(s.ix) {
		return nil, true
	}
	switch s.status() {
	case "draft", "rejected", "cancelled", "failed", "entered-in-error", "":
		return nil, true
	}
	s.parties("owner", "requester")
	var patient fhir.Key
	for k := range named(s.ix, "patient") {
		if k.Type == "Patient" {
			patient = k
		}
	}
	s.target(Itself, patient)
	s.things()
	gifts, ok = s.gifts()
	if patient.ID == "" || !s.names(patient, "owner", "requester") {
		return gifts, ok
	}
	for k := range named(s.ix, "focus") {
		if k != patient && !isOpen(k.Type) {
			gifts = append(gifts, Gift{Key{Itself, k.String()}, Key{Patient, patient.String()}})
		}
	}
	slices.SortFunc(gifts, compareGifts)
	return slices.Compact(gifts), ok
}

func compareGifts(a, b Gift) int {
	if n := compareKeys(a.Target, b.Target); n != 0 {
		return n
	}
	return compareKeys(a.Key, b.Key)
}

// names reports whether one of some parameters names k.
func (s *sharing) names(k fhir.Key, codes ...string) bool {
	for i := range s.ix.Entries {
		if code, named := reference(&s.ix.Entries[i]); named == k && slices.Contains(codes, code) {
			return true
		}
	}
	return false
}

// attachments has who sees the resource see its attachments, and who does not for
// its labels not see them.
func (s *sharing) attachments(own []Key) {
	s.things()
	if len(s.targets) == 0 {
		return
	}
	s.keys = make([]Key, 0, len(own)+1)
	for _, k := range own {
		switch k.Kind {
		case Patient, Record, Party, Label:
			s.keys = append(s.keys, k)
		}
	}
	s.keys = append(s.keys, Key{Itself, s.ix.Key.String()})
}

// attached returns the URLs of the attachments of a resource.
func attached(root fhir.Node) iter.Seq[string] {
	return func(yield func(string) bool) {
		switch root.Type().Name {
		case "Communication":
			urlsBelow(root, "payload", "content", yield)
		case "DocumentReference":
			urlsBelow(root, "content", "attachment", yield)
		case "DiagnosticReport":
			urlsBelow(root, "presentedForm", "", yield)
		case "Media":
			urlsBelow(root, "content", "", yield)
		case "QuestionnaireResponse":
			answered(root, yield)
		}
	}
}

// urlsBelow yields the url of every element, or of its child. It is false when
// yield had enough.
func urlsBelow(n fhir.Node, element, child string, yield func(string) bool) bool {
	for e := range n.Each(element) {
		if child != "" {
			e = e.Child(child)
		}
		if url := e.Child("url").Text(); url != "" && !yield(url) {
			return false
		}
	}
	return true
}

// answered yields the URLs of attachments among the answers below n.
func answered(n fhir.Node, yield func(string) bool) bool {
	for item := range n.Each("item") {
		if !urlsBelow(item, "answer", "value", yield) || !answered(item, yield) {
			return false
		}
		for a := range item.Each("answer") {
			if !answered(a, yield) {
				return false
			}
		}
	}
	return true
}
