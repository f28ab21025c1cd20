package access

import (
	"strconv"
	"strings"
	"testing"
)

func TestGifts(t *testing.T) {
	t.Parallel()
	r := registry(t)
	const (
		referral = `{"resourceType":"ServiceRequest","id":"s","intent":"order","subject":{"reference":"Patient/1"},"requester":{"reference":"Organization/a"},"performer":[{"reference":"HealthcareService/h"}],
			"supportingInfo":[{"reference":"DocumentReference/d"},{"reference":"` + base + `/Observation/o"},{"reference":"https://other.example.org/Observation/x"}],"reasonReference":[{"reference":"Condition/c"}],"insurance":[{"reference":"Coverage/v"}],"status":"`
		task    = `{"resourceType":"Task","id":"t","intent":"order","for":{"reference":"Patient/1"},"focus":{"reference":"ServiceRequest/s"},"owner":{"reference":"Organization/b"},"status":"`
		team    = `{"resourceType":"CareTeam","id":"c","subject":{"reference":"Patient/1"},"participant":[{"member":{"reference":"Practitioner/p"},"onBehalfOf":{"reference":"Organization/o"}},{"member":{"reference":"RelatedPerson/r"}},{"member":{"reference":"Patient/2"}}],"managingOrganization":[{"reference":"Organization/m"}],"status":"`
		episode = `{"resourceType":"EpisodeOfCare","id":"e","patient":{"reference":"Patient/1"},"managingOrganization":{"reference":"Organization/o"},"careManager":{"reference":"Practitioner/p"},"team":[{"reference":"CareTeam/c"}],"status":"`
	)
	for name, tt := range map[string]struct{ src, want string }{
		"patient": {`{"resourceType":"Patient","id":"1","managingOrganization":{"reference":"Organization/m"},"generalPractitioner":[{"reference":"Organization/g"},{"reference":"PractitionerRole/r"}]}`,
			"record Patient/1 <- party Organization/g | record Patient/1 <- party Organization/m | record Patient/1 <- party PractitionerRole/r"},
		"unregistered": {`{"resourceType":"Patient","id":"1"}`, ""},
		"care team": {team + `active"}`,
			"record Patient/1 <- party Organization/m | record Patient/1 <- party Organization/o | record Patient/1 <- party Practitioner/p"},
		"care team to come":     {team + `proposed"}`, ""},
		"care team of no state": {strings.TrimSuffix(team, `,"status":"`) + `}`, ""},
		"episode": {episode + `active"}`,
			"record Patient/1 <- party CareTeam/c | record Patient/1 <- party Organization/o | record Patient/1 <- party Practitioner/p"},
		"episode that ended": {episode + `finished"}`, ""},
		"role": {`{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/p"},"organization":{"reference":"Organization/o"}}`,
			"party PractitionerRole/r <- party Organization/o | itself Practitioner/p <- party Organization/o"},
		"role that ended": {`{"resourceType":"PractitionerRole","id":"r","active":false,"practitioner":{"reference":"Practitioner/p"},"organization":{"reference":"Organization/o"}}`, ""},
		"service":         {`{"resourceType":"HealthcareService","id":"h","providedBy":{"reference":"Organization/o"}}`, "party HealthcareService/h <- party Organization/o"},
		"referral": {referral + `active"}`, `itself Condition/c <- party HealthcareService/h | itself Condition/c <- party Organization/a | itself Coverage/v <- party HealthcareService/h | itself Coverage/v <- party Organization/a | ` +
			`itself DocumentReference/d <- party HealthcareService/h | itself DocumentReference/d <- party Organization/a | itself Observation/o <- party HealthcareService/h | itself Observation/o <- party Organization/a | ` +
			`itself Patient/1 <- party HealthcareService/h | itself Patient/1 <- party Organization/a`},
		"referral in writing":   {referral + `draft"}`, ""},
		"referral taken back":   {referral + `revoked"}`, ""},
		"task":                  {task + `requested"}`, "itself Patient/1 <- party Organization/b | itself ServiceRequest/s <- party Organization/b"},
		"task in writing":       {task + `draft"}`, ""},
		"task refused":          {task + `rejected"}`, ""},
		"task taken back":       {task + `cancelled"}`, ""},
		"task done":             {task + `completed"}`, "itself Patient/1 <- party Organization/b | itself ServiceRequest/s <- party Organization/b"},
		"task of the patient":   {task + `ready","requester":{"reference":"Patient/1"}}`, "itself Patient/1 <- party Organization/b | itself ServiceRequest/s <- sees Patient/1 | itself ServiceRequest/s <- party Organization/b"},
		"task of somebody else": {task + `ready","requester":{"reference":"Patient/2"}}`, "itself Patient/1 <- party Organization/b | itself ServiceRequest/s <- party Organization/b"},
		"attachment": {`{"resourceType":"Communication","id":"c","status":"completed","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]},"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Patient/1"}],
			"payload":[{"contentString":"x"},{"contentAttachment":{"url":"Binary/b"}},{"contentAttachment":{"url":"` + base + `/Binary/b"}},{"contentAttachment":{"url":"Patient/2"}},{"contentAttachment":{"url":"https://other.example.org/Binary/x"}}]}`,
			"itself Binary/b <- sees Patient/1 | itself Binary/b <- party Organization/a | itself Binary/b <- label * | itself Binary/b <- label NOPAT | itself Binary/b <- itself Communication/c"},
		"document": {`{"resourceType":"DocumentReference","id":"d","status":"current","subject":{"reference":"Patient/1"},"content":[{"attachment":{"url":"Binary/b"}},{"attachment":{"url":"Binary/c/_history/1"}}]}`,
			"itself Binary/b <- sees Patient/1 | itself Binary/b <- record Patient/1 | itself Binary/b <- itself DocumentReference/d | itself Binary/c <- sees Patient/1 | itself Binary/c <- record Patient/1 | itself Binary/c <- itself DocumentReference/d"},
		"report": {`{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"x"},"presentedForm":[{"url":"Binary/b"}]}`, "itself Binary/b <- itself DiagnosticReport/d"},
		"media":  {`{"resourceType":"Media","id":"m","status":"completed","content":{"url":"Binary/b"}}`, "itself Binary/b <- itself Media/m"},
		"answers": {`{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","item":[{"linkId":"1","answer":[{"valueAttachment":{"url":"Binary/a"},"item":[{"linkId":"2","answer":[{"valueAttachment":{"url":"Binary/b"}},{"valueUri":"Binary/z"}]}]}]},{"linkId":"3","item":[{"linkId":"4","answer":[{"valueAttachment":{"url":"Binary/c"}}]}]}]}`,
			"itself Binary/a <- itself QuestionnaireResponse/q | itself Binary/b <- itself QuestionnaireResponse/q | itself Binary/c <- itself QuestionnaireResponse/q"},
		"condition": {`{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/1"}}`, ""},
	} {
		ix, root := indexed(t, r, tt.src)
		var words []string
		for _, g := range Gifts(ix, root, Keys(ix, root)) {
			words = append(words, letter(g.Target)+" <- "+letter(g.Key))
		}
		if got := strings.Join(words, " | "); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}

// TestTooManyGifts: a resource that names too much gives nothing, and nobody may
// write it.
func TestTooManyGifts(t *testing.T) {
	t.Parallel()
	r := registry(t)
	message := func(recipients int) string {
		var to, payload []string
		for i := range recipients {
			to = append(to, `{"reference":"Organization/`+strconv.Itoa(i)+`"}`)
		}
		for i := range 100 {
			payload = append(payload, `{"contentAttachment":{"url":"Binary/`+strconv.Itoa(i)+`"}}`)
		}
		return `{"resourceType":"Communication","id":"c","status":"completed","recipient":[` + strings.Join(to, ",") + `],"payload":[` + strings.Join(payload, ",") + `]}`
	}
	for recipients, ok := range map[int]bool{19: true, 20: false} {
		ix, root := indexed(t, r, message(recipients))
		c := NewContent(ix, root)
		if gives := len(c.Gifts) == MaxGifts; gives != ok || c.Excess == ok {
			t.Errorf("%d recipients: %d gifts, excess: %v", recipients, len(c.Gifts), c.Excess)
		}
		if err := Trusted("test").MayWrite(Write{Interaction: Create, Type: "Communication", New: c}); (err == nil) != ok {
			t.Errorf("%d recipients: %v", recipients, err)
		}
	}
}

// TestTooManyKeys: a message to very many is refused, since the database holds a
// lock for each of them while it is written.
func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for recipients, ok := range map[int]bool{MaxKeys: true, MaxKeys + 1: false} {
		var to []string
		for i := range recipients {
			to = append(to, `{"reference":"PractitionerRole/`+strconv.Itoa(i)+`"}`)
		}
		ix, root := indexed(t, r, `{"resourceType":"Communication","id":"c","status":"completed","recipient":[`+strings.Join(to, ",")+`]}`)
		if err := Trusted("test").MayWrite(Write{Interaction: Create, Type: "Communication", New: NewContent(ix, root)}); (err == nil) != ok {
			t.Errorf("%d recipients: %v", recipients, err)
		}
	}
}

func BenchmarkKeysAndGifts(b *testing.B) {
	r := registry(b)
	for name, src := range map[string]string{
		"Task": `{"resourceType":"Task","id":"t","meta":{"profile":["https://example.org/p"]},"status":"requested","intent":"order","code":{"coding":[{"system":"urn:c","code":"consultation"}]},"for":{"reference":"Patient/1"},
			"focus":{"reference":"ServiceRequest/s"},"requester":{"reference":"PractitionerRole/r"},"owner":{"reference":"HealthcareService/h"},"authoredOn":"2024-01-01T00:00:00Z","lastModified":"2024-01-01T00:00:00Z"}`,
		"Communication": `{"resourceType":"Communication","id":"c","status":"completed","category":[{"coding":[{"system":"urn:c","code":"consultation"}]}],"partOf":[{"reference":"Task/t"}],"subject":{"reference":"Patient/1"},"sent":"2024-01-01T00:00:00Z",
			"sender":{"reference":"PractitionerRole/r"},"recipient":[{"reference":"Organization/o"},{"reference":"Patient/1"}],"payload":[{"contentString":"Good morning"},{"contentAttachment":{"url":"Binary/b"}}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			ix, root := indexed(b, r, src)
			b.ReportAllocs()
			for b.Loop() {
				if len(Gifts(ix, root, Keys(ix, root))) == 0 {
					b.Fatal("nothing is given")
				}
			}
		})
	}
}
