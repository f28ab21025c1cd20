package api

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// everyType is what stands in place of a type for all of a compartment.
const everyType = "*"

// searchedType returns the resource type that the address searches or writes;
// empty for all of the system or of a compartment.
func searchedType(c *gin.Context) string {
	inner, within := c.Params.Get("inner")
	switch {
	case !within:
		return c.Param("type")
	case inner == everyType:
		return ""
	}
	return inner
}

// searched returns the request for what the address names: a type, a type within
// a compartment, all of a compartment, or the whole system.
// https://hl7.org/fhir/R4/http.html#vsearch
func searched(c *gin.Context) (search.Request, error) {
	typ, typed := c.Params.Get("type")
	inner, within := c.Params.Get("inner")
	switch {
	case !typed:
		return search.Request{}, nil
	case typ == "", within && inner == "":
		return search.Request{}, nothingHere()
	case within:
		return searchedWithin(c)
	}
	typ, err := typeParam(c)
	return search.Request{Types: []string{typ}}, err
}

func searchedWithin(c *gin.Context) (search.Request, error) {
	k, err := keyParam(c)
	if err != nil {
		return search.Request{}, err
	}
	inside := members(k.Type)
	if len(inside) == 0 {
		return search.Request{}, fhir.Errorf(fhir.Unknown, fhir.NotSupported, "", "There is nothing at this address: a %s has no compartment. %s/metadata says what there is.", k.Type, base)
	}
	typ := searchedType(c)
	switch {
	case typ == "":
		return search.Request{Within: &k}, nil
	case slices.Contains(inside, typ):
		return search.Request{Types: []string{typ}, Within: &k}, nil
	}
	if _, err := resourceType(typ); err != nil {
		return search.Request{}, err
	}
	return search.Request{}, fhir.Errorf(fhir.Unknown, fhir.NotSupported, "", "No %s is ever in the compartment of a %s; in it there are: %s.", typ, k.Type, strings.Join(inside, ", "))
}

// members returns the resource types of which some may be in a compartment, by
// name; none if there is no such compartment. A resource is in its own.
func members(compartment string) []string {
	var list []string
	for _, t := range spec.R4().Resources() {
		if t.Name == compartment || search.CompartmentParams(compartment, t.Name) != nil {
			list = append(list, t.Name)
		}
	}
	if len(list) == 1 {
		return nil
	}
	return list
}
