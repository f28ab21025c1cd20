package interaction

import "github.com/openconsult/openconsult/fhir/access"

// A kind is what all AuditEvents of one interaction have in common.
type kind struct {
	typ                  coding
	subtype              []coding
	action               string
	profile              string // of IHE's Basic Audit Log Patterns; empty for none
	client, server, user concept
}

func one(c coding) concept { return concept{[]coding{c}} }

// kindOf returns the kind of an interaction. What is none of REST's has a code of
// our own.
func kindOf(i access.Interaction) kind {
	source := one(coding{dicom, "110153", "Source Role ID"})
	destination := one(coding{dicom, "110152", "Destination Role ID"})
	k := kind{
		typ: coding{eventTypes, "rest", "RESTful Operation"}, subtype: []coding{{System: interactions, Code: string(i)}}, action: "E",
		client: source, server: destination, user: one(coding{participation, "IRCP", "information recipient"}),
	}
	switch i {
	case access.Read, access.VRead:
		k.action, k.profile = "R", "Read"
		k.client, k.server = destination, source
	case access.HistoryInstance, access.HistoryType, access.HistorySystem:
		k.action = "R"
		k.client, k.server = destination, source
	case access.SearchType, access.SearchSystem:
		k.profile = "Query"
	case access.Create:
		k.action, k.profile = "C", "Create"
	case access.Update, access.Patch:
		k.action, k.profile = "U", "Update"
	case access.Delete:
		k.action, k.profile = "D", "Delete"
	case transitionRefused:
		k.action, k.subtype = "U", []coding{{System: interactions, Code: string(access.Update)}, {System: ownEvents, Code: string(i)}}
	case transactionInteraction:
	default:
		k.other(i)
	}
	if k.action == "C" || k.action == "U" || k.action == "D" {
		k.user = one(coding{participation, "AUT", "author (originator)"})
	}
	return k
}

// other makes k the kind of what is no interaction of REST.
func (k *kind) other(i access.Interaction) {
	k.subtype = []coding{{System: ownEvents, Code: string(i)}}
	switch i {
	case SignIn:
		k.typ, k.subtype[0] = userAuthentication(), coding{dicom, "110122", "Login"}
	case SignOut:
		k.typ, k.subtype[0] = userAuthentication(), coding{dicom, "110123", "Logout"}
	case TokenIssued:
		k.typ = userAuthentication()
	case Refused:
		k.typ = coding{dicom, "110113", "Security Alert"}
	case Meta, Changes:
		k.action = "R"
	case Everything, Summary:
		k.action, k.subtype = "R", append(k.subtype, coding{System: ownEvents, Code: exported})
	case MetaAdd, MetaDelete:
		k.action = "U"
	case access.Purge:
		k.action = "D"
	}
	if k.typ.Code == "rest" {
		k.subtype = append([]coding{{System: interactions, Code: "operation"}}, k.subtype...)
	}
}

// exported says of what was done that who did it has a copy to keep.
const exported = "exported"

func userAuthentication() coding { return coding{dicom, "110114", "User Authentication"} }
