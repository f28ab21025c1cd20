package search

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// world is a set of resources that answers for each other.
type world struct {
	registry  *Registry
	resources map[fhir.Key]*fhir.Resource
	indexes   map[fhir.Key]*Index
}

func newWorld(t testing.TB, bodies ...string) *world {
	t.Helper()
	w := &world{testRegistry(t), map[fhir.Key]*fhir.Resource{}, map[fhir.Key]*Index{}}
	for _, body := range bodies {
		typ, _, _ := strings.Cut(strings.TrimPrefix(body, `{"resourceType":"`), `"`)
		r, err := fhir.Decode(typ, []byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		ix, err := w.registry.Index(r.Root(), r.ID())
		if err != nil {
			t.Fatal(err)
		}
		ix.Updated = time.Date(2024, 3, 1, 10, 0, 0, 123e6, time.UTC)
		w.resources[ix.Key], w.indexes[ix.Key] = r, ix
	}
	return w
}

// find returns the ids of the resources of a type for which all of where hold.
func (w *world) find(typ string, where []Condition) string {
	var ids []string
	for key, ix := range w.indexes {
		if (typ == "" || key.Type == typ) && Match(And(where), ix, document{w, key}) {
			ids = append(ids, key.ID)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// search runs "Type?query" and returns the ids found, or the error.
func (w *world) search(t testing.TB, address string) string {
	t.Helper()
	typ, query, _ := strings.Cut(address, "?")
	q, err := parseTest(w.registry, typ, query)
	if err != nil {
		return err.Error()
	}
	if len(q.Types) > 1 {
		var ids []string
		for _, typ := range q.Types {
			ids = append(ids, strings.Fields(w.find(typ, q.Where))...)
		}
		return strings.Join(ids, " ")
	}
	return w.find(typ, q.Where)
}

type document struct {
	w   *world
	key fhir.Key
}

func (d document) Words(narrative bool) []string {
	return WordsOf(d.w.resources[d.key].Root(), narrative)
}

func (d document) Targets(ref Reference, typ string) []Found {
	var all []Found
	for key, ix := range d.w.indexes {
		if key.Type != typ {
			continue
		}
		if key == ref.Key || ref.URL != "" && d.w.resources[key].Root().Child("url").Text() == ref.URL {
			all = append(all, Found{ix, document{d.w, key}})
		}
	}
	return all
}

func (d document) Sources(typ string, p *Param) []Found {
	var all []Found
	for key, ix := range d.w.indexes {
		points := func(e Entry) bool { r, ok := e.Value.(Reference); return ok && e.Param.is(p) && r.Key == d.key }
		if key.Type == typ && slices.ContainsFunc(ix.Entries, points) {
			all = append(all, Found{ix, document{d.w, key}})
		}
	}
	return all
}

func (d document) Listed(id string) bool {
	list := d.w.resources[fhir.Key{Type: "List", ID: id}]
	if list == nil {
		return false
	}
	for entry := range list.Root().Each("entry") {
		if entry.Child("item").Child("reference").Text() == d.key.String() {
			return true
		}
	}
	return false
}

// rangeOf reads "date", "from..to", "..to" or "from..".
func rangeOf(t *testing.T, text string) Range {
	t.Helper()
	from, to, period := strings.Cut(text, "..")
	if !period {
		r, ok := dateRange(text)
		if !ok {
			t.Fatalf("no date: %s", text)
		}
		return r
	}
	r := between(bound{}, bound{})
	if from != "" {
		r.Lo = rangeOf(t, from).Lo
	}
	if to != "" {
		r.Hi = rangeOf(t, to).Hi
	}
	return r
}

// TestDates has the table of R4's section on dates, and what follows from that on
// prefixes. https://hl7.org/fhir/R4/search.html#date
func TestDates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		asked, value string
		want         bool
	}{
		{"eq2013-01-14", "2013-01-14T00:00", true},
		{"eq2013-01-14", "2013-01-14T10:00", true},
		{"eq2013-01-14", "2013-01-15T00:00", false},
		{"ne2013-01-14", "2013-01-15T00:00", true},
		{"ne2013-01-14", "2013-01-14T00:00", false},
		{"ne2013-01-14", "2013-01-14T10:00", false},
		{"lt2013-01-14T10:00", "2013-01-14", true},
		{"gt2013-01-14T10:00", "2013-01-14", true},
		{"ge2013-03-14", "2013-01-21..", true},
		{"le2013-03-14", "2013-01-21..", true},
		{"sa2013-03-14", "2013-03-15..", true},
		{"sa2013-03-14", "2013-01-21..", false},
		{"sa2013-03-14", "..2013-01-21", false},
		{"eb2013-03-14", "2013-03-15..", false},
		{"eb2013-03-14", "2013-01-21..", false},
		{"eb2013-03-14", "..2013-01-21", true},
		{"ap2013-03-14", "2013-03-14", true},
		{"ap2013-03-14", "2015-06-15", false},
		{"2000", "2000", true},
		{"2000", "2000-04", true},
		{"2000-04", "2000", false},
		{"2000-04-01", "2000-04", false},
		{"gt2000", "2000-12-31", false},
		{"gt2000", "2001", true},
		{"gt2000", "2000-06-01..2001-01-01", true},
		{"lt2000", "1999-12-31", true},
		{"lt2000", "2000", false},
		{"lt2000", "1999-12-31..2001", true},
		{"ge2000", "2000-06", true},
		{"ge2000", "1999..", true},
		{"ge2000", "1999-06", false},
		{"le2000", "2000-06", true},
		{"le2000", "2000-06..2001", false},
		{"le2000", "2001", false},
		{"sa2000", "2001", true},
		{"sa2000", "2000-12-31..2001", false},
		{"eb2000", "1999", true},
		{"eb2000", "1999..2000", false},
		{"2000-01-01T10:00:00+02:00", "2000-01-01T08:00:00Z", true},
		{"2000-01-01T10:00:00 02:00", "2000-01-01T08:00:00Z", true},
		{"2000-01-01T10:00:00-02:00", "2000-01-01T12:00:00Z", true},
		{"2000-01-01T10:00:00", "2000-01-01T10:00:00Z", true},
		{"2000-01-01T10:00", "2000-01-01T10:00:59Z", true},
		{"2000-01-01T10:00:00Z", "2000-01-01T10:00:00.5Z", true},
		{"2000-01-01T10:00:00.500Z", "2000-01-01T10:00:00.5Z", false},
		{"ap2023-06-01", "2023-05-01", true},
		{"ap2023-06-01", "2023-07-06", true},
		{"ap2023-06-01", "2023-04-20", false},
		{"ap2023-06-01", "2023-07-20", false},
		{"ap2024-06-01", "2024-06-01", true},
		{"gt9999", "9999-12-31", false},
		{"lt0001", "0001-01-01", false},
	}
	for _, tt := range tests {
		p := newParser(testRegistry(t), Request{Now: testNow})
		a, ok := p.askDate(tt.asked)
		if !ok {
			t.Errorf("%s was refused: %v", tt.asked, p.issues)
			continue
		}
		if got := a.Matches(rangeOf(t, tt.value)); got != tt.want {
			t.Errorf("%s against %s is %t", tt.asked, tt.value, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	tests := []struct{ asked, yes, no string }{
		{"100", "99.5 100 100.4999", "99.4999 100.5"},
		{"100.00", "99.995 100 100.004", "99.99 100.005"},
		{"1e2", "95 104.99", "94.99 105"},
		{"1.00e2", "99.5 100.49", "99.4 100.5"},
		{"5.40e-3", "0.005395 0.0054", "0.005405 0.00539"},
		{"0", "-0.5 0 0.4", "0.5 -0.6"},
		{"-5", "-5.5 -5 -4.6", "-4.5 -5.6"},
		{"2", "2", "1 3"},
		{"ne100", "99.4 100.5", "99.5 100"},
		{"lt100", "99.9999", "100 100.4"},
		{"le100", "100 99", "100.0001"},
		{"gt100", "100.0001", "100 99.6"},
		{"ge100", "100", "99.9999"},
		{"sa100", "100.1", "100"},
		{"eb100", "99.9", "100"},
		{"ap100", "90 110 100", "89.99 110.01"},
		{"ap-100", "-90 -110", "-89 -111"},
		{"ap0", "0.4 -0.5 0.5", "0.6 -0.6"},
		{"5e 1", "50 50.4 49.5", "50.5 49.4"},
	}
	for _, tt := range tests {
		p := newParser(testRegistry(t), Request{})
		a, ok := p.askNumber(tt.asked)
		if !ok {
			t.Errorf("%s was refused: %v", tt.asked, p.issues)
			continue
		}
		for i, values := range []string{tt.yes, tt.no} {
			for text := range strings.FieldsSeq(values) {
				v, _ := number(text)
				if got := a.Matches(Range{v, v}); got != (i == 0) {
					t.Errorf("%s against %s is %t", tt.asked, text, got)
				}
			}
		}
	}
}

// TestRangePrefixes holds the prefixes against numbers that are ranges.
func TestRangePrefixes(t *testing.T) {
	t.Parallel()
	point := Range{5, 5}
	tests := []struct {
		prefix Prefix
		asked  Range
		yes    []Range
		no     []Range
	}{
		{Equal, Range{4, 6}, []Range{{4, 6}, {5, 5}, {4, 4}, {4, 5}}, []Range{{6, 6}, {3, 5}, {5, 7}}},
		{Greater, point, []Range{{4, 6}, {6, 6}, {5, 6}}, []Range{{5, 5}, {4, 5}, {4, 4}}},
		{Less, point, []Range{{4, 6}, {4, 4}}, []Range{{5, 5}, {5, 6}}},
		{GreaterOrEqual, point, []Range{{5, 5}, {4, 6}}, []Range{{4, 5}, {4, 4}}},
		{LessOrEqual, point, []Range{{5, 5}, {4, 6}}, []Range{{5, 6}, {6, 6}}},
		{StartsAfter, point, []Range{{6, 7}, {6, 6}}, []Range{{5, 6}, {5, 5}, {4, 7}}},
		{EndsBefore, point, []Range{{4, 5}, {4, 4}}, []Range{{5, 5}, {4, 6}}},
		{StartsAfter, Range{4, 6}, []Range{{6, 7}, {6, 6}}, []Range{{5, 7}, {5, 5}}},
		{EndsBefore, Range{4, 6}, []Range{{3, 4}, {3, 3}}, []Range{{4, 4}, {3, 5}}},
		{Greater, Range{4, 6}, []Range{{6, 6}, {5, 7}}, []Range{{5, 6}, {5, 5}}},
		{Approximately, Range{4, 6}, []Range{{6, 6}, {4, 4}, {5, 9}, {1, 9}}, []Range{{6, 7}, {3, 4}, {7, 7}}},
		{NotEqual, Range{4, 6}, []Range{{6, 6}, {3, 5}}, []Range{{4, 6}, {5, 5}}},
	}
	for _, tt := range tests {
		a := AskedRange{tt.prefix, tt.asked}
		for _, r := range tt.yes {
			if !a.Matches(r) {
				t.Errorf("%s %v does not match %v", tt.prefix, tt.asked, r)
			}
		}
		for _, r := range tt.no {
			if a.Matches(r) {
				t.Errorf("%s %v matches %v", tt.prefix, tt.asked, r)
			}
		}
	}
}

func TestMatchResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		`{"resourceType":"Patient","id":"eve","active":true,"gender":"female","name":[{"family":"Carreño Quinones","given":["Eve"]}],"birthDate":"1974-12-25","identifier":[{"system":"http://a.org","value":"AB1","type":{"coding":[{"system":"http://t.org","code":"MR"}],"text":"Record number"}}],"telecom":[{"system":"phone","value":"+44 (0)20 123"}],"generalPractitioner":[{"reference":"Practitioner/joe"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">bone metastases</div>"}}`,
		`{"resourceType":"Patient","id":"eva","gender":"male","name":[{"given":["Evelyn"]},{"text":"Severine Bill"}],"managingOrganization":{"reference":"Organization/o"},"identifier":[{"value":"AB1"}]}`,
		`{"resourceType":"Patient","id":"none","meta":{"tag":[{"system":"http://a.org","code":"x"}]}}`,
		`{"resourceType":"Practitioner","id":"joe","name":[{"given":["Joe"]}],"address":[{"state":"MN"}]}`,
		`{"resourceType":"Organization","id":"o","name":"Open Health","partOf":{"reference":"Organization/p"}}`,
		`{"resourceType":"Organization","id":"p","name":"Parent"}`,
		`{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1234-5","display":"Sodium level"}]},"subject":{"reference":"Patient/eve"},"valueQuantity":{"value":150,"system":"http://unitsofmeasure.org","code":"mmol/L","unit":"mmol per litre"},"effectiveDateTime":"2012"}`,
		`{"resourceType":"Observation","id":"b","status":"preliminary","code":{"text":"Something"},"subject":{"identifier":{"system":"http://a.org","value":"AB1"}},"valueQuantity":{"value":0.15,"system":"http://unitsofmeasure.org","code":"mol/L"}}`,
		`{"resourceType":"List","id":"l","status":"current","mode":"working","entry":[{"item":{"reference":"Patient/eve"}}]}`,
		`{"resourceType":"Questionnaire","id":"q","status":"active","url":"http://q.org/one","version":"1.2"}`,
		`{"resourceType":"QuestionnaireResponse","id":"r","status":"completed","questionnaire":"http://q.org/one|1.2"}`,
		`{"resourceType":"QuestionnaireResponse","id":"s","status":"completed","questionnaire":"http://q.org/one"}`,
		`{"resourceType":"DocumentReference","id":"d","status":"current","content":[{"attachment":{"contentType":"text/xml; charset=UTF-8"}}]}`,
	)
	tests := []struct{ address, want string }{
		{"Patient?given=eve", "eva eve"},
		{"Patient?name:contains=EVE", "eva eve"},
		{"Patient?name:contains=everi", "eva"},
		{"Patient?given:exact=Eve", "eve"},
		{"Patient?given:exact=eve", ""},
		{"Patient?name=carreno", "eve"},
		{"Patient?name=quinones", ""},
		{"Patient?gender=male,female", "eva eve"},
		{"Patient?gender=http://hl7.org/fhir/administrative-gender|male", "eva"},
		{"Patient?gender=http://other|male", ""},
		{"Patient?gender:not=male", "eve none"},
		{"Patient?gender:missing=true", "none"},
		{"Patient?gender:missing=false", "eva eve"},
		{"Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "eva eve"},
		{"Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", "none"},
		{"Patient?gender:not=male&name=eve", "eve"},
		{"Patient?active=true", "eve"},
		{"Patient?active:not=true", "eva none"},
		{"Patient?identifier=ab1", "eva eve"},
		{"Patient?identifier=http://a.org|ab1", "eve"},
		{"Patient?identifier=|AB1", "eva"},
		{"Patient?identifier=http://a.org|", "eve"},
		{"Patient?identifier:of-type=http://t.org|mr|AB1", "eve"},
		{"Patient?identifier:of-type=http://t.org|XX|AB1", ""},
		{"Patient?identifier:of-type=http://t.org|MR|AB2", ""},
		{"Patient?identifier:text=record", "eve"},
		{"Patient?identifier:text=number", ""},
		{"Patient?phone=%2B44020123", "eve"},
		{"Patient?phone=+44 (0)20-123", "eve"},
		{"Patient?phone= 44020123", "eve"},
		{"Patient?phone=44020123", ""},
		{"Patient?birthdate=1974", "eve"},
		{"Patient?birthdate=lt1974-12-25,gt1974-12-25", ""},
		{"Patient?_id=eve,none", "eve none"},
		{"Patient?_id=EVE", ""},
		{"Patient?_id:not=eve", "eva none"},
		{"Patient?_tag=http://a.org|x", "none"},
		{"Patient?_tag:not=x", "eva eve"},
		{"Patient?_lastUpdated=2024-03-01T10:00:00.123Z", "eva eve none"},
		{"Patient?_lastUpdated=gt2024-03-01T10:00:00.123Z", ""},
		{"Patient?_lastUpdated=2024-03,2025", "eva eve none"},
		{"Patient?general-practitioner=joe", "eve"},
		{"Patient?general-practitioner=Organization/joe", ""},
		{"Patient?general-practitioner=http://example.org/fhir/Practitioner/joe", "eve"},
		{"Patient?general-practitioner.name=Joe&general-practitioner.address-state=mn", "eve"},
		{"Patient?general-practitioner.name=Jim", ""},
		{"Patient?organization.partof.name=parent", "eva"},
		{"Patient?organization.partof.partof.name=parent", ""},
		{"Patient?organization.name:missing=false", "eva"},
		{"Patient?organization.type:not=x", "eva"},
		{"Patient?_has:Observation:patient:code=1234-5", "eve"},
		{"Patient?_has:Observation:patient:code=1", ""},
		{"Organization?_has:Patient:organization:given=evelyn", "o"},
		{"Organization?_has:Organization:partof:_has:Patient:organization:given=evelyn", "p"},
		{"Practitioner?_has:Patient:general-practitioner:_has:Observation:subject:status=final", "joe"},
		{"Observation?subject._has:Observation:patient:code=1234-5", "a"},
		{"Observation?subject:identifier=http://a.org|AB1", "b"},
		{"Observation?subject:missing=false", "a b"},
		{"Observation?code:text=sodium", "a"},
		{"Observation?code:text=something", "b"},
		{"Observation?code:missing=true", ""},
		{"Observation?value-quantity=150|http://unitsofmeasure.org|mmol/L", "a b"},
		{"Observation?value-quantity=0.15|http://unitsofmeasure.org|mol/L", "a b"},
		{"Observation?value-quantity=150||mmol/L", "a"},
		{"Observation?value-quantity=150||mmol per litre", "a"},
		{"Observation?value-quantity=150", "a"},
		{"Observation?value-quantity=gt0.1", "a b"},
		{"Observation?value-quantity=ne150|http://unitsofmeasure.org|mmol/L", ""},
		{"Observation?value-quantity=gt1|http://unitsofmeasure.org|mg", ""},
		{"Observation?code-value-quantity=1234-5$ge150", "a"},
		{"Observation?code-value-quantity=1234-6$ge150", ""},
		{"Observation?code-value-quantity=1234-5$gt150", ""},
		{"Observation?status:below=http://hl7.org/fhir/observation-status|final", "a"},
		{"Patient?_list=l", "eve"},
		{"Patient?_list=l,m&gender=male", ""},
		{"Patient?_text=(bone OR liver) and metastases", "eve"},
		{"Patient?_text=liver metastases", ""},
		{"Patient?_text=liver,bone", "eve"},
		{"Patient?_text=bill", ""},
		{"Patient?_content=bill,bone", "eva eve"},
		{"Patient?_content=BILL severine", "eva"},
		{"Patient?_content=bil", ""},
		{"QuestionnaireResponse?questionnaire=http://q.org/one", "r s"},
		{"QuestionnaireResponse?questionnaire=http://q.org/one|1.2", "r"},
		{"QuestionnaireResponse?questionnaire:below=http://q.org/one|1", "r"},
		{"QuestionnaireResponse?questionnaire:below=http://q.org/one|1.20", ""},
		{"QuestionnaireResponse?questionnaire.status=active", "r s"},
		{"Questionnaire?url=http://q.org/one", "q"},
		{"Questionnaire?url=http://q.org/ONE", ""},
		{"Questionnaire?url:below=http://q.org/", "q"},
		{"Questionnaire?url:below=http://r.org/", ""},
		{"Questionnaire?url:above=http://q.org/one/two", "q"},
		{"Questionnaire?url:above=http://q.org/", ""},
		{"DocumentReference?contenttype=text/xml", ""},
		{"DocumentReference?contenttype:below=text/xml", "d"},
		{"DocumentReference?contenttype:below=text/x", ""},
		{"?_type=Patient,Practitioner&name=joe", "joe"},
		{"?_type=Patient,Practitioner&gender:missing=true", "none joe"},
		{"?_type=Patient,Practitioner&gender:not=male", "eve none joe"},
		{"?_type=Patient,Practitioner&_id=joe,eve", "eve joe"},
		{"?_id=l,q", "l q"},
		{"?_tag=x", "none"},
		{"?_type=Patient,Organization&_has:Patient:organization:given=evelyn", "o"},
	}
	for _, tt := range tests {
		if got := w.search(t, strings.ReplaceAll(tt.address, "%2B", "+")); got != tt.want {
			t.Errorf("%s found %q, want %q", tt.address, got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		`{"resourceType":"Patient","id":"a","gender":"male","name":[{"family":"Zoe"},{"family":"adams"}],"birthDate":"2000"}`,
		`{"resourceType":"Patient","id":"b","gender":"female","name":[{"family":"Ädams"}],"birthDate":"2001-02"}`,
		`{"resourceType":"Patient","id":"c","name":[{"family":"Brown"}],"birthDate":"1999"}`,
		`{"resourceType":"Patient","id":"d","gender":"male"}`,
	)
	tests := []struct{ sort, want string }{
		{"_id", "a b c d"},
		{"-_id", "d c b a"},
		{"family,_id", "a b c d"},
		{"-family,_id", "a c b d"},
		{"birthdate", "c a b d"},
		{"-birthdate", "b a c d"},
		{"gender,-_id", "b d a c"},
		{"-gender,_id", "a d b c"},
		{"_lastUpdated,-_id", "d c b a"},
	}
	for _, tt := range tests {
		q, err := parseTest(w.registry, "Patient", "_sort="+tt.sort)
		if err != nil {
			t.Errorf("%s: %v", tt.sort, err)
			continue
		}
		var all []*Index
		for _, ix := range w.indexes {
			all = append(all, ix)
		}
		slices.SortFunc(all, func(a, b *Index) int { return Compare(a, b, q.Sort) })
		var ids []string
		for _, ix := range all {
			ids = append(ids, ix.Key.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("by %s: %s, want %s", tt.sort, got, tt.want)
		}
	}
}
