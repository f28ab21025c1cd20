package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// meta serves GET [base]/[type]/[id]/$meta.
// https://hl7.org/fhir/R4/resource-operation-meta.html
func (s *Server) meta(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	v, err := s.session(c).Meta(c.Request.Context(), k)
	if v != nil {
		versionHeaders(c, v)
	}
	if err != nil {
		return err
	}
	return s.tellMeta(c, v)
}

// metaAdd serves POST [base]/[type]/[id]/$meta-add.
// https://hl7.org/fhir/R4/resource-operation-meta-add.html
func (s *Server) metaAdd(c *gin.Context) error {
	k, expect, meta, err := s.metaOf(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).MetaAdd(c.Request.Context(), k, meta, expect)
	return s.metaDone(c, done, err)
}

// metaDelete serves POST [base]/[type]/[id]/$meta-delete.
// https://hl7.org/fhir/R4/resource-operation-meta-delete.html
func (s *Server) metaDelete(c *gin.Context) error {
	k, expect, meta, err := s.metaOf(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).MetaDelete(c.Request.Context(), k, meta, expect)
	return s.metaDone(c, done, err)
}

// metaOf reads what a request wants to change of which meta.
func (s *Server) metaOf(c *gin.Context) (k fhir.Key, expect store.Expect, meta fhir.Node, err error) {
	e, err := target(c)
	if k, expect = e.Key, e.Expect; err != nil {
		return k, expect, meta, err
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return k, expect, meta, err
	}
	for p := range r.Root().Each("parameter") {
		value := p.Child("value")
		if p.Child("name").Text() != "meta" || !meta.IsZero() || value.IsZero() || value.Type().Name != "Meta" {
			return k, expect, meta, wantsMeta(p.Path())
		}
		meta = value
	}
	if meta.IsZero() {
		err = wantsMeta("Parameters.parameter")
	}
	return k, expect, meta, err
}

func wantsMeta(expression string) error {
	return fhir.Errorf(fhir.BadRequest, fhir.Invalid, expression, "Send one parameter named meta, with a valueMeta.")
}

func (s *Server) metaDone(c *gin.Context, done interaction.Result, err error) error {
	if done.Number > 0 {
		versionHeaders(c, &done.Version)
	}
	if err != nil {
		return err
	}
	return s.tellMeta(c, &done.Version)
}

// tellMeta answers with the meta of v, as the parameter return.
func (s *Server) tellMeta(c *gin.Context, v *store.Version) error {
	r, err := fhir.Decode(v.Key.Type, v.Resource())
	if err != nil {
		return err
	}
	body := append([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`), r.Root().Child("meta").Raw()...)
	s.render(c, http.StatusOK, append(body, `}]}`...))
	return nil
}
