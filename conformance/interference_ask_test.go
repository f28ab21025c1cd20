package conformance_test

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A curious caller makes up requests, by lot.
type curious struct {
	lot
	who     listener
	shelf   *shelf     // of the twin that changes
	hidden  []fhir.Key // what the caller does not see of it
	visible []fhir.Key
	library *library // all of it, so that criteria meet what is hidden
}

// key draws a resource to be asked for: hidden ones most of all.
func (c *curious) key() fhir.Key {
	switch n := c.IntN(10); {
	case n < 5 && len(c.hidden) > 0:
		return c.hidden[c.IntN(len(c.hidden))]
	case n < 9 && len(c.visible) > 0:
		return c.visible[c.IntN(len(c.visible))]
	}
	typ, id, _ := strings.Cut(c.name(c.typ()), "/")
	return fhir.Key{Type: typ, ID: id}
}

func (c *curious) typ() string {
	all := ids()
	return all[c.IntN(len(all))].typ
}

// request makes one up.
func (c *curious) request() inquired {
	a := c.make()
	if a.writes() && strings.HasPrefix(a.body, `{"`) && !strings.Contains(c.who.scopes, "*") {
		a.body = withoutThings(a.body)
	}
	if c.oneIn(12) {
		a.headers = append(a.headers, "Prefer: "+c.pick("handling=lenient", "return=minimal", "return=OperationOutcome", "return=representation"))
	}
	if c.oneIn(25) {
		a.headers = append(a.headers, "Accept: "+c.pick("application/fhir+xml", "application/json", "text/plain"))
	} else if a.kind == "read" && c.oneIn(10) {
		a.headers = append(a.headers, "Accept: text/html")
	}
	return a
}

// withoutThings takes out of a resource what it would give to others. Whether the
// writer may give that is told by what they stand for, even where their scopes are
// for fewer types, so that it does tell something of these.
func withoutThings(text string) string {
	o := decodedObject(text)
	for _, element := range []string{"supportingInfo", "reasonReference", "insurance", "focus", "payload"} {
		delete(o, element)
	}
	return encode(o)
}

func (c *curious) make() inquired {
	switch n := c.IntN(100); {
	case n < 12:
		return c.read()
	case n < 16:
		return c.vread()
	case n < 26:
		return c.history()
	case n < 66:
		return c.search()
	case n < 70:
		return c.compartment()
	case n < 72:
		return c.events()
	case n < 82:
		return c.change()
	case n < 86:
		return c.create()
	case n < 95:
		return c.conditional()
	case n < 98:
		return c.operation()
	}
	return c.nonsense()
}

func (c *curious) read() inquired {
	a := inquired{kind: "read", method: c.pick("GET", "GET", "GET", "HEAD"), path: "/fhir/" + c.key().String()}
	switch c.IntN(10) {
	case 0:
		a.path += c.pick("?_summary=true", "?_elements=subject,status", "?_summary=text", "?_pretty=true", "?_format=xml")
	case 1:
		a.kind, a.path = "read of a moment", a.path+c.pick("?_at=2999", "?_at=2001-01-01", "?_at="+url.QueryEscape(c.when()))
	case 2:
		a.kind, a.headers = "conditional read", []string{fmt.Sprintf(`If-None-Match: W/"%d"`, 1+c.IntN(3))}
	case 3:
		a.kind, a.headers = "conditional read", []string{"If-Modified-Since: " + c.pick("Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 01 Jan 2010 00:00:00 GMT")}
	case 4:
		a.kind, a.headers = "conditional read", []string{fmt.Sprintf(`If-Match: W/"%d"`, 1+c.IntN(3))}
	}
	return a
}

// when draws a moment at which something was stored.
func (c *curious) when() string {
	v := c.library.volumes[c.IntN(len(c.library.volumes))]
	return v.index.Updated.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (c *curious) vread() inquired {
	a := inquired{kind: "vread", method: "GET", path: fmt.Sprintf("/fhir/%s/_history/%d", c.key(), 1+c.IntN(4))}
	if c.oneIn(6) {
		a.headers = []string{`If-None-Match: W/"1"`}
	}
	return a
}

func (c *curious) history() inquired {
	a := inquired{method: "GET"}
	switch c.IntN(5) {
	case 0:
		a.kind, a.path = "history of the system", "/fhir/_history"
	case 1, 2:
		a.kind, a.path = "history of a type", "/fhir/"+c.typ()+"/_history"
	default:
		a.kind, a.path = "history of a resource", "/fhir/"+c.key().String()+"/_history"
	}
	a.path += "?_count=" + c.pick("1", "2", "5", "20", "100")
	if c.oneIn(4) {
		a.path += c.pick("&_since=2001", "&_since="+url.QueryEscape(c.when()), "&_at="+url.QueryEscape(c.when()), "&_at=2999", "&_summary=true", "&_elements=id")
	}
	return a
}

// search makes up a search by what there is, hidden or not.
func (c *curious) search() inquired {
	if c.oneIn(5) {
		return c.fixedSearch()
	}
	in := &inquirer{Rand: c.Rand, library: c.library}
	q := in.inquiry()
	for range 8 {
		if _, err := q.parse(c.library.registry, q.params); err == nil || c.oneIn(20) {
			break
		}
		q = in.inquiry()
	}
	add := func(name, value string) { q.params = append(q.params, search.Parameter{Name: name, Value: value}) }
	for c.oneIn(3) {
		if name, value := in.include(in.volume()); name != "" {
			add(name, value)
		}
	}
	switch c.IntN(6) {
	case 0:
		add("_summary", c.pick("count", "count", "true", "text", "data"))
	case 1:
		add("_elements", c.pick("status", "subject,code", "id"))
	case 2:
		add("_total", c.pick("accurate", "estimate", "none"))
	}
	add("_count", c.pick("0", "1", "2", "5", "20", "100"))
	a := inquired{kind: boldest(q), method: "GET", path: q.String()}
	if c.oneIn(8) {
		a.method, a.path, a.body = "POST", q.path()+"/_search", query(q.params)
		a.headers = []string{"Content-Type: application/x-www-form-urlencoded"}
	}
	return a
}

// boldest names a search by the boldest thing in it.
func boldest(q *inquiry) string {
	text := fmt.Sprint(q.params)
	for _, k := range [][2]string{{"_filter", "_filter"}, {"_has:", "_has"}, {"_revinclude:iterate", "_revinclude"}, {"_revinclude", "_revinclude"}, {"_include", "_include"}, {"_list", "_list"}, {"_summary count", "count"}, {"_total", "total"}, {"_content", "words"}, {"_sort", "sort"}} {
		if strings.Contains(text, k[0]) {
			return "search, " + k[1]
		}
	}
	for _, p := range q.params {
		if strings.Contains(p.Name, ".") {
			return "search, chain"
		}
	}
	return "search"
}

// fixedSearch is one of those that have led to leaks elsewhere.
func (c *curious) fixedSearch() inquired {
	k, p := c.key(), c.name("Patient")
	paths := []string{
		"Patient?_has:Observation:patient:code=" + c.pick("hiv", "glucose"),
		"Patient?_has:Task:patient:_has:Communication:based-on:sent=gt2000",
		"Patient?_has:ServiceRequest:patient:performer:HealthcareService.name=" + c.pick("Knees", "Lungs"),
		"Observation?patient.family=" + c.pick("Smith", "Jones") + "&_total=accurate",
		"Observation?subject:Patient.general-practitioner:PractitionerRole.organization.name=Surgery&_summary=count",
		"Observation?has-member.code=" + c.pick("hiv", "weight"),
		"Task?focus:ServiceRequest.code=knee&_include=Task:focus&_include:iterate=ServiceRequest:performer&_include:iterate=ServiceRequest:patient",
		"Task?code=knee,lung,weight&_include=*&_include:iterate=*",
		"Patient?_revinclude=*",
		"Patient?_revinclude=Observation:subject&_revinclude=Provenance:target&_revinclude:iterate=Provenance:target&_revinclude:iterate=List:item",
		"ServiceRequest?_include=ServiceRequest:subject&_revinclude=Task:focus&_revinclude:iterate=Communication:based-on&_count=3",
		"Provenance?target=" + k.String(), "List?item=" + k.String(), "Group?member=" + p, "Condition?_list=" + strings.TrimPrefix(c.name("List"), "List/"),
		k.Type + "?_id=" + k.ID, k.Type + "?_id:not=" + k.ID + "&_total=accurate", k.Type + "?_summary=count", k.Type + "?_total=estimate&_count=2", k.Type + "?_security=" + c.pick("R", "V", "NOPAT", "PSY"), k.Type + "?_security:missing=true&_summary=count",
		k.Type + "?_lastUpdated=ge" + url.QueryEscape(c.when()) + "&_sort=-_lastUpdated", k.Type + "?identifier=http://ids|" + k.ID, k.Type + "?_sort=_id&_count=3", k.Type + "?_sort=-_lastUpdated,_id&_count=2",
		"Communication?_content=secret&_count=1", "Communication?subject=" + p + "&_sort=-sent&_count=2", "Observation?_sort=code,-value-quantity&_count=2", "Observation?value-quantity=gt" + fmt.Sprint(c.IntN(200)) + "&_summary=count",
		"Observation?_filter=" + url.QueryEscape("value-quantity lt "+fmt.Sprint(c.IntN(200))+" and not (code eq hiv)"), "Observation?patient:missing=true", "Observation?code:not=hiv&_total=accurate&_count=1", "Device?patient:missing=true", "Binary?_count=100", "?_type=Binary,Observation,Basic,Task&_count=3",
		"?_id=" + k.ID, "?_summary=count", "MedicationRequest?medication.code=" + c.pick("hiv", "knee") + "&_include=MedicationRequest:medication", "Observation?_contained=both", "Observation?_source=http://x", "Patient?link:missing=true&_summary=count",
		"DocumentReference?custodian.name=Hospital&_include=DocumentReference:author&_revinclude:iterate=DocumentReference:related", "Task?_text=x", "Task?owner=" + c.name("Organization", "HealthcareService") + "&_sort=authored-on",
	}
	path := paths[c.IntN(len(paths))]
	kind := "search, known leak"
	for _, word := range []string{"_has", "_revinclude", "_include", "_filter", "_list", "_total", "count"} {
		if strings.Contains(path, word) {
			kind += ", " + word
			break
		}
	}
	return inquired{kind: kind, method: "GET", path: "/fhir/" + path}
}

func (c *curious) compartment() inquired {
	k := c.pick(c.name("Patient"), some("Patient", 1), c.name("Practitioner"), c.name("Encounter"), c.name("RelatedPerson"))
	return inquired{kind: "search, compartment", method: "GET", path: "/fhir/" + k + "/" + c.pick("*", "Observation", "Task", "Communication", "Condition", "ServiceRequest") + "?_count=" + c.pick("2", "50") + c.pick("", "&_total=accurate", "&_revinclude=Provenance:target")}
}

func (c *curious) events() inquired {
	path := "AuditEvent?" + c.pick("entity="+c.key().String(), "patient="+c.name("Patient"), "patient="+some("Patient", 1), "_sort=date", "_sort=-date", "agent="+c.name("Practitioner"), "action=R", "subtype=read", "outcome=4,8") + "&_count=" + c.pick("3", "20", "100") + c.pick("", "&_total=accurate", "&_summary=count")
	return inquired{kind: "search, AuditEvent", method: "GET", path: "/fhir/" + path}
}

func (c *curious) nonsense() inquired {
	k := c.key()
	return inquired{kind: "nonsense", method: c.pick("GET", "POST", "PUT", "DELETE"), path: "/fhir/" + c.pick(k.Type+"?unknown="+k.ID, k.String()+"/_history/0", k.String()+"/_history/x", k.Type+"?_sort=nothing", k.Type+"?_include=nothing", k.Type+"/"+k.ID+"/Nothing", k.Type+"?_cursor=AAAA",
		"Nothing/"+k.ID, k.String()+"/", strings.ToLower(k.Type)+"/"+k.ID, k.String()+"/$everything", k.Type+"?subject.nothing=1", k.Type+"/_history?_page=AAAA", "$reindex", "?_type=Nothing")}
}
