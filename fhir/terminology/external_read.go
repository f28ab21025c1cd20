package terminology

import (
	"encoding/json"
	"strings"
)

// A parameter is one of a Parameters resource, as far as it is read.
type parameter struct {
	Name         string         `json:"name"`
	ValueBoolean *bool          `json:"valueBoolean"`
	ValueString  string         `json:"valueString"`
	ValueCode    string         `json:"valueCode"`
	ValueURI     string         `json:"valueUri"`
	ValueCoding  *remoteCoding  `json:"valueCoding"`
	Resource     *remoteOutcome `json:"resource"`
	Part         []parameter    `json:"part"`
}

type remoteCoding struct {
	System  string `json:"system"`
	Version string `json:"version"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

type remoteOutcome struct {
	ResourceType string `json:"resourceType"`
	Issue        []struct {
		Code string `json:"code"`
	} `json:"issue"`
}

// text returns a value that is a text of some type.
func (p *parameter) text() string {
	for _, v := range []string{p.ValueString, p.ValueCode, p.ValueURI} {
		if v != "" {
			return v
		}
	}
	return ""
}

// parametersOf reads a Parameters resource.
func parametersOf(body []byte) ([]parameter, bool) {
	var r struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}
	if err := json.Unmarshal(body, &r); err != nil || r.ResourceType != "Parameters" {
		return nil, false
	}
	return r.Parameter, true
}

// isOutcome reports whether body is an OperationOutcome.
func isOutcome(body []byte) bool {
	var r remoteOutcome
	return json.Unmarshal(body, &r) == nil && r.ResourceType == "OperationOutcome"
}

// A validated is an answer to $validate-code.
type validated struct {
	result  Result
	display string
	version string
}

// readValidated reads one. A server that does not know the code system says "no", and
// why: that is no answer.
func readValidated(body []byte) (any, bool) {
	all, ok := parametersOf(body)
	if !ok {
		return nil, false
	}
	var v validated
	var result *bool
	unknown := false
	for i := range all {
		switch p := &all[i]; p.Name {
		case "result":
			result = p.ValueBoolean
		case "display":
			v.display = p.ValueString
		case "version":
			v.version = p.text()
		case "x-caused-by-unknown-system", "x-unknown-system":
			unknown = true
		case "issues":
			unknown = unknown || p.Resource.names("not-found", "not-supported")
		}
	}
	switch {
	case result == nil:
		return nil, false
	case *result:
		v.result = In
	case !unknown:
		v.result = Out
	}
	return v, true
}

// names reports whether an issue has one of codes.
func (o *remoteOutcome) names(codes ...string) bool {
	if o == nil {
		return false
	}
	for _, is := range o.Issue {
		for _, c := range codes {
			if is.Code == c {
				return true
			}
		}
	}
	return false
}

// readConcept reads an answer to $lookup, of a concept without its code.
func readConcept(body []byte) (any, bool) {
	all, ok := parametersOf(body)
	if !ok {
		return nil, false
	}
	c := &concept{}
	for i := range all {
		switch p := &all[i]; p.Name {
		case "display":
			c.display = p.ValueString
		case "definition":
			c.definition = p.ValueString
		case "designation":
			c.designations = append(c.designations, p.designation())
		case "property":
			c.addProperty(p)
		}
	}
	return c, c.display != ""
}

func (p *parameter) designation() (d designation) {
	for i := range p.Part {
		switch part := &p.Part[i]; part.Name {
		case "language":
			d.language = part.text()
		case "value":
			d.value = part.text()
		case "use":
			if u := part.ValueCoding; u != nil {
				d.use = Coding{System: u.System, Version: u.Version, Code: u.Code, Display: u.Display}
			}
		}
	}
	return d
}

// addProperty takes over a property whose value is a text, a code or a boolean.
func (c *concept) addProperty(p *parameter) {
	x := property{kind: "string"}
	for i := range p.Part {
		part := &p.Part[i]
		switch {
		case part.Name == "code":
			x.code = part.text()
		case part.Name != "value":
		case part.ValueBoolean != nil:
			x.kind, x.value = "boolean", truth(*part.ValueBoolean)
		case part.ValueCoding != nil:
			x.kind, x.value = "Coding", part.ValueCoding.System+"|"+part.ValueCoding.Code
		case part.ValueCode != "":
			x.kind, x.value = "code", part.ValueCode
		default:
			x.value = part.text()
		}
	}
	if x.code == "" || x.value == "" {
		return
	}
	c.properties = append(c.properties, x)
	switch {
	case x.code == "parent" && x.kind == "code":
		c.parents = append(c.parents, x.value)
	default:
		c.state(x.code, x.value)
	}
}

// readSubsumed reads an answer to $subsumes: its outcome.
func readSubsumed(body []byte) (any, bool) {
	all, ok := parametersOf(body)
	if !ok {
		return nil, false
	}
	for i := range all {
		if all[i].Name != "outcome" {
			continue
		}
		switch outcome := all[i].text(); outcome {
		case "equivalent", "subsumes", "subsumed-by", "not-subsumed":
			return outcome, true
		}
	}
	return nil, false
}

// An expanded is an answer to $expand.
type expanded struct {
	codings []Coding
	total   int // -1 if it is not said
}

type remoteContains struct {
	remoteCoding
	Abstract bool             `json:"abstract"`
	Contains []remoteContains `json:"contains"`
}

// readExpanded reads one, however its codes are nested.
func readExpanded(body []byte) (any, bool) {
	var r struct {
		ResourceType string `json:"resourceType"`
		Expansion    *struct {
			Total    *int             `json:"total"`
			Contains []remoteContains `json:"contains"`
		} `json:"expansion"`
	}
	if err := json.Unmarshal(body, &r); err != nil || r.ResourceType != "ValueSet" || r.Expansion == nil {
		return nil, false
	}
	e := expanded{total: -1}
	if r.Expansion.Total != nil {
		e.total = *r.Expansion.Total
	}
	e.gather(r.Expansion.Contains)
	return e, true
}

func (e *expanded) gather(all []remoteContains) {
	for _, c := range all {
		if c.Code != "" && !c.Abstract {
			e.codings = append(e.codings, Coding{System: c.System, Version: c.Version, Code: c.Code, Display: c.Display})
		}
		e.gather(c.Contains)
	}
}

// isAskable reports whether a URL means something outside of here.
func isAskable(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "urn:")
}
