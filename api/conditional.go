package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// noneExist is the header of a conditional create.
const noneExist = "If-None-Exist"

// noneExistOf returns the criteria of a create, if it is a conditional one.
// https://hl7.org/fhir/R4/http.html#ccreate
func noneExistOf(h http.Header) (criteria string, conditional bool, err error) {
	values := h.Values(noneExist)
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1 || values[0] == "":
		return "", false, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "If-None-Exist takes the criteria of one search, as they stand after the question mark of an address: identifier=system|value.")
	}
	return values[0], true, nil
}

// conditionOf returns the write of a resource that the query of the address finds.
// It also makes sure that the answer can be given.
func conditionOf(c *gin.Context) (interaction.Entry, error) {
	e := interaction.Entry{Method: c.Request.Method, Conditional: true}
	var err error
	if e.Key.Type, err = typeParam(c); err != nil {
		return e, err
	}
	if e.Criteria, err = criteria(c); err != nil {
		return e, err
	}
	if _, err := negotiate(c.Request); err != nil {
		return e, err
	}
	e.Expect, err = demanded(c.Request)
	return e, err
}
