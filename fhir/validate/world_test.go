package validate

import (
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// validator returns one that knows what comes with the server.
func validator() *Validator {
	c := definition.NewCatalog(nil)
	return New(Config{Definitions: c, Terms: terminology.New(terminology.Config{Definitions: c})})
}
