package fhir_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// issues returns the code and the expression of each issue of err.
func issues(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	o := fhir.AsOutcome(err)
	if o == nil {
		t.Fatalf("%v is no outcome", err)
	}
	complete(t, o)
	var list []string
	for _, is := range o.Issues {
		list = append(list, strings.TrimSpace(string(is.Code)+" "+is.Expression))
	}
	return list
}

// complete makes sure that each issue says all that there is to say: a sentence, our
// code, and where it is; and that they come in the order of what was sent.
func complete(t *testing.T, o *fhir.Outcome) {
	t.Helper()
	line, column := 1, 1
	for _, is := range o.Issues {
		if !strings.HasSuffix(is.Text, ".") {
			t.Errorf("%q is no sentence", is.Text)
		}
		if strings.Trim(is.Detail, "abcdefghijklmnopqrstuvwxyz-8") != "" || is.Detail == "" {
			t.Errorf("%q has the code %q", is.Text, is.Detail)
		}
		if is.Detail == "further-problems" {
			continue
		}
		if is.Line < line || is.Line == line && is.Column < column {
			t.Errorf("%q is at line %d, column %d, after one at line %d, column %d", is.Text, is.Line, is.Column, line, column)
		}
		line, column = is.Line, is.Column
	}
}

// A problem is a body and the issues that it must lead to, in their order.
type problem struct {
	name string
	body string
	want []string
}

func (p problem) check(t *testing.T, typ string) {
	t.Helper()
	_, err := fhir.Decode(typ, []byte(p.body))
	if got := issues(t, err); !slices.Equal(got, p.want) {
		t.Errorf("%s: issues are %q, want %q (%v)", p.name, got, p.want, err)
	}
}

func TestDecodeSyntax(t *testing.T) {
	t.Parallel()
	fatal := []string{"structure"}
	costly := []string{"too-costly"}
	deep := strings.Repeat(`{"extension":[`, 5000)
	for _, p := range []problem{
		{"empty body", ``, fatal},
		{"only whitespace", " \n\t ", fatal},
		{"byte order mark alone", "\xEF\xBB\xBF", fatal},
		{"byte order mark first", "\xEF\xBB\xBF" + `{"resourceType":"Patient"}`, nil},
		{"byte order mark twice", "\xEF\xBB\xBF\xEF\xBB\xBF" + `{"resourceType":"Patient"}`, fatal},
		{"array", `[{"resourceType":"Patient"}]`, fatal},
		{"null", `null`, fatal},
		{"string", `"Patient"`, fatal},
		{"trailing garbage", `{"resourceType":"Patient"} x`, fatal},
		{"trailing NUL", "{\"resourceType\":\"Patient\"}\x00", fatal},
		{"two documents", `{"resourceType":"Patient"}{"resourceType":"Patient"}`, fatal},
		{"ends early", `{"resourceType":"Patient","active":true`, fatal},
		{"ends in a string", `{"resourceType":"Patient","id":"a`, fatal},
		{"ends in an escape", `{"resourceType":"Patient","id":"a\`, fatal},
		{"trailing comma in object", `{"resourceType":"Patient","active":true,}`, fatal},
		{"trailing comma in array", `{"resourceType":"Patient","name":[{"text":"a"},]}`, append([]string{"structure Patient.name[1]"}, fatal...)},
		{"no comma", `{"resourceType":"Patient" "active":true}`, fatal},
		{"no colon", `{"resourceType" "Patient"}`, fatal},
		{"single quotes", `{'resourceType':'Patient'}`, fatal},
		{"comment", `{/* a */"resourceType":"Patient"}`, fatal},
		{"literal cut short", `{"resourceType":"Patient","active":tru}`, fatal},
		{"NaN", `{"resourceType":"Patient","extension":[{"url":"http://a","valueDecimal":NaN}]}`,
			[]string{"structure Patient.extension[0].value", "structure"}},
		{"Infinity", `{"resourceType":"Patient","extension":[{"url":"http://a","valueDecimal":-Infinity}]}`, fatal},
		{"leading zero", `{"resourceType":"Patient","multipleBirthInteger":01}`, fatal},
		{"plus sign", `{"resourceType":"Patient","multipleBirthInteger":+1}`, []string{"structure Patient.multipleBirth", "structure"}},
		{"bare decimal point", `{"resourceType":"Patient","multipleBirthInteger":1.}`, fatal},
		{"empty exponent", `{"resourceType":"Patient","multipleBirthInteger":1e}`, fatal},
		{"unescaped control character", "{\"resourceType\":\"Patient\",\"id\":\"a\tb\"}", fatal},
		{"unknown escape", `{"resourceType":"Patient","id":"\x41"}`, fatal},
		{"short escape", `{"resourceType":"Patient","id":"\u00"}`, fatal},
		{"lone high surrogate", `{"resourceType":"Patient","name":[{"text":"\ud83d"}]}`, fatal},
		{"lone low surrogate", `{"resourceType":"Patient","name":[{"text":"\ude00"}]}`, fatal},
		{"surrogates the wrong way round", `{"resourceType":"Patient","name":[{"text":"\ude00\ud83d"}]}`, fatal},
		{"high surrogate twice", `{"resourceType":"Patient","name":[{"text":"\ud83d\ud83d"}]}`, fatal},
		{"surrogate pair", `{"resourceType":"Patient","name":[{"text":"\ud83d\ude00"}]}`, nil},
		{"lone surrogate in a name", `{"resourceType":"Patient","\ud83d":1}`, fatal},
		{"invalid UTF-8", "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"\xff\"}]}", fatal},
		{"overlong UTF-8", "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"\xc0\x80\"}]}", fatal},
		{"surrogate in UTF-8", "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"\xed\xa0\xbd\"}]}", fatal},
		{"10,000 arrays", strings.Repeat("[", 10_000), fatal},
		{"10,000 arrays in an element", `{"resourceType":"Patient","name":` + strings.Repeat("[", 10_000), []string{"structure Patient.name[0]", "too-costly"}},
		{"10,000 arrays in an unknown element", `{"resourceType":"Patient","foo":` + strings.Repeat("[", 10_000), []string{"structure Patient.foo", "too-costly"}},
		{"10,000 arrays before the type", `{"foo":` + strings.Repeat("[", 10_000), costly},
		{"5,000 extensions", `{"resourceType":"Patient","extension":[` + deep, costly},
	} {
		p.check(t, "Patient")
	}
}

func TestDecodeDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) string {
		return `{"resourceType":"QuestionnaireResponse","status":"completed"` +
			strings.Repeat(`,"item":[{"linkId":"a"`, n) + strings.Repeat(`}]`, n) + `}`
	}
	for levels, want := range map[int][]string{31: nil, 32: {"too-costly"}} {
		problem{"nested items", nested(levels), want}.check(t, "QuestionnaireResponse")
	}
}

func TestDecodeType(t *testing.T) {
	t.Parallel()
	for _, p := range []problem{
		{"missing", `{"active":true}`, []string{"required resourceType"}},
		{"empty object", `{}`, []string{"required resourceType", "structure Patient"}},
		{"number", `{"resourceType":5}`, []string{"required resourceType"}},
		{"null", `{"resourceType":null}`, []string{"required resourceType"}},
		{"unknown", `{"resourceType":"Patients"}`, []string{"value resourceType"}},
		{"wrong case", `{"resourceType":"patient"}`, []string{"value resourceType"}},
		{"data type", `{"resourceType":"HumanName"}`, []string{"value resourceType"}},
		{"abstract", `{"resourceType":"DomainResource"}`, []string{"value resourceType"}},
		{"another", `{"resourceType":"Task","foo":1}`, []string{"invalid Task"}},
		{"last", `{"active":true,"resourceType":"Patient"}`, nil},
		{"escaped value", `{"resourceType":"Pat\u0069ent"}`, nil},
		{"escaped name", `{"\u0072esourceType":"Patient"}`, []string{"required resourceType", "structure Patient"}},
		{"twice", `{"resourceType":"Patient","resourceType":"Patient"}`, []string{"structure Patient.resourceType"}},
		{"two different", `{"resourceType":"Patient","resourceType":"Task"}`, []string{"structure Patient.resourceType"}},
		{"in a data type", `{"resourceType":"Patient","name":[{"resourceType":"HumanName","text":"a"}]}`, []string{"structure Patient.name[0].resourceType"}},
		{"contained without", `{"resourceType":"Patient","contained":[{"id":"a"}]}`, []string{"required Patient.contained[0]"}},
		{"contained unknown", `{"resourceType":"Patient","contained":[{"resourceType":"Foo"}]}`, []string{"value Patient.contained[0]"}},
	} {
		p.check(t, "Patient")
	}
	problem{"any type, unknown", `{"resourceType":"Foo"}`, []string{"value resourceType"}}.check(t, "")
	problem{"any type, missing", `{"id":"a"}`, []string{"required resourceType"}}.check(t, "")
}

func TestDecodeStructure(t *testing.T) {
	t.Parallel()
	for _, p := range []problem{
		{"unknown element", `"foo":1`, []string{"structure Patient.foo"}},
		{"upper case", `"Active":true`, []string{"structure Patient.Active"}},
		{"both cases", `"active":true,"Active":true`, []string{"structure Patient.Active"}},
		{"element of another type", `"subject":{"reference":"Patient/1"}`, []string{"structure Patient.subject"}},
		{"escaped name", `"\u0061ctive":true`, []string{"structure Patient"}},
		{"empty name", `"":true`, []string{"structure Patient"}},
		{"name that is no path", `"a b":true`, []string{"structure Patient"}},
		{"duplicate", `"active":true,"active":false`, []string{"structure Patient.active"}},
		{"duplicate companion", `"_active":{"id":"a"},"_active":{"id":"b"}`, []string{"structure Patient.active"}},
		{"duplicate in a data type", `"name":[{"text":"a","text":"a"}]`, []string{"structure Patient.name[0].text"}},
		{"null", `"active":null`, []string{"structure Patient.active"}},
		{"null object", `"maritalStatus":null`, []string{"structure Patient.maritalStatus"}},
		{"null array", `"name":null`, []string{"structure Patient.name"}},
		{"null in an array of objects", `"name":[null]`, []string{"structure Patient.name[0]"}},
		{"null companion", `"_active":null`, []string{"structure Patient.active"}},
		{"empty array", `"name":[]`, []string{"structure Patient.name"}},
		{"empty object", `"maritalStatus":{}`, []string{"structure Patient.maritalStatus"}},
		{"empty object in an array", `"name":[{"text":"a"},{}]`, []string{"structure Patient.name[1]"}},
		{"empty string", `"name":[{"family":""}]`, []string{"value Patient.name[0].family"}},
		{"empty companion", `"_active":{}`, []string{"structure Patient.active"}},
		{"array for one", `"active":[true]`, []string{"structure Patient.active"}},
		{"array for one object", `"maritalStatus":[{"text":"a"}]`, []string{"structure Patient.maritalStatus"}},
		{"one for array", `"name":{"text":"a"}`, []string{"structure Patient.name"}},
		{"array in an array", `"name":[[{"text":"a"}]]`, []string{"structure Patient.name[0]"}},
		{"primitive for object", `"maritalStatus":"M"`, []string{"structure Patient.maritalStatus"}},
		{"object for primitive", `"birthDate":{"extension":[{"url":"http://a","valueCode":"b"}]}`, []string{"structure Patient.birthDate"}},
		{"quoted boolean", `"active":"true"`, []string{"structure Patient.active"}},
		{"number for boolean", `"active":1`, []string{"structure Patient.active"}},
		{"quoted number", `"multipleBirthInteger":"1"`, []string{"structure Patient.multipleBirth"}},
		{"number for string", `"birthDate":1970`, []string{"structure Patient.birthDate"}},
		{"companion as value", `"_birthDate":"1970"`, []string{"structure Patient.birthDate"}},
		{"companion of an object", `"_maritalStatus":{"id":"a"}`, []string{"structure Patient._maritalStatus"}},
		{"value in a companion", `"_birthDate":{"value":"1970"}`, []string{"structure Patient.birthDate.value"}},
		{"code outside its binding", `"gender":"man"`, []string{"code-invalid Patient.gender"}},
		{"code in upper case", `"gender":"MALE"`, []string{"code-invalid Patient.gender"}},
		{"wrong choice", `"deceasedString":"yes"`, []string{"structure Patient.deceased"}},
		{"choice without a type", `"deceased":true`, []string{"structure Patient.deceased"}},
		{"two choices", `"deceasedBoolean":true,"deceasedDateTime":"2020"`, []string{"structure Patient.deceased"}},
		{"companion of the other choice", `"deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}`, []string{"structure Patient.deceased"}},
		{"choice with its companion", `"_deceasedBoolean":{"id":"a"},"deceasedBoolean":true`, nil},
		{"missing in a component", `"link":[{"type":"refer"}]`, []string{"required Patient.link[0].other"}},
		{"given by its companion", `"link":[{"other":{"reference":"Patient/1"},"_type":{"extension":[{"url":"http://a","valueCode":"b"}]}}]`, nil},
		{"missing in contained", `"contained":[{"resourceType":"Observation","id":"o","status":"final"}]`, []string{"required Patient.contained[0].code"}},
		{"missing url of an extension", `"extension":[{"valueCode":"a"}]`, []string{"required Patient.extension[0].url"}},
		{"several", `"foo":1,"active":"yes","name":[{"given":"a"},{"use":"x","period":{"start":"1.1.2020"}}],"contact":[{"gender":"m"}],"generalPractitioner":[{"reference":"Patient/1"}],"communication":[{}]`,
			[]string{
				"structure Patient.foo",
				"structure Patient.active",
				"structure Patient.name[0].given",
				"code-invalid Patient.name[1].use",
				"value Patient.name[1].period.start",
				"code-invalid Patient.contact[0].gender",
				"value Patient.generalPractitioner[0].reference",
				"structure Patient.communication[0]",
				"required Patient.communication[0].language",
			}},
	} {
		p.body = `{"resourceType":"Patient",` + p.body + `}`
		p.check(t, "Patient")
	}
	problem{"missing at the top", `{"resourceType":"Observation","status":"final"}`, []string{"required Observation.code"}}.check(t, "Observation")
}

func TestDecodeCompanionArrays(t *testing.T) {
	t.Parallel()
	const ext = `{"extension":[{"url":"http://a","valueCode":"b"}]}`
	for _, p := range []problem{
		{"values first", `"given":["a",null],"_given":[null,` + ext + `]`, nil},
		{"companions first", `"_given":[null,` + ext + `],"given":["a",null]`, nil},
		{"apart", `"given":["a","b"],"family":"c","_given":[null,` + ext + `]`, nil},
		{"companions alone", `"_given":[` + ext + `,{"id":"a"}]`, nil},
		{"more values", `"given":["a","b"],"_given":[` + ext + `]`, []string{"structure Patient.name[0].given"}},
		{"more companions", `"given":["a"],"_given":[null,` + ext + `]`, []string{"structure Patient.name[0].given"}},
		{"more values, companions first", `"_given":[` + ext + `],"given":["a","b"]`, []string{"structure Patient.name[0].given"}},
		{"null against null", `"given":["a",null],"_given":[` + ext + `,null]`, []string{"structure Patient.name[0].given[1]"}},
		{"null without companions", `"given":["a",null]`, []string{"structure Patient.name[0].given[1]"}},
		{"only null", `"given":[null]`, []string{"structure Patient.name[0].given[0]"}},
		{"only null companions", `"_given":[null]`, []string{"structure Patient.name[0].given[0]"}},
		{"needless companions", `"given":["a"],"_given":[null]`, nil},
		{"no array", `"given":["a"],"_given":` + ext, []string{"structure Patient.name[0].given"}},
		{"string for companion", `"_given":["a"]`, []string{"structure Patient.name[0].given[0]"}},
		{"empty companion", `"_given":[{}]`, []string{"structure Patient.name[0].given[0]"}},
		{"empty companion of a value", `"given":["a"],"_given":[{}]`, []string{"structure Patient.name[0].given[0]"}},
		{"problem inside", `"given":["a",null],"_given":[null,{"extension":[{"valueCode":"b"}]}]`, []string{"required Patient.name[0].given[1].extension[0].url"}},
	} {
		p.body = `{"resourceType":"Patient","name":[{` + p.body + `}]}`
		p.check(t, "Patient")
	}
}

func TestDecodeReference(t *testing.T) {
	t.Parallel()
	const at = "value Task.owner.reference"
	for reference, want := range map[string][]string{
		"Practitioner/1":                                   nil,
		"Practitioner/1/_history/2":                        nil,
		"Practitioner?identifier=http://a|1":               nil,
		"https://a.example/fhir/Practitioner/1":            nil,
		"https://a.example/fhir/Practitioner/1/_history/2": nil,
		"https://a.example/anything":                       nil,
		"urn:uuid:6d70c7d6-9a2d-4d7b-8a31-1f4d3a1d2b0c":    nil,
		"#p":                                nil,
		"Observation/1":                     {at},
		"Observation?code=a":                {at},
		"https://a.example/fhir/Location/1": {at},
		"Practitioner":                      {at},
		"Practitioner/":                     {at},
		"Practitioner/a_b":                  {at},
		"Practitioner/1/2":                  {at},
		"Practitioner/1/_history/":          {at},
		"practitioner/1":                    {at},
		"/Practitioner/1":                   {at},
		"Foo/1":                             {at},
		"Foo?a=b":                           {at},
		"":                                  {at},
		"Practitioner/" + strings.Repeat("1", 65): {at},
	} {
		body := `{"resourceType":"Task","status":"draft","intent":"order","owner":{"reference":"` + reference + `"}}`
		problem{reference, body, want}.check(t, "Task")
	}
}

func TestDecodeSuggestion(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"resourceType":"Patient","birthdate":"1970"}`:      `did you mean "birthDate"`,
		`{"resourceType":"Patient","Name":[{"text":"a"}]}`:   `did you mean "name"`,
		`{"resourceType":"Patient","deceasedString":"a"}`:    `the types it may have are boolean, dateTime`,
		`{"resourceType":"Patient","deceased":true}`:         `the types it may have are boolean, dateTime`,
		`{"resourceType":"Patient","nickname":"a"}`:          `no such element in Patient`,
		`{"resourceType":"Patient","_birthdate":{"id":"a"}}`: `did you mean "_birthDate"`,
	} {
		_, err := fhir.Decode("", []byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want it to say %s", body, err, want)
		}
	}
}

// TestDecodeTexts makes sure that no value of a refused resource is in an issue.
func TestDecodeTexts(t *testing.T) {
	t.Parallel()
	const secret = "smallpox"
	for _, body := range []string{
		`{"resourceType":"smallpox"}`,
		`{"resourceType":"Patient","gender":"smallpox"}`,
		`{"resourceType":"Patient","birthDate":"smallpox"}`,
		`{"resourceType":"Patient","active":"smallpox"}`,
		`{"resourceType":"Patient","name":"smallpox"}`,
		`{"resourceType":"Patient","photo":[{"data":"smallpox!"}]}`,
		`{"resourceType":"Patient","managingOrganization":{"reference":"smallpox/1"}}`,
		`{"resourceType":"Patient","name":[{"text":"smallpox`,
	} {
		_, err := fhir.Decode("Patient", []byte(body))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Not parallel: it measures what the process allocates.
func TestDecodeIssueCap(t *testing.T) {
	const n = 80_000
	body := []byte(`{"resourceType":"Patient"`)
	for range n {
		body = append(body, `,"unknown":123`...)
	}
	body = append(body, '}')
	before := allocated()
	_, err := fhir.Decode("Patient", body)
	used := allocated() - before
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) != 101 {
		t.Fatalf("%d unknown elements: %.200v; want 101 issues", n, err)
	}
	if last := o.Issues[100].Text; !strings.Contains(last, "79900 further problems") {
		t.Errorf("the last issue is %q", last)
	}
	if limit := 20 * uint64(len(body)); used > limit {
		t.Errorf("decoding %d bytes of unknown elements allocated %d bytes, more than %d", len(body), used, limit)
	}
}

// Not parallel: it measures what the process allocates.
func TestDecodeMemory(t *testing.T) {
	for name, body := range map[string]string{
		"empty objects": `{"resourceType":"Patient","name":[` + strings.Repeat(`{},`, 300_000) + `{}]}`,
		"strings":       `{"resourceType":"Patient","name":[{"given":[` + strings.Repeat(`"",`, 300_000) + `""]}]}`,
		"nulls":         `{"resourceType":"Patient","name":[{"given":[` + strings.Repeat(`null,`, 300_000) + `null]}]}`,
		"short names":   `{"resourceType":"Patient","name":[{"given":[` + strings.Repeat(`"a",`, 300_000) + `"a"]}]}`,
	} {
		before := allocated()
		_, err := fhir.Decode("Patient", []byte(body))
		if used, limit := allocated()-before, 200*uint64(len(body)); used > limit {
			t.Errorf("%s: decoding %d bytes allocated %d, more than %d (%.80v)", name, len(body), used, limit, err)
		}
	}
	many := `{"resourceType":"Patient","name":[{"given":[` + strings.Repeat(`"a",`, 1_000_000) + `"a"]}]}`
	_, err := fhir.Decode("Patient", []byte(many))
	if got := issues(t, err); !slices.Equal(got, []string{"too-costly"}) {
		t.Errorf("a million elements: %q", got)
	}
}

// allocated returns the bytes that all goroutines have allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestDefinitionsFit holds the definitions against the sizes of the decoder's
// bookkeeping.
func TestDefinitionsFit(t *testing.T) {
	t.Parallel()
	for _, typ := range spec.R4().Types() {
		if typ.PropertyNames() > 512 || len(typ.Elements) > 128 {
			t.Errorf("%s has %d properties and %d elements; the decoder counts 512 and 128", typ.Name, typ.PropertyNames(), len(typ.Elements))
		}
	}
}
