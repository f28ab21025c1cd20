package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// terminologyRoutes are those of operations on codes.
// https://hl7.org/fhir/R4/terminology-service.html
func (s *Server) terminologyRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	var routes []route
	add := func(paths []string, i access.Interaction, serve func(*gin.Context) error, names []string) {
		for _, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				routes = append(routes, route{method, path, granted, i, serve, names, false, false})
			}
		}
	}
	add([]string{"/CodeSystem/$lookup"}, interaction.Lookup, s.lookup, lookupNames())
	add([]string{"/CodeSystem/$validate-code", "/CodeSystem/:id/$validate-code"}, interaction.ValidateCode, s.validateCode, validateCodeNames("CodeSystem"))
	add([]string{"/ValueSet/$validate-code", "/ValueSet/:id/$validate-code"}, interaction.ValidateCode, s.validateCode, validateCodeNames("ValueSet"))
	add([]string{"/CodeSystem/$subsumes", "/CodeSystem/:id/$subsumes"}, interaction.Subsumes, s.subsumes, subsumesNames())
	add([]string{"/ValueSet/$expand", "/ValueSet/:id/$expand"}, interaction.Expand, s.expand, expandNames())
	add([]string{"/ConceptMap/$translate", "/ConceptMap/:id/$translate"}, interaction.Translate, s.translate, translateNames())
	return routes
}

func lookupNames() []string {
	return []string{"code", "system", "version", "coding", "displayLanguage", "property"}
}

func subsumesNames() []string {
	return []string{"codeA", "codeB", "system", "version", "codingA", "codingB"}
}

func expandNames() []string {
	return []string{"url", "valueSetVersion", "valueSet", "filter", "offset", "count", "activeOnly", "includeDesignations", "designation", "displayLanguage"}
}

// validateCodeNames are the parameters of $validate-code on code systems or value sets.
func validateCodeNames(typ string) []string {
	names := []string{"url", "code", "system", "version", "display", "coding", "codeableConcept", "abstract", "displayLanguage"}
	if typ == "ValueSet" {
		return append(names, "valueSet", "valueSetVersion", "systemVersion")
	}
	return append(names, "codeSystem")
}

// storedDefinition returns the definition that the address names by its id, nil when it
// names none.
func (s *Server) storedDefinition(c *gin.Context) (*definition.Definition, error) {
	if c.Param("id") == "" {
		return nil, nil
	}
	k, err := keyParam(c)
	if err != nil {
		return nil, err
	}
	return s.session(c).StoredDefinition(c.Request.Context(), k)
}

// asked returns what answers an operation on terminology, what it is asked with, and
// the definition that the address names.
func (s *Server) asked(c *gin.Context, i access.Interaction, names []string) (*terminology.Service, *arguments, *definition.Definition, error) {
	typ, err := typeParam(c)
	if err != nil {
		return nil, nil, nil, err
	}
	terms, err := s.session(c).Terms(i, typ)
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := s.arguments(c, names...)
	if err != nil {
		return nil, nil, nil, err
	}
	d, err := s.storedDefinition(c)
	return terms, a, d, err
}

// lookup serves [base]/CodeSystem/$lookup.
// https://hl7.org/fhir/R4/codesystem-operation-lookup.html
func (s *Server) lookup(c *gin.Context) error {
	terms, a, _, err := s.asked(c, interaction.Lookup, lookupNames())
	if err != nil {
		return err
	}
	r := terminology.LookupRequest{Coding: a.one("code", "coding"), Language: a.text("displayLanguage"), Properties: a.texts["property"]}
	if r.Coding.System == "" {
		a.wrong("system", "Say of which code system the code is: system, or a coding with one.")
	}
	if err := a.err(); err != nil {
		return err
	}
	found, err := terms.Lookup(c.Request.Context(), r)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, conceptParameters(found))
	return nil
}

// one returns the one coding that is asked about.
func (a *arguments) one(code, coding string) terminology.Coding {
	all := a.codings(code, coding, "")
	if len(all) > 1 {
		a.wrong(coding, "Ask about one code.")
	}
	if len(all) == 0 {
		return terminology.Coding{}
	}
	return all[0]
}

// validateCode serves [base]/CodeSystem/$validate-code and [base]/ValueSet/$validate-code.
// https://hl7.org/fhir/R4/valueset-operation-validate-code.html
func (s *Server) validateCode(c *gin.Context) error {
	typ := c.Param("type")
	terms, a, d, err := s.asked(c, interaction.ValidateCode, validateCodeNames(typ))
	if err != nil {
		return err
	}
	r := terminology.ValidateRequest{URL: a.text("url"), Given: d, Codings: a.codings("code", "coding", "codeableConcept"), Abstract: a.flag("abstract"), Language: a.text("displayLanguage")}
	given, version, ask := "codeSystem", "version", terms.ValidateInCodeSystem
	if typ == "ValueSet" {
		given, version, ask = "valueSet", "valueSetVersion", terms.ValidateInValueSet
	}
	if v := a.text(version); v != "" && r.URL != "" {
		r.URL += "|" + v
	}
	if r.Given == nil {
		r.Given = a.resource(given, typ)
	}
	if r.Given == nil && r.URL == "" && typ == "ValueSet" {
		a.wrong("url", "Say which value set: its url, its id in the address, or the parameter valueSet.")
	}
	if err := a.err(); err != nil {
		return err
	}
	v, err := ask(c.Request.Context(), r)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, validationParameters(v))
	return nil
}

// subsumes serves [base]/CodeSystem/$subsumes.
// https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
func (s *Server) subsumes(c *gin.Context) error {
	terms, x, d, err := s.asked(c, interaction.Subsumes, subsumesNames())
	if err != nil {
		return err
	}
	a, b := x.one("codeA", "codingA"), x.one("codeB", "codingB")
	if d != nil {
		a.System, a.Version, b.System, b.Version = d.URL, d.Version, d.URL, d.Version
	}
	if a.System == "" || b.System == "" {
		x.wrong("system", "Say of which code system the codes are: system, or codings with one.")
	}
	if err := x.err(); err != nil {
		return err
	}
	relation, err := terms.Subsumes(c.Request.Context(), a, b)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, newParameters().code("outcome", relation).json())
	return nil
}

// expand serves [base]/ValueSet/$expand.
// https://hl7.org/fhir/R4/valueset-operation-expand.html
func (s *Server) expand(c *gin.Context) error {
	terms, a, d, err := s.asked(c, interaction.Expand, expandNames())
	if err != nil {
		return err
	}
	r := terminology.ExpandRequest{
		URL: a.text("url"), ValueSet: d, Filter: a.text("filter"), Count: a.number("count"),
		ActiveOnly: a.isSet("activeOnly"), IncludeDesignations: a.isSet("includeDesignations"), Designations: a.texts["designation"], DisplayLanguage: a.text("displayLanguage"),
	}
	if n := a.number("offset"); n != nil {
		r.Offset = *n
	}
	if v := a.text("valueSetVersion"); v != "" && r.URL != "" {
		r.URL += "|" + v
	}
	if r.ValueSet == nil {
		r.ValueSet = a.resource("valueSet", "ValueSet")
	}
	if r.ValueSet == nil && r.URL == "" {
		a.wrong("url", "Say which value set: its url, its id in the address, or the parameter valueSet.")
	}
	if err := a.err(); err != nil {
		return err
	}
	e, err := terms.Expand(c.Request.Context(), r)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, e.Append(nil))
	return nil
}
