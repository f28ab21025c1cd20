package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Trail is one line of audit: who did what, to what, about whom. It never
// holds what was in a request's body. Lines are only ever added: a trigger refuses
// all else to everybody, and the role openconsult_server, which a server with a
// private database works as, has no right to it, nor to the trigger. A deployment with a database
// of its own migrates as the owner of the tables and gives the server a role that is a member of
// that one (GRANT openconsult_server TO …). If the owner may not create roles, it
// grants by itself: SELECT, INSERT, UPDATE, DELETE on all tables but audit, SELECT
// and INSERT on that, USAGE and SELECT on the sequences, and pg_read_all_stats.
type Trail struct {
	Request       string            // id of the request
	Interaction   string            // "read", "search-type", "create" and so on; "login", "token", "refused"
	Client        string            // the application; empty for none
	Agent         string            // the person or system that it acted for, as a reference: "Practitioner/1"; empty for none
	Organizations []string          // ids of the organisations that it acted for
	Origin        string            // network address that the request came from
	Outcome       int16             // of https://hl7.org/fhir/R4/valueset-audit-event-outcome.html: 0 is success
	Key           fhir.Key          // what was touched; without an id, what was searched; zero for neither
	Version       int               // of it; 0 for none. A write that makes a version fills it in by itself
	Patients      []string          // ids of the patients whose data it was about, none twice
	Detail        map[string]string // what a search asked, and the like; nil for nothing
}

// Audits reports whether what is done is recorded.
func (db *DB) Audits() bool { return db != nil && db.audit != nil }

// PatientsOf returns the ids of the patients whose data v is, none twice: those that
// its content names and its access keys confirm, or, where these are not
// known, all that it names. It does not decode the content. A deletion has none.
func (db *DB) PatientsOf(v *Version) []string {
	var ids []string
	if v.Key.Type == patientType && !v.Deleted() {
		ids = append(ids, v.Key.ID)
	}
	rest := v.Stored
	for {
		i := bytes.Index(rest, []byte(patientType+"/"))
		if i < 0 {
			return ids
		}
		rest = rest[i+len(patientType)+1:]
		id := string(rest[:idLength(rest)])
		if fhir.ValidID(id) && !slices.Contains(ids, id) && (v.Keys == nil || db.isOf(v.Keys, id)) {
			ids = append(ids, id)
		}
	}
}

// isOf reports whether what has some effective keys is data of a patient.
func (db *DB) isOf(effective []int64, id string) bool {
	of := patientType + "/" + id
	return db.Meets(effective, []access.Key{{Kind: access.Patient, Of: of}, {Kind: access.Record, Of: of}})
}

// idLength returns how long the logical id is that b begins with.
func idLength(b []byte) int {
	n := bytes.IndexFunc(b[:min(len(b), 65)], func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
	if n < 0 {
		return min(len(b), 65)
	}
	return n
}

// The columns of audit that come from a Trail whatever it is about, in the order
// of auditArgs. The statement of a write has the rest.
const (
	auditNames  = `interaction, request, outcome, client, agent, orgs, origin, patients, patient, others, detail`
	auditNumber = 11
)

// auditValues are the parameters of auditNames, the first of which is $first. The
// first is NULL when there is nothing to record.
func auditValues(first int) string {
	return fmt.Sprintf(`$%d::text, $%d::text, $%d::smallint, $%d::text, $%d::text, $%d::text, $%d::text, $%d::text, $%d::bigint, $%d::bigint[], $%d::jsonb`,
		first, first+1, first+2, first+3, first+4, first+5, first+6, first+7, first+8, first+9, first+10)
}

// auditArgs appends the arguments of auditNames for t; all are nil for no t, or
// without an audit.
func (db *DB) auditArgs(args []any, t *Trail) []any {
	if t == nil || db.audit == nil {
		return append(args, make([]any, auditNumber)...)
	}
	var patient, others any
	switch rids := db.secret.concerned(t); len(rids) {
	case 0:
	case 1:
		patient = rids[0]
	default:
		patient, others = rids[0], int8s(rids[1:])
	}
	return append(args, clean(t.Interaction), clean(t.Request), t.Outcome, text(t.Client), text(t.Agent), words(t.Organizations),
		text(t.Origin), words(t.Patients), patient, others, text(detailText(t.Detail)))
}

// concerned returns the rids of the patients that t is found by: whose data it is
// about, and who acted.
func (s *secret) concerned(t *Trail) []int64 {
	rids := make([]int64, 0, 2)
	for _, id := range t.Patients {
		rids = append(rids, s.RID(fhir.Key{Type: patientType, ID: id}))
	}
	if id, ok := strings.CutPrefix(t.Agent, patientType+"/"); ok && !slices.Contains(t.Patients, id) {
		rids = append(rids, s.RID(fhir.Key{Type: patientType, ID: id}))
	}
	return rids
}

const patientType = "Patient"

// detailText returns the JSON of d, which is empty for none.
func detailText(d map[string]string) string {
	if len(d) == 0 {
		return ""
	}
	cleaned := make(map[string]string, len(d))
	for name, value := range d {
		cleaned[clean(name)] = clean(value)
	}
	b, err := json.Marshal(cleaned)
	if err != nil {
		panic(fmt.Sprintf("a map of strings has a JSON: %v", err))
	}
	return string(b)
}

func words(w []string) any { return text(strings.Join(w, " ")) }

// text returns s, or nil if it is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return clean(s)
}

// clean returns s without what Postgres takes for no text, so that no line is
// refused for what a client has sent.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
