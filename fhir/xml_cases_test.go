package fhir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func patient(content string) string {
	return `<Patient xmlns="http://hl7.org/fhir">` + content + `</Patient>`
}

const (
	laughs = `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>` +
		`<Patient xmlns="http://hl7.org/fhir"><language value="&c;"/></Patient>`
	xxe = `<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><language value="&f;"/></Patient>`
)

// xmlRefused are documents with problems; each issue is given as its code, its
// expression and the beginning of its text.
var xmlRefused = []struct {
	name string
	xml  string
	want []string
}{
	{"nothing", "", []string{"structure : The body is empty"}},
	{"blank", " \n", []string{"structure : The body is empty"}},
	{"no XML", `{"resourceType":"Patient"}`, []string{"structure : There is text outside of the resource; send one resource as XML (line 1, column 1)."}},
	{"not UTF-8", "<Patient xmlns=\"http://hl7.org/fhir\"><language value=\"\xe9\"/></Patient>", []string{"structure : The body is not valid UTF-8"}},
	{"control character", patient("\x01"), []string{"structure : The body holds control characters"}},
	{"another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?>` + patient(""), []string{"not-supported : Send XML encoded as UTF-8 (line 1,"}},
	{"another version", `<?xml version="1.1"?>` + patient(""), []string{"not-supported : Send XML of version 1.0"}},
	{"odd declaration", `<?xml version="1.0" lang="en"?>` + patient(""), []string{"structure : The XML is malformed: the XML declaration"}},
	{"declaration not closed", `<?xml version="1.0"`, []string{"structure : The XML is malformed"}},
	{"declaration too late", " <?xml version=\"1.0\"?>" + patient(""), []string{"structure : Send XML without processing instructions"}},
	{"stylesheet", `<?xml-stylesheet href="x.xsl"?>` + patient(""), []string{"structure : Send XML without processing instructions (line 1, column 1)."}},
	{"instruction in a narrative", patient(`<text><div xmlns="http://www.w3.org/1999/xhtml"><?php ?></div></text>`), []string{"structure : Send XML without processing"}},
	{"DOCTYPE", `<!DOCTYPE Patient>` + patient(""), []string{"security : Send XML without a DOCTYPE"}},
	{"DOCTYPE in a narrative", patient(`<text><div xmlns="http://www.w3.org/1999/xhtml"><!DOCTYPE x></div></text>`), []string{"security : Send XML without a DOCTYPE"}},
	{"billion laughs", laughs, []string{"security : Send XML without a DOCTYPE"}},
	{"external entity", xxe, []string{"security : Send XML without a DOCTYPE"}},
	{"entity", patient(`<language value="&nbsp;"/>`), []string{`structure : The XML is malformed: after "&" there is neither`}},
	{"entity in a narrative", patient(`<text><div xmlns="http://www.w3.org/1999/xhtml">&nbsp;x</div></text>`), []string{`structure : The XML is malformed: after "&"`}},
	{"reference to no character", patient(`<language value="&#0;"/>`), []string{`structure : The XML is malformed: after "&"`}},
	{"< in a value", patient(`<language value="<"/>`), []string{`structure : The XML is malformed: write "<"`}},
	{"]]> in text", patient(`]]>`), []string{`structure : The XML is malformed: write "]]>"`}},
	{"no quotes", patient(`<language value=en/>`), []string{"structure : The XML is malformed: expected the value of an attribute in quotes (line 1, column 54)."}},
	{"no value", patient(`<language value/>`), []string{`structure : The XML is malformed: expected "="`}},
	{"no space", patient(`<language id="a"value="en"/>`), []string{"structure : The XML is malformed: expected the end of a tag"}},
	{"attribute twice", patient(`<language value="en" value="de"/>`), []string{"structure : The XML is malformed: an attribute is given twice"}},
	{"value not closed", patient(`<language value="en/>`), []string{"structure : The XML is malformed: "}},
	{"crossed tags", patient("\n<name><period></name></period>"), []string{"structure : The XML is malformed: this end tag does not match the start tag before it (line 2, column 15)."}},
	{"no end", `<Patient xmlns="http://hl7.org/fhir"><name>`, []string{"structure : The XML is malformed: it ends before"}},
	{"end alone", `</Patient>`, []string{"structure : The XML is malformed: this end tag"}},
	{"no name", patient(`< name/>`), []string{"structure : The XML is malformed: expected a name"}},
	{"markup declaration", patient(`<!ELEMENT x ANY>`), []string{"structure : The XML is malformed: expected an element"}},
	{"end tag not closed", `<Patient xmlns="http://hl7.org/fhir"></Patient`, []string{`structure : The XML is malformed: expected ">"`}},
	{"comment not closed", patient("") + "<!-- ", []string{"structure : The XML is malformed: a comment is not closed"}},
	{"-- in a comment", "<!-- a -- b -->" + patient(""), []string{`structure : The XML is malformed: a comment holds "--" (line 1, column 8).`}},
	{"CDATA not closed", patient("<![CDATA["), []string{"structure : The XML is malformed: a CDATA section is not closed"}},
	{"CDATA outside", patient("") + "<![CDATA[ ]]>", []string{"structure : The XML is malformed: a CDATA section stands outside"}},
	{"two resources", patient("") + patient(""), []string{"structure : There is more after the end of the resource"}},
	{"text after it", patient("") + "x", []string{"structure : There is text outside of the resource"}},
	{"name not ASCII", patient(`<näme/>`), []string{"structure : The XML is malformed: "}},
	{"prefix not declared", patient(`<f:name/>`), []string{"structure : The XML is malformed: the prefix of an element is not declared"}},
	{"prefix of attribute not declared", patient(`<name f:x="1"/>`), []string{"structure : The XML is malformed: the prefix of an attribute is not declared"}},
	{"too many attributes", patient(`<name` + many(33, ` a%d="x"`) + `/>`), []string{"too-costly : An element has at most 32 attributes"}},
	{"too many namespaces", strings.Repeat(`<Patient`+many(32, ` xmlns:a%d="x"`)+`>`, 3), []string{"too-costly : More than 64 namespaces"}},
	{"too deep", `<Patient xmlns="http://hl7.org/fhir">` + strings.Repeat(`<name>`, 64), []string{"too-costly : The XML is nested deeper than 64 levels"}},
	{"too deep as JSON", patient(strings.Repeat(`<extension url="u">`, 40) + strings.Repeat(`</extension>`, 40)), []string{"too-costly Patient.extension[0].extension[0]"}},

	{"no namespace", `<Patient><active value="true"/></Patient>`, []string{`structure Patient: The resource is not in the namespace of FHIR; begin it with <Patient xmlns="http://hl7.org/fhir">.`}},
	{"wrong namespace", `<Patient xmlns="urn:hl7-org:v3"><active value="true"/></Patient>`, []string{"structure Patient: The resource is not in the namespace"}},
	{"foreign element", patient(`<active xmlns="urn:x" value="true"/>`), []string{"structure Patient: The element active is not in the namespace"}},
	{"narrative out of place", patient(`<name xmlns="http://www.w3.org/1999/xhtml">x</name>`), []string{"structure Patient: The element name is not in the namespace"}},
	{"narrative without namespace", patient(`<text><status value="generated"/><div>x</div></text>`), []string{"structure Patient.text.div: The narrative is not in the namespace of XHTML"}},
	{"narrative with foreign elements", patient(`<text><status value="generated"/><h:div xmlns:h="http://www.w3.org/1999/xhtml"><p>x</p></h:div></text>`), []string{"structure Patient.text.div: The narrative has elements outside"}},
	{"script", patient(`<text><status value="generated"/><h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:script>x</h:script></h:div></text>`), []string{"value Patient.text.div: Remove the element"}},
	{"unknown type", `<Patent xmlns="http://hl7.org/fhir"><x/></Patent>`, []string{"value resourceType: This resourceType is not an R4 resource type"}},
	{"unknown element", patient(`<gendre value="male"/><gendre value="male"/>`), []string{"structure Patient.gendre: There is no such element"}},
	{"element that is a companion", patient(`<_birthDate/>`), []string{"structure Patient: This element holds one whose name is no element name"}},
	{"element that is a property", patient(`<resourceType value="Patient"/>`), []string{"structure Patient: This element holds one whose name is no element name"}},
	{"element that is an attribute", patient(`<name><id value="x"/><family value="y"/></name>`), []string{"structure Patient.name[0].id: id is an attribute in XML"}},
	{"unknown attribute", patient(`<name family="x"><given value="y"/></name>`), []string{"structure Patient.name[0]: There is no attribute family here"}},
	{"unknown attribute of a primitive", patient(`<name><given value="y" use="x"/></name>`), []string{"structure Patient.name[0].given[0]: There is no attribute use here"}},
	{"id of a resource", `<Patient xmlns="http://hl7.org/fhir" id="x"/>`, []string{"structure Patient: There is no attribute id here"}},
	{"value of a complex element", patient(`<name value="x" id="y"/>`), []string{"structure Patient.name[0]: There is no attribute value here"}},
	{"attribute of XML", patient(`<name xml:base="x"><given value="y"/></name>`), []string{"structure Patient.name[0]: There is no attribute base here"}},
	{"odd name of a type", `<Pat-ient xmlns="http://hl7.org/fhir"/>`, []string{"value resourceType: This resourceType is not"}},
	{"odd names", patient(`<na-me/><name a-b="c" id="d"/><na-me xmlns=""/>`), []string{
		"structure Patient: This element holds one whose name", "structure Patient.name[0]: There is no attribute ... here", "structure Patient: The element ... is not in the namespace"}},
	{"foreign attribute", patient(`<name xmlns:x="urn:x" x:id="1"><given value="y"/></name>`), []string{"structure Patient.name[0]: There is no attribute id here"}},
	{"text", patient(`<active>true</active>`), []string{"structure Patient.active: There is text", "structure Patient.active: This element is empty"}},
	{"CDATA", patient(`<![CDATA[x]]><active value="true"/>`), []string{"structure Patient: There is text"}},
	{"order", patient(`<birthDate value="2000-01-01"/><gender value="male"/><active value="true"/>`), []string{
		"structure Patient.gender: gender comes before birthDate in XML", "structure Patient.active: active comes before birthDate in XML"}},
	{"order of repeats", patient(`<name><given value="a"/><prefix value="b"/><given value="c"/></name>`), []string{"structure Patient.name[0].given: given comes before prefix"}},
	{"order in an extension", patient(`<extension url="u"><valueString value="x"><extension url="v"><valueString value="y"/></extension></valueString><extension url="w"/></extension>`), []string{
		"structure Patient.extension[0].extension: extension comes before value in XML"}},
	{"twice", patient(`<gender value="male"/><gender value="female"/>`), []string{"structure Patient.gender: gender is given twice"}},
	{"twice, without a value", patient(`<active id="x"/><active value="true"/>`), []string{"structure Patient.active: active is given twice"}},
	{"twice, apart", patient(`<gender value="male"/><birthDate value="2000-01-01"/><gender value="female"/>`), []string{"structure Patient.gender: gender is given twice"}},
	{"two variants", patient(`<deceasedBoolean value="true"/><deceasedDateTime value="2000"/>`), []string{"structure Patient.deceased: deceased[x] may have one type only"}},
	{"empty", patient(`<active/><name/><address><line/><line/></address>`), []string{
		"structure Patient.active: This element is empty", "structure Patient.name[0]: This element is empty",
		"structure Patient.address[0].line[0]: This element is empty", "structure Patient.address[0].line[1]: This element is empty"}},
	{"empty value", patient(`<active value=""/><gender value=""/>`), []string{"value Patient.active: A boolean is true or false", "value Patient.gender: A value is never empty"}},
	{"boolean", patient(`<active value="1"/>`), []string{"value Patient.active: A boolean is true or false; send one of them."}},
	{"integers", patient(`<multipleBirthInteger value="1.0"/><photo><size value="+-1"/></photo>`), []string{
		"value Patient.multipleBirth: An integer has no decimal point", "value Patient.photo[0].size: An integer is digits"}},
	{"positive integer", patient(`<telecom><rank value="0"/></telecom>`), []string{"value Patient.telecom[0].rank: A positiveInt is at least 1; send 1 or more."}},
	{"decimals", patient(`<extension url="u"><valueDecimal value=".5"/></extension><extension url="u"><valueDecimal value="1 "/></extension>`), []string{
		"value Patient.extension[0].value: A decimal is digits", "value Patient.extension[1].value: A decimal is digits"}},
	{"no resource", patient(`<contained/>`), []string{"required Patient.contained[0]: There is no resource"}},
	{"two in one", patient(`<contained><Parameters/><Basic/></contained>`), []string{"structure Patient.contained[0]: There is more than one resource"}},
	{"contained of unknown type", patient(`<contained><Bassic/></contained>`), []string{"value Patient.contained[0]: This resourceType is not an R4"}},
	{"contained of another namespace", patient(`<contained><Basic xmlns="urn:x"/></contained>`), []string{"structure Patient.contained[0]: The element Basic is not in the namespace"}},
	{"contained with an attribute", patient(`<contained id="x"><Parameters/></contained>`), []string{"structure Patient.contained[0]: There is no attribute id here"}},
	{"both kinds of problem", patient(`<gender value="mal"/><active value="yes"/>`), []string{
		"code-invalid Patient.gender: This code is not in", "structure Patient.active: active comes before gender", "value Patient.active: A boolean"}},
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestXMLRefused(t *testing.T) {
	t.Parallel()
	for _, c := range xmlRefused {
		_, err := fhir.DecodeXML("", []byte(c.xml))
		o := fhir.AsOutcome(err)
		if o == nil {
			t.Errorf("%s: error is %v", c.name, err)
			continue
		}
		if len(o.Issues) != len(c.want) {
			t.Errorf("%s: %d issues, want %d: %v", c.name, len(o.Issues), len(c.want), o)
			continue
		}
		complete(t, o)
		for i, is := range o.Issues {
			if got := string(is.Code) + " " + is.Expression + ": " + is.Text; !strings.HasPrefix(got, c.want[i]) {
				t.Errorf("%s: issue is %q, want %q", c.name, got, c.want[i])
			}
		}
	}
}

func TestXMLManyProblems(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		patient(many(300, `<name><given value="x" a%d=""/></name>`)),
		patient(many(60, `<name><given value="x" a%d=""/></name>`) + many(60, `<x%d/>`)),
	} {
		_, err := fhir.DecodeXML("Patient", []byte(doc))
		o := fhir.AsOutcome(err)
		if o == nil || len(o.Issues) != 101 || o.Issues[100].Code != fhir.Processing {
			t.Errorf("%.60s...: %v", doc, err)
		}
	}
}

func TestXMLOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"Observation", patient(`<active value="yes"/>`), "invalid at Patient: This address takes a Observation; the body is a Patient. Send it to the address of its type."},
		{"Patient", `<Patent xmlns="http://hl7.org/fhir"><active value="true"/></Patent>`, "value at resourceType: This resourceType is not an R4 resource type; use one that is. Names are case-sensitive."},
	} {
		if _, err := fhir.DecodeXML(c[0], []byte(c[1])); err == nil || err.Error() != c[2] {
			t.Errorf("%s as %s: %v, want %s", c[1], c[0], err, c[2])
		}
	}
}

const htmlDiv = `<div xmlns=\"http://www.w3.org/1999/xhtml\">`

// xmlAccepted are documents and the JSON that says the same.
var xmlAccepted = [][2]string{
	{"\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n<!-- a - b -->\n" + patient("") + "\n<!---->\n", `{"resourceType":"Patient"}`},
	{`<Patient xmlns="http://hl7.org/fhir"/>`, `{"resourceType":"Patient"}`},
	{`<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="true"/></f:Patient >`, `{"resourceType":"Patient","active":true}`},
	{`<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir fhir-all.xsd"/>`, `{"resourceType":"Patient"}`},
	{patient(`<active value='true' />` + "\n<!-- x -->\n" + `<gender value = "male"></gender>`), `{"resourceType":"Patient","active":true,"gender":"male"}`},
	{patient(`<id value="p"/><name id="n"><given value="a"/><given id="g"><extension url="u"><valueBoolean value="false"/></extension></given><given value="c" id="h"/></name>`),
		`{"resourceType":"Patient","id":"p","name":[{"id":"n","given":["a",null,"c"],"_given":[null,{"id":"g","extension":[{"url":"u","valueBoolean":false}]},{"id":"h"}]}]}`},
	{patient(`<birthDate id="x"/>`), `{"resourceType":"Patient","_birthDate":{"id":"x"}}`},
	{patient(`<name><given><extension url="u"><valueCode value="x"/></extension></given></name>`), `{"resourceType":"Patient","name":[{"_given":[{"extension":[{"url":"u","valueCode":"x"}]}]}]}`},
	{patient(`<multipleBirthInteger value="+2"/>`), `{"resourceType":"Patient","multipleBirthInteger":2}`},
	{patient(`<extension url="u"><valueDecimal value="1.500"/></extension>`), `{"resourceType":"Patient","extension":[{"url":"u","valueDecimal":1.500}]}`},
	{patient("<name><text value='a\r\nb\tc&#10;d&#xE9;&amp;&lt;&quot;&apos;\"\\'/></name>"), `{"resourceType":"Patient","name":[{"text":"a b c\ndé&<\"'\"\\"}]}`},
	{patient(`<contained><Parameters><parameter><name value="r"/><resource><Basic><code><text value="x"/></code></Basic></resource></parameter></Parameters></contained><contained><Binary><contentType value="a/b"/></Binary></contained>`),
		`{"resourceType":"Patient","contained":[{"resourceType":"Parameters","parameter":[{"name":"r","resource":{"resourceType":"Basic","code":{"text":"x"}}}]},{"resourceType":"Binary","contentType":"a/b"}]}`},
	{patient(`<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" xmlns:f="http://hl7.org/fhir" class='c'>` + "<p >a&#160;&amp;\n <br/><b/>b</p ><!-- c --><![CDATA[d & <e>\n]]></div></text>"),
		`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" xmlns:f=\"http://hl7.org/fhir\" class='c'><p >a&#160;&amp;\n <br/><b/>b</p><!-- c -->d &amp; &lt;e&gt;\n</div>"}}`},
	{`<Patient xmlns="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><text><status value="generated"/><h:div class="c"><h:p xml:lang='en' xmlns:g="http://www.w3.org/1999/xhtml">x<g:br/></h:p></h:div></text></Patient>`,
		`{"resourceType":"Patient","text":{"status":"generated","div":"` + htmlDiv[:len(htmlDiv)-1] + ` class=\"c\"><p xml:lang='en'>x<br/></p></div>"}}`},
	{`<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/><div>x</div></f:text></f:Patient>`,
		`{"resourceType":"Patient","text":{"status":"generated","div":"` + htmlDiv + `x</div>"}}`},
}

func TestXMLAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range xmlAccepted {
		r, err := fhir.DecodeXML("Patient", []byte(c[0]))
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		if string(r.Source()) != c[1] {
			t.Errorf("%s\n is %s\nnot %s", c[0], r.Source(), c[1])
		}
		if back := decodeXML(t, r.AppendXML(nil)); string(back.Source()) != c[1] {
			t.Errorf("%s\n is %s\nnot %s", r.AppendXML(nil), back.Source(), c[1])
		}
	}
}

func TestAppendXML(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`{"resourceType":"Patient"}`, `<Patient xmlns="http://hl7.org/fhir"/>`},
		{`{"birthDate":"2000","active":true,"resourceType":"Patient","_birthDate":{"extension":[{"valueInteger":-1,"url":"u"}],"id":"b"}}`,
			patient(`<active value="true"/><birthDate id="b" value="2000"><extension url="u"><valueInteger value="-1"/></extension></birthDate>`)},
		{`{"resourceType":"Patient","name":[{"given":["b","a"],"family":"f"},{"text":"a\n\t\r<>&'\u00e9\uFFFF"}]}`,
			patient(`<name><family value="f"/><given value="b"/><given value="a"/></name><name><text value="a&#10;&#9;&#13;&lt;&gt;&amp;'é` + "\uFFFD" + `"/></name>`)},
		{`{"resourceType":"Patient","text":{"status":"generated","div":"` + htmlDiv + `<p title=\"&eacute;\">&nbsp;&amp;&#160;&xi;</p><!-- &nbsp; --></div>"}}`,
			patient(`<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p title="&#233;">&#160;&amp;&#160;&#958;</p><!-- &nbsp; --></div></text>`)},
	} {
		r, err := fhir.Decode("", []byte(c[0]))
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		got := strings.TrimPrefix(string(r.AppendXML([]byte("..."))), `...<?xml version="1.0" encoding="UTF-8"?>`)
		if got != c[1] {
			t.Errorf("%s\n is %s\nnot %s", c[0], got, c[1])
		}
	}
}
