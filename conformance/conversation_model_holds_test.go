package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// A chatVersion is one version of something, and when it was written: numbers of transactions
// that held the same conversation are in their order.
type chatVersion struct {
	id     string
	number int
	xid    int64
	seq    int64
	tree   any
	raw    json.RawMessage
}

func (v chatVersion) at(path string) string { return text(v.tree, path) }

// A chatRecord is all that was ever written of some types, oldest first.
type chatRecord struct {
	c    *chat
	task map[string][]chatVersion
	said map[string][]chatVersion
}

// holds holds all that is stored against what must be true.
func (c *chat) holds() {
	c.Helper()
	r := chatRecord{c, c.versions("Task"), c.versions("Communication")}
	for id, all := range r.task {
		r.moved(id, all)
		r.clocks(id, all)
	}
	r.receipts()
	r.once()
	r.ended()
	r.filed()
	r.submitted()
	r.booked()
	for _, who := range chatPeople {
		r.shown(who)
	}
}

// versions reads all versions of a type, by id.
func (c *chat) versions(typ string) map[string][]chatVersion {
	c.Helper()
	written := map[string][2]int64{}
	rows, err := c.door.db.Query(`SELECT id || '/' || ver, xid::text::bigint, seq FROM ver`)
	if err != nil {
		c.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var at [2]int64
		if err := rows.Scan(&key, &at[0], &at[1]); err != nil {
			c.Fatal(err)
		}
		written[key] = at
	}
	all := map[string][]chatVersion{}
	for url := "/fhir/" + typ + "/_history?_count=1000"; url != ""; {
		x := c.by("", request{method: http.MethodGet, path: url, headers: [][2]string{{"Authorization", "Bearer " + c.tokens["administrator"]}}})
		var page historyPage
		if x.status != http.StatusOK || json.Unmarshal([]byte(x.answer), &page) != nil {
			c.Fatalf("%s\n%s", url, x)
		}
		for _, e := range page.Entry {
			v := chatVersion{raw: e.Resource}
			d := json.NewDecoder(strings.NewReader(string(e.Resource)))
			d.UseNumber()
			if err := d.Decode(&v.tree); err != nil {
				c.Fatal(err)
			}
			v.id = v.at("id")
			fmt.Sscanf(e.Response.ETag, `W/"%d"`, &v.number)
			at := written[fmt.Sprint(v.id, "/", v.number)]
			v.xid, v.seq = at[0], at[1]
			all[v.id] = append(all[v.id], v)
		}
		url = page.next()
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b chatVersion) int { return a.number - b.number })
	}
	return all
}

// moved wants the versions of a Task to be moves of the machine, and its business status to be
// what comes of them.
func (r chatRecord) moved(id string, all []chatVersion) {
	kind := kindIn(all[0].tree)
	rules := r.c.machine.Kinds[kind]
	for i, v := range all {
		status, business := v.at("status"), v.at("businessStatus.coding[0].code")
		var was chatVersion
		from, before := "", ""
		if i > 0 {
			was = all[i-1]
			from, before = was.at("status"), was.at("businessStatus.coding[0].code")
		}
		switch _, ok := r.c.machine.find(kind, from, status); {
		case i == 0 && rules.Initial[status] == nil:
			r.c.Errorf("%s Task/%s begins as %s", kind, id, status)
		case i > 0 && from != status && !ok && !r.forwarded(v, from) && !(kind == "abort" && from == "requested" && status == "completed"):
			r.c.Errorf("%s Task/%s has gone from %s to %s", kind, id, from, status)
		}
		may := rules.Business[status]
		if len(may) == 0 {
			continue
		}
		converted := strings.Contains(string(v.raw), "PROVIDER_CONVERTED")
		switch closed := business == "CONVERSATION_ENDED_CLOSED"; {
		case !slices.Contains(may, business) && !closed:
			r.c.Errorf("%s Task/%s is %s and %s", kind, id, status, business)
		case from != status && !converted && business != may[0], from == status && before != business && !closed:
			r.c.Errorf("%s Task/%s has come to be %s with %s, from %s with %s", kind, id, status, business, from, before)
		}
	}
}

// forwarded reports whether a Task was closed because another one takes its place.
func (r chatRecord) forwarded(v chatVersion, from string) bool {
	return v.at("status") == "rejected" && v.at("statusReason.coding[0].code") == "forwarded" && (from == "requested" || from == "received")
}

// clocks wants the clock of a Task to stand still while it is on hold, and to run while it is worked on.
func (r chatRecord) clocks(id string, all []chatVersion) {
	kind := kindIn(all[0].tree)
	if kind != "consultation" && kind != "advice-and-guidance" && kind != "referral" {
		return
	}
	for _, v := range all {
		open := 0
		for _, p := range extended(v.tree, "clock-pause") {
			if text(p, "valuePeriod.end") == "" {
				open++
			}
		}
		want := 0
		switch v.at("status") {
		case "on-hold":
			want = 1
		case "requested", "received", "accepted", "in-progress":
		default:
			continue
		}
		if open != want {
			r.c.Errorf("%s Task/%s/_history/%d is %s, with %d pauses that go on\n%s", kind, id, v.number, v.at("status"), open, v.raw)
		}
	}
}

// last returns the newest of some versions.
func last(all []chatVersion) chatVersion { return all[len(all)-1] }

// receipts wants one receipt for each recipient of a message that was sent.
func (r chatRecord) receipts() {
	of := map[string][]string{}
	for id, all := range r.task {
		if kindIn(all[0].tree) != "message-receipt" {
			continue
		}
		message := strings.TrimPrefix(all[0].at("focus.reference"), "Communication/")
		of[message] = append(of[message], all[0].at("owner.reference"))
		if all[0].xid != r.sent(message).xid {
			r.c.Errorf("Task/%s, the receipt of Communication/%s, was not written with it", id, message)
		}
		if len(all) > 2 {
			r.c.Errorf("Task/%s, a receipt, has %d versions", id, len(all))
		}
	}
	for id, all := range r.said {
		var want []string
		if r.sent(id).id != "" {
			recipients, _ := find(r.sent(id).tree, "recipient[*].reference")
			for _, to := range recipients {
				if !slices.Contains(want, plain(to)) && (plain(to) != home(r.sent(id).at("sender.reference")) || strings.HasPrefix(plain(to), "Patient/")) && plain(to) != r.sent(id).at("sender.reference") {
					want = append(want, plain(to))
				}
			}
		}
		slices.Sort(want)
		slices.Sort(of[id])
		if id != "message" && !slices.Equal(want, of[id]) {
			r.c.Errorf("Communication/%s has receipts of %q, and went to %q\n%s", id, of[id], want, last(all).raw)
		}
	}
}

// sent returns the version by which a message was sent; none of a draft.
func (r chatRecord) sent(message string) chatVersion {
	for _, v := range r.said[message] {
		if v.at("status") == "in-progress" || v.at("status") == "completed" {
			return v
		}
	}
	return chatVersion{}
}

// talk returns whether a message is part of the exchange.
func isChatTalk(v chatVersion) bool {
	category := ownCode(v.tree, "category[*]", "message-category")
	return !slices.Contains([]string{"acknowledgement", "alert", "internal-note", "auto-reply"}, category)
}

// home returns whom somebody stands for.
func home(who string) string {
	switch who {
	case "RelatedPerson/rita":
		return "Patient/ada"
	}
	for _, s := range machineStaff {
		if who == "PractitionerRole/"+s[0]+"-role" {
			return "Organization/" + s[1]
		}
	}
	return who
}

// once wants one answer at most, of each side, to what takes one.
func (r chatRecord) once() {
	answers := map[string]int{}
	for _, all := range r.said {
		v := last(all)
		asked := strings.TrimPrefix(v.at("inResponseTo[0].reference"), "Communication/")
		if asked == "" || !isChatTalk(v) || v.at("status") != "completed" && v.at("status") != "in-progress" {
			continue
		}
		q := last(r.said[asked])
		mode := text(first(extended(q.tree, "reply-policy")), "extension[0].valueCode")
		task := strings.TrimPrefix(v.at("partOf[0].reference"), "Task/")
		owner := home(last(r.task[task]).at("owner.reference"))
		side := func(m chatVersion) bool { return home(m.at("sender.reference")) == owner }
		if mode == "once" && side(v) != side(q) {
			answers[asked]++
		}
		if mode == "none" && side(v) != side(q) {
			r.c.Errorf("Communication/%s was answered by %s, and takes none", asked, v.id)
		}
	}
	for id, n := range answers {
		if n > 1 {
			r.c.Errorf("Communication/%s takes one answer, and has %d", id, n)
		}
	}
}

func isSettled(status string) bool {
	return slices.Contains([]string{"rejected", "cancelled", "completed", "failed", "entered-in-error"}, status)
}

// ended wants nothing to have been said in a conversation after it had ended.
func (r chatRecord) ended() {
	for id := range r.said {
		v := r.sent(id)
		if v.id == "" || !isChatTalk(v) || id == "message" {
			continue
		}
		task := r.task[strings.TrimPrefix(v.at("partOf[0].reference"), "Task/")]
		if len(task) == 0 {
			r.c.Errorf("Communication/%s is part of no Task\n%s", id, v.raw)
			continue
		}
		before, after := task[0].at("status"), task[0].at("status")
		for _, t := range task {
			if t.xid < v.xid {
				before = t.at("status")
			}
			if t.xid <= v.xid {
				after = t.at("status")
			}
		}
		if isSettled(before) && isSettled(after) {
			r.c.Errorf("Communication/%s was said while Task/%s was %s", id, task[0].id, before)
		}
	}
}

// filed wants nothing to have been said, and no answer to have been changed, since a conversation
// was filed that says that all of it is.
func (r chatRecord) filed() {
	outputs := func(v chatVersion) int { return strings.Count(string(v.raw), `"filed-to-record"`) }
	for id, all := range r.task {
		v := last(all)
		if text(first(extended(v.tree, "filed")), "valueBoolean") != "true" {
			continue
		}
		var at int64
		for i, t := range all {
			if i > 0 && outputs(t) > outputs(all[i-1]) {
				at = t.xid
			}
		}
		if at == 0 {
			r.c.Errorf("Task/%s is said to be filed, and was not", id)
		}
		for m := range r.said {
			s := r.sent(m)
			if s.id != "" && isChatTalk(s) && s.at("partOf[0].reference") == "Task/"+id && s.xid > at {
				r.c.Errorf("Task/%s is said to be filed; Communication/%s was said since", id, m)
			}
		}
		focus := v.at("focus.reference")
		if x := r.c.read(focus); strings.HasPrefix(focus, "QuestionnaireResponse/") && v.at("statusReason.coding[0].code") != "forwarded" {
			var changed int64
			if err := r.c.door.db.QueryRow(`SELECT max(xid::text::bigint) FROM ver WHERE id = $1`, text(x.tree, "id")).Scan(&changed); err != nil || changed > at {
				r.c.Errorf("Task/%s is said to be filed; its form was changed since (%v)\n%s", id, err, v.raw)
			}
		}
	}
}

// submitted wants every form that was sent to have what comes of one.
func (r chatRecord) submitted() {
	for id, all := range r.c.versions("QuestionnaireResponse") {
		if !strings.HasPrefix(all[0].at("questionnaire"), "https://a.example/begin") {
			continue
		}
		var sent chatVersion
		for _, v := range all {
			if sent.id == "" && v.at("status") == "completed" {
				sent = v
			}
		}
		tasks, told := 0, 0
		for _, t := range r.task {
			if t[0].at("focus.reference") == "QuestionnaireResponse/"+id && kindIn(t[0].tree) == "consultation" && !strings.Contains(string(t[0].raw), "task-replaces") {
				tasks++
				if t[0].xid != sent.xid {
					r.c.Errorf("Task/%s was not written with its form", t[0].id)
				}
				for _, m := range r.said {
					if m[0].at("partOf[0].reference") == "Task/"+t[0].id && m[0].xid == sent.xid && strings.Contains(string(m[0].raw), `"acknowledgement"`) {
						told++
					}
				}
			}
		}
		want := 0
		if sent.id != "" {
			want = 1
		}
		proven := 0
		if err := r.c.door.db.QueryRow(`SELECT count(*) FROM ver v JOIN ver q ON q.xid = v.xid WHERE q.id = $1 AND q.ver = $2 AND v.type = (SELECT type FROM ver WHERE id = $3 LIMIT 1)`, id, sent.number, r.provenance()).Scan(&proven); err != nil {
			r.c.Fatal(err)
		}
		if tasks != want || told != want || proven != want {
			r.c.Errorf("QuestionnaireResponse/%s has %d Tasks, %d acknowledgements, %d Provenances; want %d", id, tasks, told, proven, want)
		}
	}
}

// provenance returns the id of any.
func (r chatRecord) provenance() string {
	x := r.c.by("", request{method: http.MethodGet, path: "/fhir/Provenance?_count=1", headers: [][2]string{{"Authorization", "Bearer " + r.c.tokens["administrator"]}}})
	return text(x.tree, "entry[0].resource.id")
}

// booked wants no Slot to be booked twice, and those to be busy that are booked.
func (r chatRecord) booked() {
	by := map[string]int{}
	for _, all := range r.c.versions("Appointment") {
		if last(all).at("status") == "booked" {
			by[last(all).at("slot[0].reference")]++
		}
	}
	for i := range chatSlots {
		slot := fmt.Sprint("Slot/slot-", i)
		status := text(r.c.read(slot).tree, "status")
		if n := by[slot]; n > 1 || (status == "busy") != (n == 1) {
			r.c.Errorf("%s is %s, and booked by %d", slot, status, n)
		}
	}
}

// caller returns somebody as the rules see them.
func chatCaller(who string) consultation.Caller {
	words := strings.Fields(who)
	key := func(typ, id string) fhir.Key { return fhir.Key{Type: typ, ID: id} }
	switch words[0] {
	case "patient":
		return consultation.Caller{Persons: []fhir.Key{key("Patient", words[1])}}
	case "relative":
		return consultation.Caller{Persons: []fhir.Key{key("RelatedPerson", words[1])}, Proxies: []fhir.Key{key("Patient", "ada")}}
	case "client":
		return consultation.Caller{Memberships: []consultation.Membership{{Of: key("Organization", "practice")}}}
	}
	_, at, _ := strings.Cut(home("PractitionerRole/"+words[1]+"-role"), "/")
	return consultation.Caller{Persons: []fhir.Key{key("Practitioner", words[1]), key("PractitionerRole", words[1]+"-role")}, Memberships: []consultation.Membership{{Of: key("Organization", at)}}}
}

// shown wants who searches for messages to find those that the rules show them.
func (r chatRecord) shown(who string) {
	found := map[string]bool{}
	for url := "/fhir/Communication?_count=1000"; url != ""; {
		x := r.c.by(who, request{method: http.MethodGet, path: url})
		var page historyPage
		if x.status != http.StatusOK || json.Unmarshal([]byte(x.answer), &page) != nil {
			r.c.Fatalf("%s by %s\n%s", url, who, x)
		}
		for _, e := range page.Entry {
			found[e.FullURL[strings.LastIndex(e.FullURL, "/")+1:]] = true
		}
		url = page.next()
	}
	parties := map[fhir.Key]fhir.Key{{Type: "RelatedPerson", ID: "rita"}: {Type: "Patient", ID: "ada"}}
	for _, s := range machineStaff {
		parties[fhir.Key{Type: "PractitionerRole", ID: s[0] + "-role"}] = fhir.Key{Type: "Organization", ID: s[1]}
	}
	for id, all := range r.said {
		if id == "message" {
			continue
		}
		m := consultation.ReadMessage(r.decode("Communication", last(all)), r.c.base)
		task, err := consultation.ReadTask(r.decode("Task", last(r.task[m.Task.ID])), r.c.base)
		if err != nil {
			r.c.Fatal(err)
		}
		c := consultation.Conversation{Task: task, Base: r.c.base, Parties: parties}
		shows := c.Shows(m, chatCaller(who))
		if r.task[m.Task.ID][0].at("owner.reference") != last(r.task[m.Task.ID]).at("owner.reference") {
			continue // each owner that a draft had keeps what it said and was told, and the next does not get it
		}
		// What neither is from an organisation nor goes to it, a party does not always find by a search.
		if at := chatCaller(who).Memberships; len(at) > 0 && !slices.ContainsFunc(append(slices.Clone(m.Recipients), m.Sender), func(k fhir.Key) bool { return home(k.String()) == at[0].Of.String() }) {
			shows = shows && found[id]
		}
		if shows != found[id] {
			r.c.Errorf("Communication/%s is shown to %s by the rules: %t, by a search: %t\n%s\n%s", id, who, shows, found[id], last(all).raw, last(r.task[m.Task.ID]).raw)
		}
	}
}

func (r chatRecord) decode(typ string, v chatVersion) *fhir.Resource {
	d, err := fhir.Decode(typ, v.raw)
	if err != nil {
		r.c.Fatalf("%v\n%s", err, v.raw)
	}
	return d
}
