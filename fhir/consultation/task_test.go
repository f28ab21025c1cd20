package consultation

import (
	"cmp"
	"encoding/json"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// taskJSON is a Task of advice and guidance as it is stored.
const taskJSON = `{"resourceType":"Task","id":"t1","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/triage-outcome","valueString":"r"}],` +
	`"identifier":[{"system":"https://fhir.openconsult.example/Id/task","value":"1"}],"basedOn":[{"reference":"ServiceRequest/s"}],` +
	`"groupIdentifier":{"system":"https://fhir.openconsult.example/Id/thread","value":"th"},"partOf":[{"reference":"Task/parent"}],"status":"STATUS",` +
	`"businessStatus":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-AdviceAndGuidanceStatus-1","code":"BUSINESS"}]},` +
	`"intent":"order","priority":"urgent","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}]},` +
	`"focus":{"reference":"ServiceRequest/s"},"for":{"reference":"Patient/p","display":"A"},"authoredOn":"2026-03-01T09:00:00+00:00","lastModified":"2026-03-01T09:00:00+00:00",` +
	`"requester":{"reference":"https://here.example/fhir/Organization/prac"},"owner":{"reference":"Organization/hosp"},` +
	`"note":[{"text":"first"}],"restriction":{"period":{"end":"2026-03-09T18:30:00+00:00"}},"input":[{"type":{"text":"i"},"valueString":"x"}],` +
	`"output":[{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"outcome"}]},"valueReference":{"reference":"Communication/c"}}]}`

func taskOf(t testing.TB, src string) (*fhir.Resource, Task) {
	t.Helper()
	r, err := fhir.Decode("Task", []byte(src))
	if err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	task, err := ReadTask(r, "https://here.example/fhir")
	if err != nil {
		t.Fatal(err)
	}
	return r, task
}

// storedTask returns taskJSON in a status, with pairs of texts replaced.
func storedTask(status Status, pairs ...string) string {
	if len(pairs)%2 != 0 {
		panic("texts come in pairs")
	}
	src := taskJSON
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(src, pairs[i]) {
			panic("there is no " + pairs[i])
		}
		src = strings.Replace(src, pairs[i], pairs[i+1], 1)
	}
	business := cmp.Or(businessStatusFor(Task{Kind: AdviceAndGuidance, Status: status}), "NONE")
	return strings.NewReplacer("STATUS", string(status), "BUSINESS", business).Replace(src)
}

func TestReadTask(t *testing.T) {
	t.Parallel()
	_, got := taskOf(t, storedTask(StatusRequested, `"intent"`, `"statusReason":{"text":"why"},"intent"`))
	if got.Key.ID != "t1" || got.Kind != AdviceAndGuidance || got.Status != StatusRequested || got.Requester != movePractice || got.Owner != moveHospital ||
		got.For != movePatient || got.Focus.String() != "ServiceRequest/s" || got.Thread != "th" || got.BusinessStatus != ProviderResponseRequired ||
		got.Priority != "urgent" || !got.Reason || len(got.Outputs) != 1 || got.Outputs[0].Type != "outcome" || got.Outputs[0].Target.String() != "Communication/c" {
		t.Errorf("%+v", got)
	}
	for _, other := range []string{`"reference":"https://there.example/fhir/Organization/hosp"`, `"reference":"#o"`, `"reference":"Organization?name=x"`, `"display":"the hospital"`, `"reference":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000d1"`} {
		if _, got := taskOf(t, storedTask(StatusDraft, `"reference":"Organization/hosp"`, other)); got.Owner != (fhir.Key{}) {
			t.Errorf("%s is %s here", other, got.Owner)
		}
	}
	kind := `{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}`
	for want, pair := range map[string][2]string{
		"unknown-task-kind":          {kind, `{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"Abort"}`},
		"several-task-kinds":         {kind, kind + `,{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"abort"}`},
		"unknown-modifier-extension": {`"extension"`, `"modifierExtension":[{"url":"urn:x","valueBoolean":true}],"extension"`},
	} {
		r, err := fhir.Decode("Task", []byte(storedTask(StatusRequested, pair[:]...)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadTask(r, "")
		if _, detail := detailOf(t, err); detail != want {
			t.Errorf("%s, want %s", detail, want)
		}
	}
	plain, err := fhir.Decode("Task", []byte(`{"resourceType":"Task","status":"ready","intent":"plan","modifierExtension":[{"url":"urn:x","valueBoolean":true}],"code":{"text":"abort","coding":[{"code":"abort"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	task, err := ReadTask(plain, "")
	if err != nil || task.Kind != "" {
		t.Fatalf("%+v, %v", task, err)
	}
	for _, old := range []*Task{nil, &task} {
		if d, err := Decide(old, task, 0, Facts{}); err != nil || d.Effect != TaskPlain {
			t.Errorf("plain FHIR: %+v, %v", d, err)
		}
	}
	_, ours := taskOf(t, storedTask(StatusRequested))
	_, err = Decide(&task, ours, Requester|Owner, Facts{Match: MatchCurrent})
	if _, detail := detailOf(t, err); detail != "immutable-element" {
		t.Errorf("plain FHIR became ours: %s", detail)
	}
	_, err = Decide(&ours, task, Owner, Facts{Match: MatchCurrent, Now: moveNow})
	if _, detail := detailOf(t, err); detail != "invalid-transition" {
		t.Errorf("a conversation became plain FHIR: %s", detail)
	}
}

func TestRolesOf(t *testing.T) {
	t.Parallel()
	key := func(s string) fhir.Key {
		r, _ := fhir.ParseReference(s)
		return r.Key
	}
	keys := func(all ...string) (list []fhir.Key) {
		for _, s := range all {
			list = append(list, key(s))
		}
		return list
	}
	member := func(of string, clinical, records bool) Caller {
		return Caller{Memberships: []Membership{{key(of), clinical, records}}}
	}
	advice := Task{Requester: movePractice, Owner: moveHospital, For: movePatient}
	asked := Task{Requester: movePatient, Owner: movePractice, For: movePatient}
	byProxy := Task{Requester: key("RelatedPerson/r"), Owner: movePractice, For: movePatient}
	toPatient := Task{Requester: movePractice, Owner: movePatient, For: movePatient}
	toProxy := Task{Requester: key("Device/server"), Owner: key("RelatedPerson/r"), For: movePatient}
	named := Task{Requester: movePractice, Owner: key("PractitionerRole/c"), For: movePatient}
	mother := Caller{Persons: keys("RelatedPerson/r"), Proxies: keys("Patient/p")}
	former := Caller{Persons: keys("RelatedPerson/r")}
	patient := Caller{Persons: keys("Patient/p")}
	both := Caller{Memberships: []Membership{{Of: movePractice, Clinical: true, Records: true}, {Of: moveHospital}}}
	for name, c := range map[string]struct {
		task Task
		who  Caller
		want Roles
	}{
		"nobody":                     {advice, Caller{}, 0},
		"nobody in nothing":          {Task{}, Caller{Persons: []fhir.Key{{}}, Proxies: []fhir.Key{{}}, Memberships: []Membership{{Records: true, Clinical: true}}}, 0},
		"practice":                   {advice, member("Organization/prac", true, false), Requester},
		"hospital":                   {advice, member("Organization/hosp", false, false), Owner},
		"consultant":                 {advice, member("Organization/hosp", true, false), Owner | Clinician},
		"records of the hospital":    {advice, member("Organization/hosp", false, true), Owner | Admin},
		"records of the practice":    {advice, member("Organization/prac", false, true), Requester | Admin},
		"records elsewhere":          {advice, member("Organization/x", true, true), 0},
		"clinician at the other end": {advice, both, Requester | Owner | Admin},
		"patient of advice":          {advice, patient, 0},
		"patient asks":               {asked, patient, Requester},
		"other patient":              {asked, Caller{Persons: keys("Patient/q")}, 0},
		"mother of who asks":         {asked, mother, Requester},
		"former proxy":               {asked, former, 0},
		"mother asks":                {byProxy, mother, Requester},
		"mother asked, former now":   {byProxy, former, 0},
		"patient for whom she asked": {byProxy, patient, Requester},
		"other proxy of the patient": {byProxy, Caller{Persons: keys("RelatedPerson/f"), Proxies: keys("Patient/p")}, Requester},
		"patient to act":             {toPatient, patient, Owner},
		"mother to act":              {toPatient, mother, Owner},
		"receipt of the mother":      {toProxy, mother, Owner},
		"receipt of a former proxy":  {toProxy, former, 0},
		"patient on her receipt":     {toProxy, patient, 0},
		"named clinician":            {named, Caller{Persons: keys("Practitioner/c", "PractitionerRole/c"), Memberships: []Membership{{Of: moveHospital, Clinical: true}}}, Owner | Clinician},
		"named clerk":                {named, Caller{Persons: keys("PractitionerRole/c"), Memberships: []Membership{{Of: moveHospital}}}, Owner},
		"patient who is a doctor":    {toPatient, Caller{Persons: keys("Patient/p"), Memberships: []Membership{{Of: moveHospital, Clinical: true}}}, Owner},
	} {
		if got := RolesOf(c.task, c.who); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if s := (Roles(0)).String(); s != "nobody" {
		t.Error(s)
	}
}

// TestElements: who may change what while the status stays.
func TestElements(t *testing.T) {
	t.Parallel()
	old := storedTask(StatusInProgress)
	fixed, denied, invalid, edited := "immutable-element", "element-not-permitted-for-role", "invalid-transition", ""
	output := `"output":[{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"outcome"}]},"valueReference":{"reference":"Communication/c"}}`
	filed := output + `,{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"filed-to-record"}]},"valueString":"E1"}`
	for name, c := range map[string]struct {
		from, to string
		roles    Roles
		want     string
	}{
		"requester":         {"Organization/prac", "Organization/x", Owner, fixed},
		"for display":       {`"display":"A"`, `"display":"B"`, Owner, fixed},
		"basedOn":           {`"basedOn":[{"reference":"ServiceRequest/s"}],`, ``, Owner, fixed},
		"partOf":            {"Task/parent", "Task/other", Requester, fixed},
		"code":              {`task-kind","code":"advice-and-guidance"`, `task-kind","code":"referral"`, Owner, fixed},
		"no kind any more":  {`task-kind","code"`, `task-mind","code"`, Owner, fixed},
		"further code":      {`"code":"advice-and-guidance"}`, `"code":"advice-and-guidance"},{"code":"x"}`, Owner | Clinician, fixed},
		"groupIdentifier":   {`"value":"th"`, `"value":"ht"`, Owner, fixed},
		"authoredOn":        {"2026-03-01T09:00:00+00:00", "2026-03-01T10:00:00+00:00", Owner, fixed},
		"focus":             {`"focus":{"reference":"ServiceRequest/s"}`, `"focus":{"reference":"ServiceRequest/x"}`, Owner, fixed},
		"due":               {"2026-03-09T18", "2026-04-09T18", Owner, fixed},
		"triage":            {`"valueString":"r"`, `"valueString":"s"`, Owner, fixed},
		"triage taken away": {`{"url":"https://fhir.openconsult.example/StructureDefinition/triage-outcome","valueString":"r"}`, `{"url":"urn:x","valueString":"r"}`, Owner, fixed},
		"note changed":      {`"first"`, `"second"`, Owner, fixed},
		"input taken away":  {`"input":[{"type":{"text":"i"},"valueString":"x"}],`, ``, Requester, fixed},

		"note by the owner":       {`{"text":"first"}`, `{"text":"first"},{"text":"second"}`, Owner, edited},
		"note by the requester":   {`{"text":"first"}`, `{"text":"first"},{"text":"second"}`, Requester, edited},
		"note by nobody":          {`{"text":"first"}`, `{"text":"first"},{"text":"second"}`, 0, "transition-not-permitted-for-role"},
		"input by the requester":  {`"valueString":"x"}`, `"valueString":"x"},{"type":{"text":"j"},"valueString":"y"}`, Requester, edited},
		"output by the owner":     {output, filed, Owner, edited},
		"output by the requester": {output, filed, Requester, denied},
		"assigned by the owner":   {`"extension":[`, `"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/assigned-to","valueString":"x"},`, Owner, edited},
		"assigned by requester":   {`"extension":[`, `"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/assigned-to","valueString":"x"},`, Requester, denied},
		"more urgent":             {`"urgent"`, `"stat"`, Owner, edited},
		"more urgent, please":     {`"urgent"`, `"stat"`, Requester, denied},
		"less urgent":             {`"urgent"`, `"routine"`, Owner, denied},
		"no priority":             {`"priority":"urgent",`, ``, Owner, denied},
		"less urgent, clinician":  {`"urgent"`, `"routine"`, Owner | Clinician, edited},
		"reason by the owner":     {`"intent"`, `"statusReason":{"text":"x"},"intent"`, Owner, edited},
		"reason by the requester": {`"intent"`, `"statusReason":{"text":"x"},"intent"`, Requester, denied},
		"business status":         {ProviderResponseRequired, AdviceConverted, Owner | Clinician, invalid},
		"closed too early":        {ProviderResponseRequired, ConversationEndedClosed, Requester, invalid},
		"passed on too late":      {"Organization/hosp", "Organization/third", Owner, invalid},
		"owner taken away":        {`"owner":{"reference":"Organization/hosp"},`, ``, Owner, invalid},
	} {
		if !strings.Contains(old, c.from) {
			t.Fatalf("%s: there is no %s", name, c.from)
		}
		_, before := taskOf(t, old)
		_, after := taskOf(t, strings.Replace(old, c.from, c.to, 1))
		d, err := Decide(&before, after, c.roles, Facts{Now: moveNow, Match: MatchCurrent})
		if c.want == edited {
			if err != nil || d.Effect != TaskEdited || d.BusinessStatus != ProviderResponseRequired {
				t.Errorf("%s by %s: %+v, %v", name, c.roles, d, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s by %s: allowed, want %s", name, c.roles, c.want)
			continue
		}
		if _, detail := detailOf(t, err); detail != c.want {
			t.Errorf("%s by %s: %s, want %s", name, c.roles, detail, c.want)
		}
		if d, err = Decide(&before, after, System, Facts{}); err != nil || d.Effect != TaskEdited {
			t.Errorf("%s by the server: %+v, %v", name, d, err)
		}
	}
}

// TestNothingChanges: the same in another form is no change, whoever sends it.
func TestNothingChanges(t *testing.T) {
	t.Parallel()
	src := storedTask(StatusReceived)
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(src), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "businessStatus")
	delete(members, "lastModified")
	members["meta"] = json.RawMessage(`{"versionId":"3"}`)
	other, err := json.MarshalIndent(members, "", "   ")
	if err != nil {
		t.Fatal(err)
	}
	_, old := taskOf(t, src)
	_, next := taskOf(t, string(other))
	for _, roles := range []Roles{0, Requester, Owner} {
		d, err := Decide(&old, next, roles, Facts{Match: MatchCurrent})
		if err != nil || d.Effect != TaskUnchanged || d.BusinessStatus != ProviderResponseRequired {
			t.Errorf("%s: %+v, %v", roles, d, err)
		}
		_, err = Decide(&old, next, roles, Facts{})
		if class, detail := detailOf(t, err); class != fhir.BadRequest || detail != "if-match-required" {
			t.Errorf("%s without If-Match: %s", roles, detail)
		}
		_, err = Decide(&old, next, roles, Facts{Match: MatchStale})
		if class, detail := detailOf(t, err); class != fhir.Stale || detail != "version-conflict" {
			t.Errorf("%s stale: %s", roles, detail)
		}
	}
}

// TestClosing: the one business status that a client writes.
func TestClosing(t *testing.T) {
	t.Parallel()
	for _, status := range allStatuses() {
		_, old := taskOf(t, storedTask(status))
		_, next := taskOf(t, strings.Replace(storedTask(status), `-1","code":"`+old.BusinessStatus+`"`, `-1","code":"`+ConversationEndedClosed+`"`, 1))
		d, err := Decide(&old, next, Requester, Facts{Match: MatchCurrent})
		may := status == StatusCompleted || status == StatusRejected || status == StatusFailed
		if may != (err == nil) || may && (d.Effect != TaskClosed || d.BusinessStatus != ConversationEndedClosed) {
			t.Errorf("%s: %+v, %v", status, d, err)
		}
		if !may {
			continue
		}
		_, err = Decide(&old, next, Owner|Clinician, Facts{Match: MatchCurrent})
		if class, detail := detailOf(t, err); class != fhir.Denied || detail != "transition-not-permitted-for-role" {
			t.Errorf("%s by the owner: %s", status, detail)
		}
	}
}

// TestAfterTheEnd: what has ended takes notes, and word of where it was filed.
func TestAfterTheEnd(t *testing.T) {
	t.Parallel()
	output := `"output":[{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"outcome"}]},"valueReference":{"reference":"Communication/c"}}`
	further := func(typ string) string {
		return output + `,{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"` + typ + `"}]},"valueString":"E1"}`
	}
	for _, status := range []Status{StatusCompleted, StatusFailed, StatusRejected, StatusCancelled, StatusEnteredInError} {
		for name, c := range map[string]struct {
			from, to string
			ok       bool
		}{
			"filed":     {output, further("filed-to-record"), true},
			"outcome":   {output, further("guidance-outcome"), false},
			"taken out": {output + "]", `"output":[{"type":{"text":"x"},"valueString":"y"}]`, false},
			"note":      {`"first"}`, `"first"},{"text":"x"}`, true},
			"priority":  {`"urgent"`, `"stat"`, false},
		} {
			_, old := taskOf(t, storedTask(status))
			_, next := taskOf(t, storedTask(status, c.from, c.to))
			_, err := Decide(&old, next, Owner|Clinician|Admin, Facts{Match: MatchCurrent})
			if ok := c.ok && status != StatusEnteredInError; ok != (err == nil) {
				t.Errorf("%s of a Task %s: %v", name, status, err)
			}
		}
	}
}

// TestConsultationStatus: what the server says of a consultation stays until it is dealt with.
func TestConsultationStatus(t *testing.T) {
	t.Parallel()
	consultation := func(business string) Task {
		src := storedTask(StatusReceived, `"code":"advice-and-guidance"`, `"code":"consultation"`,
			`{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-AdviceAndGuidanceStatus-1","code":"BUSINESS"}]}`, business)
		_, task := taskOf(t, src)
		return task
	}
	ours := func(code string) string {
		return `{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/business-status","code":"` + code + `"}]}`
	}
	theirs := `{"text":"with the pharmacist"}`
	for _, c := range []struct {
		from, to string
		roles    Roles
		ok       bool
	}{
		{ours("new"), theirs, Owner, true},
		{ours("possible-duplicate"), theirs, Owner, true},
		{ours("new"), theirs, Requester, false},
		{theirs, `{"text":"x"}`, Requester, false},
		{ours("identity-unverified"), theirs, Owner | Clinician, false},
		{ours("awaiting-scan"), ours("new"), Owner, false},
		{ours("diverted-emergency"), theirs, Owner, false},
		{theirs, ours("diverted-emergency"), Owner, false},
		{ours("identity-unverified"), theirs, System, true},
	} {
		old, next := consultation(c.from), consultation(c.to)
		if _, err := Decide(&old, next, c.roles, Facts{Match: MatchCurrent}); (err == nil) != c.ok {
			t.Errorf("%s to %s by %s: %v", c.from, c.to, c.roles, err)
		}
	}
}

// TestOtherKinds: who works on a Task that asks a patient to act, and on a receipt.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     Kind
		from, to string
		roles    Roles
		want     string
	}{
		{PatientAction, `"2026-03-09T18`, `"2026-04-09T18`, Requester, ""},
		{PatientAction, `"2026-03-09T18`, `"2026-04-09T18`, Owner, "element-not-permitted-for-role"},
		{PatientAction, `"urgent"`, `"routine"`, Requester, ""},
		{PatientAction, `"urgent"`, `"routine"`, Owner, "element-not-permitted-for-role"},
		{PatientAction, `"lastModified"`, `"executionPeriod":{"start":"2026"},"lastModified"`, Owner, ""},
		{PatientAction, `"lastModified"`, `"executionPeriod":{"start":"2026"},"lastModified"`, Requester, "element-not-permitted-for-role"},
		{MessageReceipt, `"first"}`, `"first"},{"text":"x"}`, Owner, "element-not-permitted-for-role"},
		{MessageReceipt, `"lastModified"`, `"executionPeriod":{"start":"2026"},"lastModified"`, Owner, "element-not-permitted-for-role"},
		{MessageReceipt, `"lastModified"`, `"executionPeriod":{"start":"2026"},"lastModified"`, System, ""},
		{MessageReceipt, `"Communication/c"`, `"Communication/d"`, Owner, "element-not-permitted-for-role"},
		{Consultation, `"valueString":"x"}`, `"valueString":"x"},{"type":{"text":"j"},"valueString":"y"}`, Requester, "element-not-permitted-for-role"},
	} {
		src := strings.Replace(storedTask(StatusInProgress), `"code":"advice-and-guidance"`, `"code":"`+string(c.kind)+`"`, 1)
		r, old := taskOf(t, src)
		_, next := taskOf(t, strings.Replace(src, c.from, c.to, 1))
		d, err := Decide(&old, next, c.roles, Facts{Match: MatchCurrent})
		if c.want != "" {
			if _, detail := detailOf(t, err); detail != c.want {
				t.Errorf("%s, %s by %s: %s, want %s", c.kind, c.to, c.roles, detail, c.want)
			}
			continue
		}
		if err != nil || d.Effect != TaskEdited {
			t.Errorf("%s, %s by %s: %+v, %v", c.kind, c.to, c.roles, d, err)
		}
		// The business status of these kinds is not derived, and stays.
		if got, err := d.Write(r, Stamp{Now: moveNow}); err != nil || !strings.Contains(string(got), ProviderResponseRequired) {
			t.Errorf("%s, %v", got, err)
		}
	}
}

// TestBusinessStatusWithMove: a client may send the business status that there is, the one
// that comes, or none.
func TestBusinessStatusWithMove(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		business string
		ok       bool
	}{
		{ProviderResponseRequired, true}, {ConversationEndedCancelled, true}, {"", true},
		{ConversationEndedClosed, false}, {AdviceConverted, false}, {"x", false},
	} {
		old, next := plainTask(AdviceAndGuidance, StatusRequested), plainTask(AdviceAndGuidance, StatusCancelled)
		next.BusinessStatus = c.business
		d, err := Decide(&old, next, Requester, Facts{Match: MatchCurrent})
		if c.ok != (err == nil) || c.ok && d.BusinessStatus != ConversationEndedCancelled {
			t.Errorf("%q: %+v, %v", c.business, d, err)
		}
	}
	r, old := taskOf(t, storedTask(StatusDraft))
	_, next := taskOf(t, storedTask(StatusDraft, `"first"}`, `"first"},{"text":"x"}`))
	old.BusinessStatus, next.BusinessStatus = "", ""
	d, err := Decide(&old, next, Requester, Facts{Match: MatchCurrent})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Write(r, Stamp{Now: moveNow}); err != nil || strings.Contains(string(got), "businessStatus") {
		t.Errorf("a draft has a business status: %s, %v", got, err)
	}
	if met("what", Task{}, allFacts("")) {
		t.Error("an unknown precondition is met")
	}
}
