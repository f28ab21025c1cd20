package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A twist is a JSON value that keeps its order: an object, an array, or a scalar.
type twist struct {
	names  []string // of an object
	values []*twist // of an object or an array
	scalar any      // string, json.Number, bool or nil
	kind   byte     // '{', '[' or 0
}

// twistOf reads a value.
func twistOf(d *json.Decoder) (*twist, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, is := token.(json.Delim)
	if !is {
		return &twist{scalar: token}, nil
	}
	t := &twist{kind: byte(open)}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			t.names = append(t.names, name.(string))
		}
		v, err := twistOf(d)
		if err != nil {
			return nil, err
		}
		t.values = append(t.values, v)
	}
	_, err = d.Token()
	return t, err
}

func parseTwist(text string) (*twist, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return twistOf(d)
}

// twistWith makes an object of pairs of name and value.
func twistWith(pairs ...any) *twist {
	t := &twist{kind: '{'}
	for i := 0; i < len(pairs); i += 2 {
		v, is := pairs[i+1].(*twist)
		if !is {
			v = &twist{scalar: pairs[i+1]}
		}
		t.add(pairs[i].(string), v)
	}
	return t
}

func (t *twist) add(name string, v *twist) {
	t.names, t.values = append(t.names, name), append(t.values, v)
}

// get returns a member of an object, or nil.
func (t *twist) get(name string) *twist {
	if i := slices.Index(t.names, name); i >= 0 {
		return t.values[i]
	}
	return nil
}

// extend adds v to the array of a name, which it makes where there is none.
func (t *twist) extend(name string, v *twist) {
	a := t.get(name)
	if a == nil {
		a = &twist{kind: '['}
		t.add(name, a)
	}
	a.values = append(a.values, v)
}

// write writes t, with blanks wherever JSON allows them.
func (t *twist) write(b *bytes.Buffer, r *rand.Rand) {
	blank := func() { b.WriteString([]string{"", "", "", " ", "\n", "\t", "\r\n  "}[r.IntN(7)]) }
	if t.kind == 0 {
		text, _ := json.Marshal(t.scalar)
		b.Write(text)
		return
	}
	b.WriteByte(t.kind)
	for i, v := range t.values {
		if i > 0 {
			b.WriteByte(',')
		}
		blank()
		if t.kind == '{' {
			fmt.Fprintf(b, "%q", t.names[i])
			blank()
			b.WriteByte(':')
			blank()
		}
		v.write(b, r)
		blank()
	}
	b.WriteByte(t.kind + 2)
}

// A twister changes resources in ways that leave them as valid as they were.
type twister struct {
	*rand.Rand
	count int // of what was added
}

// resource changes a resource.
func (w *twister) resource(t *twist, contained bool) {
	typ := t.get("resourceType").scalar.(string)
	w.element(t)
	if d := spec.R4().Type(typ); d == nil || d.Element("contained") == nil || contained {
		return
	}
	w.count++
	id := fmt.Sprintf("twist-%d", w.count)
	t.extend("contained", twistWith("resourceType", "Basic", "id", id, "code", twistWith("text", "x")))
	t.extend("extension", twistWith("url", "http://twist.example/refers", "valueReference", twistWith("reference", "#"+id)))
}

// element changes an element, or the root of a resource.
func (w *twister) element(t *twist) {
	for i, name := range slices.Clone(t.names) {
		w.member(t, name, t.values[i])
	}
	extensible := t.get("url") == nil || t.get("extension") == nil && !isExtension(t)
	if t.get("resourceType") == nil && extensible && w.IntN(6) == 0 {
		w.mark(t)
	}
	w.Shuffle(len(t.names), func(i, j int) {
		t.names[i], t.names[j] = t.names[j], t.names[i]
		t.values[i], t.values[j] = t.values[j], t.values[i]
	})
}

// isExtension reports whether t looks like an extension with a value.
func isExtension(t *twist) bool {
	return t.get("url") != nil && slices.ContainsFunc(t.names, func(n string) bool { return strings.HasPrefix(n, "value") || strings.HasPrefix(n, "_value") })
}

// mark gives an element an id or an extension.
func (w *twister) mark(t *twist) {
	w.count++
	if w.IntN(2) == 0 {
		if t.get("id") == nil {
			t.add("id", &twist{scalar: fmt.Sprintf("mark-%d", w.count)})
		}
		return
	}
	t.extend("extension", twistWith("url", fmt.Sprintf("http://twist.example/%d", w.count%50), "valueDecimal", json.Number("1.50")))
}

// fractions are the names of elements that hold decimals wherever they are.
var fractions = []string{"value", "valueDecimal", "factor", "latitude", "longitude", "altitude"}

// member changes a member of t.
func (w *twister) member(t *twist, name string, v *twist) {
	switch {
	case v.kind == '[':
		for _, item := range v.values {
			if item.kind == '{' {
				w.child(item, name)
			}
		}
	case v.kind == '{':
		w.child(v, name)
	default:
		if n, is := v.scalar.(json.Number); is && slices.Contains(fractions, name) {
			v.scalar = w.number(n)
		}
		w.scalar(t, name)
	}
}

func (w *twister) child(t *twist, name string) {
	switch {
	case strings.HasPrefix(name, "_"):
	case t.get("resourceType") != nil:
		w.resource(t, true)
	default:
		w.element(t)
	}
}

// number writes a decimal in another way.
func (w *twister) number(n json.Number) json.Number {
	text := string(n)
	if strings.ContainsAny(text, "eE") {
		return n
	}
	switch w.IntN(4) {
	case 0:
		return json.Number(text + "e0")
	case 1:
		return json.Number(text + "E+00")
	case 2:
		if !strings.Contains(text, ".") {
			text += "."
		}
		return json.Number(text + "00")
	}
	return n
}

// scalar gives a primitive an id or an extension.
func (w *twister) scalar(t *twist, name string) {
	bare := name == "resourceType" || name == "id" || name == "div" || name == "url" && t.get("resourceType") == nil || strings.HasPrefix(name, "_")
	if bare || t.get("_"+name) != nil || w.IntN(8) > 0 {
		return
	}
	marked := &twist{kind: '{'}
	if w.mark(marked); name == "code" || name == "system" {
		w.count++ // a value that a profile fixes has no extension
		marked = twistWith("id", fmt.Sprintf("mark-%d", w.count))
	}
	t.add("_"+name, marked)
}

// twisted returns a resource that is as valid as text is.
func twisted(text string, seed uint64) (string, error) {
	t, err := parseTwist(text)
	if err != nil {
		return "", err
	}
	w := &twister{Rand: rand.New(rand.NewPCG(seed, 1))}
	w.resource(t, false)
	var b bytes.Buffer
	t.write(&b, w.Rand)
	return b.String(), nil
}

// TestAdversaryTwists: what leaves an official example valid is never refused, and what
// the server gave is, sent back, no change.
func TestAdversaryTwists(t *testing.T) {
	t.Parallel()
	base := serveIdle(t).base
	next := make(chan example)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for x := range next {
				twistExample(t, base, x)
			}
		})
	}
	for _, x := range examples(t) {
		if x.broken == "" {
			next <- x
		}
	}
	close(next)
	group.Wait()
}

func twistExample(t *testing.T, base string, x example) {
	t.Helper()
	body, err := twisted(x.text, 7)
	if err != nil {
		t.Errorf("%s: %v", x.key, err)
		return
	}
	path := "/fhir/" + x.key.String()
	ask := func(r request) exchange {
		r.path = path
		answer, err := r.send(http.DefaultClient, base)
		if err != nil {
			t.Error(err)
		}
		return answer
	}
	put := ask(request{method: "PUT", body: body})
	if put.status != http.StatusCreated && put.status != http.StatusOK {
		t.Errorf("%s: %d\n%.2000s", x.key, put.status, put.answer)
		return
	}
	etag := put.header.Get("ETag")
	for i, format := range []string{"application/fhir+json", "application/fhir+xml", "application/fhir+xml"} {
		got := ask(request{method: "GET", headers: [][2]string{{"Accept", format}}})
		again := ask(request{method: "PUT", body: got.answer, headers: [][2]string{{"Content-Type", format}}})
		ordered := i == 1 // XML has an order of its own
		if now := again.header.Get("ETag"); again.status != http.StatusOK || now != etag && !ordered {
			t.Errorf("%s sent back as %s: %d %s after %s\n%.1500s", x.key, format, again.status, now, etag, again.answer)
		}
		etag = again.header.Get("ETag")
	}
}

// A smuggled is a resource that is brought in by other ways than alone, with the rule
// that it breaks; good if it breaks none.
type smuggled struct{ rule, text string }

// contraband are the definitions that smuggled resources are held against.
var contraband = []string{
	`{"resourceType":"StructureDefinition","id":"told","url":"urn:example:told","name":"Told","status":"active","kind":"resource","abstract":false,"type":"Organization","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Organization","derivation":"constraint","differential":{"element":[{"id":"Organization.telecom","path":"Organization.telecom","min":1}]}}`,
	`{"resourceType":"Questionnaire","id":"twice","url":"urn:example:twice","version":"1","status":"active","item":[{"linkId":"a","text":"A","type":"integer","required":true},{"linkId":"b","text":"B","type":"integer","readOnly":true,"extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression","valueExpression":{"language":"text/fhirpath","expression":"%resource.item.where(linkId='a').answer.value * 2"}}]}]}`,
}

// smuggling returns resources that break a rule of each kind, and some that break none.
// Their ids end in way.
func smuggling(way string) []smuggled {
	answers := func(id, items string) string {
		return `{"resourceType":"QuestionnaireResponse","id":"` + id + way + `","questionnaire":"urn:example:twice|1","status":"completed","item":[` + items + `]}`
	}
	const four = `{"linkId":"a","answer":[{"valueInteger":4}]}`
	return []smuggled{
		{"", `{"resourceType":"Patient","id":"good-` + way + `","contact":[{"name":{"family":"Sample"}}]}`},
		{"", answers("good-", four)},
		{"#pat-1", `{"resourceType":"Patient","id":"invariant-` + way + `","contact":[{"gender":"male"}]}`},
		{"allergyintolerance-clinical|4.0.1", `{"resourceType":"AllergyIntolerance","id":"binding-` + way + `","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"perhaps"}]},"patient":{"reference":"Patient/x"}}`},
		{"urn:example:told#Organization.telecom", `{"resourceType":"Organization","id":"profile-` + way + `","meta":{"profile":["urn:example:told"]},"name":"x"}`},
		{"patient-birthPlace#Extension.value[x]", `{"resourceType":"Patient","id":"extension-` + way + `","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueString":"x"}]}`},
		{"urn:example:twice|1#a", answers("form-", `{"linkId":"a"}`)},
		{"urn:example:twice|1#b", answers("calculated-", four+`,{"linkId":"b","answer":[{"valueInteger":9}]}`)},
	}
}

// newSmuggler is newOnslaught on a server that knows what smuggled resources break.
func newSmuggler(t *testing.T) onslaught {
	t.Helper()
	o := newOnslaught(t)
	o.sends(201, "PUT", "/StructureDefinition/told", contraband[0])
	o.sends(201, "PUT", "/Questionnaire/twice", contraband[1])
	return o
}

// inXML returns a Bundle of resources as XML, each resource on a line of its own.
func (o onslaught) inXML(typ string, all []smuggled) string {
	o.Helper()
	text := `{"resourceType":"Bundle","type":"` + typ + `","entry":[`
	for i, s := range all {
		r, err := fhir.Decode("", []byte(s.text))
		if err != nil {
			o.Fatal(err)
		}
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"%s/%s"}}`, s.text, r.Type(), r.ID())
	}
	r, err := fhir.Decode("Bundle", []byte(text+"]}"))
	if err != nil {
		o.Fatal(err)
	}
	return strings.ReplaceAll(string(r.AppendXML(nil)), "<resource>", "\n<resource>")
}

// stored wants what is good to be stored, with what is calculated, and nothing else.
func (o onslaught) stored(way string) {
	o.Helper()
	o.sends(200, "GET", "/Patient/good-"+way, "")
	if answer := o.sends(200, "GET", "/QuestionnaireResponse/good-"+way, ""); !strings.Contains(answer, `{"linkId":"b","answer":[{"valueInteger":8}]}`) {
		o.Errorf("%s: what is calculated is not filled in: %s", way, answer)
	}
	for _, path := range []string{"Patient/invariant-", "AllergyIntolerance/binding-", "Organization/profile-", "Patient/extension-", "QuestionnaireResponse/form-", "QuestionnaireResponse/calculated-"} {
		o.sends(404, "GET", "/"+path+way, "")
	}
}

// rules returns of an OperationOutcome the rules that are broken, and the lines.
func rules(t *testing.T, outcome []byte) (broken []string, lines []int) {
	t.Helper()
	var o struct {
		Issue []struct {
			Extension []struct {
				URL, ValueString string
				ValueInteger     int
			}
		}
	}
	if err := json.Unmarshal(outcome, &o); err != nil {
		t.Fatal(err)
	}
	for _, i := range o.Issue {
		for _, e := range i.Extension {
			switch {
			case strings.HasSuffix(e.URL, "issue-source"):
				broken = append(broken, e.ValueString)
			case strings.HasSuffix(e.URL, "issue-line"):
				lines = append(lines, e.ValueInteger)
			}
		}
	}
	return broken, lines
}

// TestAdversarySmuggledBundle: no Bundle in XML brings in what is refused alone, and each
// refusal says the rule and the line.
func TestAdversarySmuggledBundle(t *testing.T) {
	t.Parallel()
	o := newSmuggler(t)
	all := smuggling("batch")
	var answered struct {
		Entry []struct {
			Response struct {
				Status  string
				Outcome json.RawMessage
			}
		}
	}
	if err := json.Unmarshal([]byte(o.sends(200, "POST", "", o.inXML("batch", all))), &answered); err != nil || len(answered.Entry) != len(all) {
		t.Fatalf("%v %+v", err, answered)
	}
	for i, e := range answered.Entry {
		if all[i].rule == "" {
			if e.Response.Status != "201 Created" {
				t.Errorf("%s: %s %s", all[i].text, e.Response.Status, e.Response.Outcome)
			}
			continue
		}
		broken, lines := rules(t, e.Response.Outcome)
		if len(broken) != 1 || !strings.HasSuffix(broken[0], all[i].rule) || len(lines) != 1 || lines[0] != i+2 {
			t.Errorf("%s breaks %q in %v, want %s in %d", all[i].text, broken, lines, all[i].rule, i+2)
		}
	}
	o.stored("batch")

	all = smuggling("whole")
	broken, lines := rules(t, []byte(o.sends(422, "POST", "", o.inXML("transaction", all))))
	if len(broken) != len(all)-2 || !slices.Equal(lines, []int{4, 5, 6, 7, 8, 9}) {
		t.Errorf("the transaction breaks %q in %v", broken, lines)
	}
	o.sends(404, "GET", "/Patient/good-whole", "")
	o.sends(200, "POST", "", o.inXML("transaction", all[:2]))
	o.stored("whole")
}

// TestAdversarySmuggledHistory: what is of the past is held against the same rules.
func TestAdversarySmuggledHistory(t *testing.T) {
	t.Parallel()
	o := newSmuggler(t)
	for _, s := range smuggling("past") {
		r, err := fhir.Decode("", []byte(s.text))
		if err != nil {
			t.Fatal(err)
		}
		x, err := request{method: "PUT", path: "/fhir/" + r.Type() + "/" + r.ID(), body: s.text, headers: [][2]string{{"X-History", "true"}}}.send(http.DefaultClient, o.base)
		want := http.StatusCreated
		if s.rule != "" {
			want = http.StatusUnprocessableEntity
		}
		if err != nil || x.status != want || !strings.Contains(x.answer, s.rule) {
			t.Errorf("%v %s, want %d for %s", err, x, want, s.rule)
		}
	}
	o.stored("past")
}

// TestAdversarySmuggledImport: no import brings in what is refused alone, and each
// refusal says the rule.
func TestAdversarySmuggledImport(t *testing.T) {
	t.Parallel()
	o := newSmuggler(t)
	all := smuggling("import")
	var body strings.Builder
	for _, s := range all {
		body.WriteString(s.text + "\n")
	}
	x, err := request{method: "POST", path: "/fhir/$import", body: body.String(), headers: [][2]string{{"Content-Type", "application/fhir+ndjson"}}}.send(http.DefaultClient, o.base)
	if err != nil || x.status != http.StatusAccepted {
		t.Fatalf("%v %s", err, x)
	}
	var done exchange
	await(t, "the import ends", func() bool {
		done, err = request{method: "GET", path: x.header.Get("Content-Location")}.send(http.DefaultClient, o.base)
		return err == nil && done.status == http.StatusOK
	})
	urls, err := find(done.tree, "error[0].url")
	if err != nil || len(urls) != 1 {
		t.Fatalf("%v %s", err, done)
	}
	_, outcomes := send(t, "GET", urls[0].(string), nil)
	told := strings.Split(strings.TrimSpace(string(outcomes)), "\n")
	if len(told) != len(all)-2 {
		t.Fatalf("%d outcomes:\n%s", len(told), outcomes)
	}
	for i, s := range all[2:] {
		broken, lines := rules(t, []byte(told[i]))
		if len(broken) != 1 || !strings.HasSuffix(broken[0], s.rule) || len(lines) != 1 || !strings.Contains(told[i], fmt.Sprintf(`"valuePositiveInt":%d}`, i+3)) {
			t.Errorf("%s breaks %q: %s", s.text, broken, told[i])
		}
	}
	o.stored("import")
}

// TestAdversaryFormChanges changes a form, deletes it and brings it back while others
// answer it: each answer is held against a form that there was, and after the last change
// against that one.
func TestAdversaryFormChanges(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	form := func(n int) string {
		return strings.ReplaceAll(askedForm, `"linkId":"a"`, fmt.Sprintf(`"linkId":"a%d"`, n))
	}
	answer := func(n int) string {
		return strings.ReplaceAll(forgedAnswer, `"linkId":"other"`, fmt.Sprintf(`"linkId":"a%d"`, n))
	}
	o.sends(201, "PUT", "/Questionnaire/asked", form(0))
	stop := make(chan struct{})
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			for n := k; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				x, err := request{method: "POST", path: "/fhir/QuestionnaireResponse", body: answer(n % 2)}.send(http.DefaultClient, o.base)
				if err != nil || x.status != http.StatusCreated && x.status != http.StatusUnprocessableEntity {
					t.Errorf("%v %s", err, x)
				}
			}
		})
	}
	for n := range 30 {
		send(t, "PUT", o.base+"/Questionnaire/asked", []byte(form(n%2)))
		if n%5 == 0 {
			send(t, "DELETE", o.base+"/Questionnaire/asked", nil)
			send(t, "PUT", o.base+"/Questionnaire/asked", []byte(form(n%2)))
		}
		o.sends(201, "POST", "/QuestionnaireResponse", answer(n%2))
		o.sends(422, "POST", "/QuestionnaireResponse", answer(1-n%2))
	}
	close(stop)
	group.Wait()
}
