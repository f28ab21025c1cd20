package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/terminology"
)

func translateNames() []string {
	return []string{"url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target", "targetsystem", "dependency", "reverse"}
}

// translate serves [base]/ConceptMap/$translate.
// https://hl7.org/fhir/R4/conceptmap-operation-translate.html
func (s *Server) translate(c *gin.Context) error {
	terms, a, d, err := s.asked(c, interaction.Translate, translateNames())
	if err != nil {
		return err
	}
	t := terminology.Translation{
		URL: a.text("url"), Map: d, Source: a.text("source"), Target: a.text("target"), TargetSystem: a.text("targetsystem"),
		Codings: a.codings("code", "coding", "codeableConcept"), Reverse: a.isSet("reverse"),
	}
	if v := a.text("conceptMapVersion"); v != "" && t.URL != "" {
		t.URL += "|" + v
	}
	if t.Map == nil {
		t.Map = a.resource("conceptMap", "ConceptMap")
	}
	t.Dependencies = a.dependencies
	if err := a.err(); err != nil {
		return err
	}
	t.Maps = func(ctx context.Context) ([]*definition.Definition, error) {
		return s.session(c).MapsFor(ctx, mapCriteria(t))
	}
	found, err := terms.Translate(c.Request.Context(), t)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, translationParameters(found))
	return nil
}

// mapCriteria are what finds the concept maps for a translation.
func mapCriteria(t terminology.Translation) string {
	q := url.Values{"_count": {"1000"}}
	source, target, system := "source-uri", "target-uri", "target-system"
	if t.Reverse {
		source, target, system = "target-uri", "source-uri", "source-system"
	}
	for name, value := range map[string]string{source: t.Source, target: t.Target, system: t.TargetSystem} {
		if value != "" {
			q.Set(name, search.Escape(value))
		}
	}
	return q.Encode()
}

// translationParameters are the answer of $translate.
func translationParameters(t terminology.Translated) []byte {
	a := newParameters().truth("result", t.Result).text("message", t.Message)
	for _, m := range t.Matches {
		a = a.parts("match", func(a parameterList) parameterList {
			a = a.code("equivalence", m.Equivalence)
			if m.Coding.Code != "" {
				a = a.coding("concept", m.Coding)
			}
			for _, p := range m.Products {
				a = a.parts("product", func(a parameterList) parameterList { return a.uri("element", p.Element).coding("concept", p.Coding) })
			}
			return a.uri("source", m.Source).text("comment", m.Comment)
		})
	}
	return a.json()
}

// dependencyOf reads what a translation depends on.
func dependencyOf(p fhir.Node) (d terminology.Dependency) {
	for part := range p.Each("part") {
		switch value := part.Child("value"); part.Child("name").Text() {
		case "element":
			d.Element = value.Text()
		case "concept":
			d.Coding = codingOf(value.Child("coding"))
			if value.Type().Name == "Coding" {
				d.Coding = codingOf(value)
			}
		}
	}
	return d
}
