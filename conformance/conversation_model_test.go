package conformance_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// chatPeople are those who talk at random.
var chatPeople = []string{
	"patient ada patient/*.cruds", "patient ben patient/*.cruds", "patient cleo patient/*.cruds", "relative rita patient=ada patient/*.cruds",
	"practitioner grace user/*.cruds", "practitioner ivy user/*.cruds", "practitioner rosa user/*.cruds",
	"practitioner omar user/*.cruds", "practitioner hal user/*.cruds", "practitioner nina user/*.cruds",
	"client system organizations=practice roles=assert-author system/*.cruds",
}

// chatWorld is what they find, beside what is there for the state machine.
var chatWorld = []string{
	`{"resourceType":"Patient","id":"ben","active":true,"managingOrganization":{"reference":"Organization/practice"}}`,
	`{"resourceType":"Patient","id":"cleo","active":true,"managingOrganization":{"reference":"Organization/elsewhere"}}`,
	`{"resourceType":"RelatedPerson","id":"rita","active":true,"patient":{"reference":"Patient/ada"}}`,
	`{"resourceType":"Consent","id":"proxy","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
		"category":[{"text":"Proxy"}],"patient":{"reference":"Patient/ada"},"policyRule":{"text":"Proxy"},"provision":{"type":"permit","actor":[{"role":{"text":"proxy"},"reference":{"reference":"RelatedPerson/rita"}}]}}`,
	`{"resourceType":"Questionnaire","id":"begin","url":"https://a.example/begin","version":"1","status":"active",
		"code":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}],"item":[{"linkId":"text","text":"What is it?","type":"text"}]}`,
	`{"resourceType":"ServiceRequest","id":"convertible","status":"active","intent":"order","subject":{"reference":"Patient/ada"},"requester":{"reference":"Organization/practice"},"performer":[{"reference":"Organization/hospital"}],
		"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/conversion-authorisation","valueCoding":{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-ConversionAuthorisation-1","code":"AUTHORISED_TO_CONVERT"}}]}`,
	`{"resourceType":"MedicationRequest","id":"issued","status":"active","intent":"order","medicationCodeableConcept":{"text":"Ramipril 5 mg"},"subject":{"reference":"Patient/ada"}}`,
	`{"resourceType":"HealthcareService","id":"gp","active":true,"providedBy":{"reference":"Organization/practice"}}`,
	`{"resourceType":"Schedule","id":"diary","actor":[{"reference":"HealthcareService/gp"}]}`,
}

const chatSlots = 12

// A chat is what is going on at random.
type chat struct {
	*mechanism
	rng      *rand.Rand
	machine  machinePublished
	tasks    []string // ids of conversations
	messages []string
	of       map[string]string // the Task of a message
	answers  []string
	books    []string
	done     map[string]int // how often what came to which status
	beside   bool           // others write at the same time
}

// A deed is something that somebody may try.
type deed struct {
	name string
	odds int
	do   func(*chat, string) []exchange
}

var chatDeeds = []deed{
	{"submit", 8, (*chat).submit}, {"amend", 4, (*chat).amend}, {"move", 40, (*chat).moves}, {"say", 40, (*chat).says}, {"say twice", 6, (*chat).twice},
	{"send draft", 5, (*chat).sendDraft}, {"alter", 2, (*chat).alter}, {"mark read", 8, (*chat).markRead}, {"retract", 3, (*chat).retract}, {"forward", 3, (*chat).forward},
	{"ask advice", 5, (*chat).askAdvice}, {"close", 3, (*chat).closes}, {"abort", 4, (*chat).aborts}, {"repeat", 3, (*chat).repeats}, {"ask patient", 3, (*chat).asksPatient},
	{"file", 6, (*chat).files}, {"write to", 4, (*chat).writesTo}, {"book", 5, (*chat).booksSlot}, {"unbook", 2, (*chat).unbooks},
}

// TestConversationModel has everybody do anything, right and wrong, and holds what has come of it
// against what must be true whatever happens.
func TestConversationModel(t *testing.T) {
	t.Parallel()
	seed, rounds := uint64(time.Now().UnixNano()), 3
	if s := os.Getenv("OPENCONSULT_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	if testing.Short() {
		rounds = 1
	}
	t.Logf("OPENCONSULT_SEED=%d", seed)
	c := newChat(t, seed)
	for range rounds {
		for range 200 {
			c.step()
		}
		c.holds()
		c.together(4, 60)
		c.holds()
		if t.Failed() {
			break
		}
	}
	t.Log(c.done)
}

// together has several do so at the same time, in the same conversations.
func (c *chat) together(several, steps int) {
	all := make([]*chat, several)
	var group sync.WaitGroup
	for i := range all {
		one := *c
		one.rng, one.beside = rand.New(rand.NewPCG(c.rng.Uint64(), 2)), true
		one.tasks, one.messages, one.answers, one.books = slices.Clone(c.tasks), slices.Clone(c.messages), slices.Clone(c.answers), slices.Clone(c.books)
		one.of, one.done = maps.Clone(c.of), map[string]int{}
		all[i] = &one
		group.Go(func() {
			for range steps {
				one.step()
			}
		})
	}
	group.Wait()
	for _, one := range all {
		c.tasks, c.messages, c.answers, c.books = union(c.tasks, one.tasks), union(c.messages, one.messages), union(c.answers, one.answers), union(c.books, one.books)
		for what, n := range one.done {
			c.done[what] += n
		}
	}
}

// union returns all and those of more that are not among them.
func union(all, more []string) []string {
	return append(all, slices.DeleteFunc(more, func(s string) bool { return slices.Contains(all, s) })...)
}

func newChat(t *testing.T, seed uint64) *chat {
	t.Helper()
	c := &chat{mechanism: newMechanism(t), machine: machineKinds(t), rng: rand.New(rand.NewPCG(seed, 1)), of: map[string]string{}, done: map[string]int{}}
	c.store(chatWorld...)
	for i := range 4 {
		c.store(machinePlan(fmt.Sprint("plan-", i)))
	}
	for i := range chatSlots {
		c.store(fmt.Sprintf(`{"resourceType":"Slot","id":"slot-%d","schedule":{"reference":"Schedule/diary"},"status":"free","start":"2099-03-02T%02d:00:00Z","end":"2099-03-02T%02[2]d:15:00Z"}`, i, 8+i))
	}
	c.token("administrator")
	for _, who := range chatPeople {
		c.token(who)
	}
	return c
}

// step has somebody do something. What is refused changes nothing.
func (c *chat) step() {
	c.Helper()
	n := 0
	for _, d := range chatDeeds {
		n += d.odds
	}
	n = c.rng.IntN(n)
	for _, d := range chatDeeds {
		if n -= d.odds; n >= 0 {
			continue
		}
		who, before := c.one(chatPeople), c.written()
		all := d.do(c, who)
		refused := len(all) > 0
		for _, x := range all {
			refused = refused && x.status >= 400
			c.done[fmt.Sprint(d.name, " ", x.status)]++
			c.note(x)
		}
		if after := c.written(); refused && !c.beside && after != before {
			c.Errorf("%s of %s was refused, and has written %s\n%s", d.name, who, c.writtenSince(before), all[0])
		}
		return
	}
}

// written returns how many versions have been written.
func (c *chat) written() (n int64) {
	c.Helper()
	if err := c.door.db.QueryRow(`SELECT coalesce(max(seq), 0) FROM ver WHERE origin IS DISTINCT FROM 'openconsult'`).Scan(&n); err != nil {
		c.Fatal(err)
	}
	return n
}

var madeNames = regexp.MustCompile(`(Task|Communication|QuestionnaireResponse|Appointment)/([0-9a-f-]{36})`)

// note remembers what has been created.
func (c *chat) note(x exchange) {
	if x.status >= 300 || x.method == http.MethodGet {
		return
	}
	text := x.header.Get("Location") + " " + strings.Join(x.header.Values("Link"), " ")
	if x.path == "/fhir" {
		text += x.answer
	}
	for _, m := range madeNames.FindAllStringSubmatch(text, -1) {
		list := map[string]*[]string{"Task": &c.tasks, "Communication": &c.messages, "QuestionnaireResponse": &c.answers, "Appointment": &c.books}[m[1]]
		if !slices.Contains(*list, m[2]) {
			*list = append(*list, m[2])
		}
	}
}

func (c *chat) one(of []string) string {
	if len(of) == 0 {
		return "none"
	}
	return of[c.rng.IntN(len(of))]
}

// recent picks one of some, more often a late one.
func (c *chat) recent(of []string) string {
	if len(of) > 12 && c.rng.IntN(4) > 0 {
		of = of[len(of)-12:]
	}
	return c.one(of)
}

func (c *chat) in(n int) bool { return c.rng.IntN(n) == 0 }

// as sends one request.
func (c *chat) as(who string, r request) []exchange {
	c.Helper()
	return []exchange{c.by(who, r)}
}

func (c *chat) submit(who string) []exchange {
	of := c.one([]string{"ada", "ada", "ben", "cleo"})
	if words := strings.Fields(who); words[0] == "patient" && !c.in(8) {
		of = words[1]
	}
	status := c.one([]string{"completed", "completed", "completed", "in-progress"})
	return c.as(who, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: c.form("", of, status)})
}

func (c *chat) form(id, of, status string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Sprintf(`{"resourceType":"QuestionnaireResponse",%s"questionnaire":"https://a.example/begin|1","status":%q,"subject":{"reference":"Patient/%s"},"item":[{"linkId":"text","answer":[{"valueString":"%x %x"}]}]}`, id, status, of, c.rng.Uint64(), c.rng.Uint64())
}

func (c *chat) amend(who string) []exchange {
	id := c.recent(c.answers)
	was := c.read("QuestionnaireResponse/" + id)
	if was.status != 200 {
		return nil
	}
	_, of, _ := strings.Cut(text(was.tree, "subject.reference"), "/")
	if !c.in(6) {
		who = "patient " + of + " patient/*.cruds"
	}
	return c.as(who, request{method: http.MethodPut, path: "/fhir/QuestionnaireResponse/" + id, headers: [][2]string{{"If-Match", was.header.Get("ETag")}}, body: c.form(id, of, "completed")})
}

// A chatTask is a Task as it is when somebody looks at it.
type chatTask struct {
	id, etag, version, kind, status, requester, owner, of, business, focus string
	outputs                                                                bool
}

// task picks one and reads it.
func (c *chat) task() chatTask {
	x := c.read("Task/" + c.recent(c.tasks))
	etag := x.header.Get("ETag")
	return chatTask{
		id: text(x.tree, "id"), etag: etag, version: strings.Trim(etag, `W/"`), kind: kindIn(x.tree), status: text(x.tree, "status"),
		requester: text(x.tree, "requester.reference"), owner: text(x.tree, "owner.reference"), of: text(x.tree, "for.reference"),
		business: text(x.tree, "businessStatus.coding[0].code"), focus: text(x.tree, "focus.reference"), outputs: strings.Contains(x.answer, `"output"`),
	}
}

func kindIn(tree any) string { return ownCode(tree, "code", "task-kind") }

// ownCode returns the first code of a code system of ours.
func ownCode(tree any, at, system string) string {
	all, _ := find(tree, at+".coding[*]")
	return text(first(having(all, "system", consultation.Base+"CodeSystem/"+system)), "code")
}

// extended returns the extensions of ours that something has.
func extended(tree any, name string) []any {
	all, _ := find(tree, "extension[*]")
	return having(all, "url", consultation.Base+"StructureDefinition/"+name)
}

// first returns the first of some, nil when there is none.
func first(all []any) any {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// party returns somebody who stands for a party, most often.
func (c *chat) party(of, who string) string {
	if c.in(5) {
		return who
	}
	switch of {
	case "Organization/practice":
		return c.one([]string{"practitioner grace user/*.cruds", "practitioner ivy user/*.cruds", "practitioner rosa user/*.cruds", chatPeople[10]})
	case "Organization/hospital":
		return c.one([]string{"practitioner omar user/*.cruds", "practitioner hal user/*.cruds"})
	case "Organization/elsewhere":
		return "practitioner nina user/*.cruds"
	case "RelatedPerson/rita":
		return chatPeople[3]
	}
	if of == "Patient/ada" && c.in(3) {
		return chatPeople[3]
	}
	return "patient " + strings.TrimPrefix(of, "Patient/") + " patient/*.cruds"
}

func (c *chat) moves(who string) []exchange {
	t := c.task()
	var move machineMove
	if from := c.machine.from(t.kind, t.status); len(from) > 0 && !c.in(8) {
		move = from[c.rng.IntN(len(from))]
		if move.To == "entered-in-error" && !c.in(6) || move.To == "cancelled" && c.in(2) {
			return nil
		}
	} else {
		move = machineMove{To: c.one(taskStatuses), By: []string{"owner"}}
	}
	switch {
	case slices.Contains(move.By, "owner"), slices.Contains(move.By, "clinician"):
		who = c.party(t.owner, who)
	case slices.Contains(move.By, "requester"):
		who = c.party(t.requester, who)
	}
	ops, to := c.machine.meets(t.kind, move)
	if t.outputs {
		for i := range ops {
			ops[i] = strings.Replace(ops[i], `"/output","value":[`, `"/output/-","value":`, 1)
			ops[i] = strings.TrimSuffix(ops[i], "]}") + "}"
		}
	}
	if c.in(6) {
		ops, to = nil, ""
	}
	if to != "" && c.in(4) {
		to = ""
	}
	patch := request{method: http.MethodPatch, path: "/fhir/Task/" + t.id, headers: [][2]string{{"If-Match", t.etag}}, body: setStatus(move.To, ops...)}
	if to == "" {
		return c.as(who, patch)
	}
	to = t.requester
	if move.Requires == "reply-sent" || strings.HasPrefix(move.Requires, "further") {
		to = t.owner
	}
	said := c.message(t, who, to)
	return c.as(who, together(said, patch.body, t))
}

// together sends a message and a change of its Task in one transaction.
func together(said, patch string, t chatTask) request {
	return request{method: http.MethodPost, path: "/fhir", body: fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%s,"request":{"method":"POST","url":"Communication"}},
		{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":"Task/%s","ifMatch":"W/\"%s\""}}]}`,
		said, base64.StdEncoding.EncodeToString([]byte(patch)), t.id, t.version)}
}

// message makes one up.
func (c *chat) message(t chatTask, who, to string) string {
	more := ""
	now := time.Now().UTC()
	if mode := c.one([]string{"", "", "none", "once", "once", "once", "open", "open", "window", "late"}); mode != "" {
		until := ""
		switch mode {
		case "window":
			until = `,{"url":"until","valueDateTime":"` + now.Add(time.Hour).Format(time.RFC3339) + `"}`
		case "late":
			mode, until = "window", `,{"url":"until","valueDateTime":"`+now.Add(-time.Hour).Format(time.RFC3339)+`"}`
		}
		if !strings.HasPrefix(who, "patient") && !strings.HasPrefix(who, "relative") || c.in(8) {
			more += fmt.Sprintf(`,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":%q}%s]}]`, mode, until)
		}
	}
	category, status := "", "completed"
	if strings.HasPrefix(who, "practitioner") && c.in(8) {
		category = "internal-note"
		if to = "Organization/practice"; strings.Contains(who, "omar") || strings.Contains(who, "hal") {
			to = "Organization/hospital"
		}
	} else if c.in(25) {
		category = c.one([]string{"alert", "acknowledgement", "auto-reply", "consultation", "advice-and-guidance"})
	}
	if category != "" {
		more += fmt.Sprintf(`,"category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":%q}]}]`, category)
	}
	if c.in(8) {
		status = "preparation"
	}
	if c.in(3) {
		var here []string
		for _, m := range c.messages {
			if c.where(m) == t.id {
				here = append(here, m)
			}
		}
		if c.in(10) {
			here = c.messages
		}
		if len(here) > 0 {
			more += fmt.Sprintf(`,"inResponseTo":[{"reference":"Communication/%s"}]`, c.one(here))
		}
	}
	if c.in(30) {
		more += `,"sender":{"reference":"` + c.one([]string{"Patient/ben", "PractitionerRole/grace-role", "Organization/hospital"}) + `"}`
	}
	recipients := fmt.Sprintf(`{"reference":%q}`, to)
	if c.in(6) {
		recipients += fmt.Sprintf(`,{"reference":%q}`, c.one([]string{t.owner, t.requester, t.of, "Organization/elsewhere", "PractitionerRole/ivy-role", to}))
	}
	return fmt.Sprintf(`{"resourceType":"Communication","status":%q,"partOf":[{"reference":"Task/%s"}],"recipient":[%s],"payload":[{"contentString":"%x"}]%s}`, status, t.id, recipients, c.rng.Uint64(), more)
}

// where returns of which Task a message is.
func (c *chat) where(message string) string {
	if _, known := c.of[message]; !known {
		c.of[message] = strings.TrimPrefix(text(c.read("Communication/"+message).tree, "partOf[0].reference"), "Task/")
	}
	return c.of[message]
}

// letter makes a message up, and who sends it.
func (c *chat) letter(who string) (string, request) {
	t := c.task()
	from, to := t.owner, t.requester
	if c.in(2) {
		from, to = to, from
	}
	who = c.party(from, who)
	if c.in(12) {
		to = c.one([]string{"Patient/ada", "Patient/ben", "Organization/elsewhere", "Organization/hospital", "RelatedPerson/rita"})
	}
	return who, request{method: http.MethodPost, path: "/fhir/Communication", body: c.message(t, who, to)}
}

func (c *chat) says(who string) []exchange {
	who, r := c.letter(who)
	return c.as(who, r)
}

// twice sends a message to a conversation several times at once.
func (c *chat) twice(who string) []exchange {
	who, r := c.letter(who)
	r.headers = append(r.headers, [2]string{"Authorization", "Bearer " + c.tokens[who]})
	all := make([]exchange, 4)
	ended := make(chan error)
	for i := range all {
		go func() {
			var err error
			all[i], err = r.send(c.client, c.base)
			ended <- cmp.Or(err, all[i].always())
		}()
	}
	for range all {
		if err := <-ended; err != nil {
			c.Error(err)
		}
	}
	return all
}

func (c *chat) sendDraft(who string) []exchange {
	return c.changeMessage(who, "preparation", func(body string) string { return strings.Replace(body, `"preparation"`, `"completed"`, 1) })
}

// alter changes what has been sent.
func (c *chat) alter(who string) []exchange {
	return c.changeMessage(who, "completed", func(body string) string {
		return strings.Replace(body, `"contentString":"`, `"contentString":"not `, 1)
	})
}

func (c *chat) changeMessage(who, status string, change func(string) string) []exchange {
	for range 40 {
		m := c.read("Communication/" + c.one(c.messages))
		if text(m.tree, "status") != status {
			continue
		}
		if sender := text(m.tree, "sender.reference"); !c.in(4) {
			name, _, _ := strings.Cut(sender[strings.Index(sender, "/")+1:], "-role")
			for _, p := range chatPeople {
				if strings.Fields(p)[1] == name {
					who = p
				}
			}
		}
		return c.as(who, request{method: http.MethodPut, path: "/fhir/Communication/" + text(m.tree, "id"), headers: [][2]string{{"If-Match", m.header.Get("ETag")}}, body: change(m.answer)})
	}
	return nil
}

func (c *chat) markRead(who string) []exchange {
	of := "Communication/" + c.recent(c.messages)
	if c.in(3) {
		of = "Task/" + c.recent(c.tasks)
	}
	return c.as(who, request{method: http.MethodPost, path: "/fhir/" + of + "/$mark-read"})
}

func (c *chat) retract(who string) []exchange {
	return c.as(who, request{method: http.MethodPost, path: "/fhir/Communication/" + c.recent(c.messages) + "/$retract"})
}

// writtenSince lists what has been written since so many versions.
func (c *chat) writtenSince(n int64) (list string) {
	_ = c.door.db.QueryRow(`SELECT string_agg(type || '/' || id || '/' || ver || ' by ' || coalesce(origin, '-'), ', ') FROM ver WHERE seq > $1`, n).Scan(&list)
	return list
}
