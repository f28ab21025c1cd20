package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// shownLimit is how much JSON a page shows, in bytes.
const shownLimit = 1 << 20

//go:embed templates/*.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "templates/*.html"))

// A Page shows one answer of the API to a person. The zero Page is an empty one.
type Page struct {
	// Title is the path of the request below Base: "Patient/1",
	// "Patient/1/_history". The page is named by it and leads to what is near it.
	// Empty is Base itself, or an address that is not below it.
	Title string

	// Query is the raw query of the request. The links to the other formats keep
	// it. Empty means none.
	Query string

	// Status is the HTTP status of the answer. Zero shows none.
	Status int

	// Base is the public http or https address of the API without a last slash.
	// The page links to addresses below it and to no others; without it there are
	// no links.
	Base string

	// Front is where the page is that says what the server is: [FrontPath], or empty
	// for none.
	Front string

	// JSON is the resource, indented for people. It may say anything: nothing in
	// it runs, loads or leads out of Base.
	JSON []byte
}

// A view is what the template shows.
type view struct {
	Style      template.CSS
	Heading    string
	Front      string
	Status     string
	Failed     bool
	Navigation []link
	Formats    []link
	Issues     []issue
	Listing    *listing
	Narrative  template.HTML
	Unreadable bool // there is a narrative that cannot be shown
	JSON       template.HTML
	Cut        bool // JSON is not all of it
}

// HTML returns the page in UTF-8. It must be sent with [Headers].
func (p Page) HTML() []byte {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "page.html", p.view()); err != nil {
		panic("web: the template of the page does not fit its view: " + err.Error())
	}
	return b.Bytes()
}

func (p Page) view() *view {
	b := base(p.Base)
	v := &view{
		Style:      template.CSS(style),
		Heading:    p.heading(),
		Front:      p.Front,
		Failed:     p.Status >= http.StatusBadRequest,
		Navigation: navigation(p.Title, b),
		Formats:    p.formats(b),
	}
	if p.Status != 0 {
		v.Status = strings.TrimSpace(fmt.Sprintf("%d %s", p.Status, http.StatusText(p.Status)))
	}
	v.read(p.JSON, b)
	text, cut := shortened(p.JSON)
	v.JSON, v.Cut = highlight(text, b), cut
	return v
}

// heading returns what stands over the page.
func (p Page) heading() string {
	switch {
	case p.Title != "":
		return strings.ToValidUTF8(p.Title, "\uFFFD")
	case p.Status == http.StatusNotFound:
		return "There is nothing here"
	}
	return "FHIR API"
}

// read takes out of the resource what the page shows apart. Of what is no
// resource it takes nothing.
func (v *view) read(content []byte, b base) {
	var r resource
	if json.Unmarshal(content, &r) != nil {
		return
	}
	switch r.ResourceType {
	case "OperationOutcome":
		v.Issues = readOutcome(content)
	case "Bundle":
		v.Listing = readBundle(content, b)
	}
	// A generated narrative of an outcome says what the list of issues says.
	if r.Text.Div == "" || len(v.Issues) > 0 && r.Text.Status == "generated" {
		return
	}
	clean, err := narrative(r.Text.Div, b)
	v.Narrative, v.Unreadable = clean, err != nil
}

// shortened returns JSON as text that is not too long to show, up to the end of
// a line if there is one, and whether something is left out.
func shortened(content []byte) (text string, cut bool) {
	if len(content) > shownLimit {
		content, cut = content[:shownLimit], true
		if end := bytes.LastIndexByte(content, '\n'); end > 0 {
			content = content[:end]
		}
	}
	return strings.ToValidUTF8(string(content), "\uFFFD"), cut
}

// navigation returns the links to what is near the page at path.
func navigation(path string, b base) []link {
	var list []link
	add := func(text, to string) {
		if href := b.below(to); href != "" {
			list = append(list, link{Text: text, Href: href, Current: to == path})
		}
	}
	add("Metadata", "metadata")
	add("System history", "_history")
	typ, rest, _ := strings.Cut(path, "/")
	if spec.R4().Resource(typ) == nil {
		return list
	}
	add("All "+typ+" history", typ+"/_history")
	if id, _, _ := strings.Cut(rest, "/"); fhir.ValidID(id) {
		add(typ+"/"+id, typ+"/"+id)
		add("History of "+typ+"/"+id, typ+"/"+id+"/_history")
	}
	return list
}

// formats returns the links to the same address in the other formats.
func (p Page) formats(b base) []link {
	query, err := url.ParseQuery(p.Query)
	if err != nil {
		query = url.Values{}
	}
	var list []link
	for _, format := range []string{"json", "xml"} {
		query.Set("_format", format)
		if href := b.below(p.Title + "?" + query.Encode()); href != "" {
			list = append(list, link{Text: "as " + strings.ToUpper(format), Href: href})
		}
	}
	return list
}
