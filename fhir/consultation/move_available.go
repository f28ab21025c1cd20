package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// A Move is one that a caller may make now.
type Move struct {
	To             Status
	Requires       string // code of the precondition that the change itself must meet; empty for none
	BusinessStatus string // that the Task gets; empty when the kind has none that is derived
	Forward        bool   // by giving the Task another organisation as owner, and leaving the status
}

// AvailableActions returns the moves of t that somebody with the given roles may make now,
// in the order of the state machine. What no change can meet any more, such as a window
// that has passed, is left out. Moves that are the server's alone are there for System only.
func AvailableActions(t Task, roles Roles, f Facts) []Move {
	r := machine().kinds[t.Kind]
	if r == nil {
		return nil
	}
	roles = roles.asked()
	var moves []Move
	for _, m := range machine().from(t.Kind, t.Status) {
		if m.by&roles != 0 && !m.hopeless(t, f) {
			next := t
			next.Status = m.to
			next.Outputs = nil
			moves = append(moves, Move{To: m.to, Requires: m.requires, BusinessStatus: businessStatusFor(next)})
		}
	}
	for _, c := range r.closing {
		if c.by&roles != 0 && c.status == t.Status && c.from == t.BusinessStatus {
			moves = append(moves, Move{To: t.Status, BusinessStatus: c.to})
		}
	}
	if roles&Owner != 0 && slices.Contains(r.forwardFrom, t.Status) {
		moves = append(moves, Move{To: StatusRejected, Forward: true})
	}
	return moves
}

// hopeless says whether nothing in the request can meet what m asks for.
func (m transition) hopeless(t Task, f Facts) bool {
	switch {
	case slices.Contains(m.unless, t.BusinessStatus), t.Kind == Abort && m.to == StatusAccepted && !f.abortable(t):
		return true
	}
	switch m.requires {
	case "reopen-window-28d":
		return !f.within(reopenDays)
	case "further-question-sent-within-60d":
		return !f.within(furtherDays)
	case "abort-accepted":
		return !f.AbortAccepted
	}
	return false
}

// appendExtension appends m to dst as an extension of an issue, a JSON object.
func (m Move) appendExtension(dst []byte) []byte {
	dst = append(dst, `{"url":"`+AllowedTransitionURL+`","extension":[`...)
	dst = append(m.appendParts(dst, "url"), `]}`...)
	return dst
}

// extensionsOf returns the moves as extensions of an issue, with commas between them.
func extensionsOf(moves []Move) string {
	var dst []byte
	for i, m := range moves {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.appendExtension(dst)
	}
	return string(dst)
}

// ActionsJSON returns the moves as a Parameters resource, one parameter named
// allowed-transition for each. https://hl7.org/fhir/R4/parameters.html
func ActionsJSON(moves []Move) []byte {
	dst := []byte(`{"resourceType":"Parameters"`)
	for i, m := range moves {
		if i == 0 {
			dst = append(dst, `,"parameter":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"name":"allowed-transition","part":[`...)
		dst = append(m.appendParts(dst, "name"), `]}`...)
	}
	if len(moves) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendParts appends what m consists of, each named by the given property.
func (m Move) appendParts(dst []byte, property string) []byte {
	part := func(name, value string) {
		dst = append(dst, `{"`+property+`":"`+name+`",`...)
		dst = append(dst, value...)
		dst = append(dst, '}')
	}
	part("to", `"valueCode":`+string(fhir.AppendString(nil, string(m.To))))
	if m.Requires != "" {
		dst = append(dst, ',')
		part("precondition", `"valueCode":`+string(fhir.AppendString(nil, m.Requires)))
	}
	if m.BusinessStatus != "" {
		dst = append(dst, ',')
		part("business-status", `"valueCoding":{"system":"`+AdviceStatusSystem+`","code":`+string(fhir.AppendString(nil, m.BusinessStatus))+`}`)
	}
	if m.Forward {
		dst = append(dst, ',')
		part("forward", `"valueBoolean":true`)
	}
	return dst
}
