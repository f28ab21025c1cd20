package validate

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// known looks n, a Coding, up in its code system, as a warning. What is not known here
// is no reason for one.
func (c *checker) known(n fhir.Node) {
	k := coding(n)
	if !c.Warnings || c.config.Terms == nil || k.System == "" || k.Code == "" || !c.isLookedUp(k.System) {
		return
	}
	display := k.Display
	k.Display = ""
	v := c.validate(k)
	switch {
	case v == nil:
		return
	case !v.Result:
		c.advise(n.Child("code"), "unknown-code", v.Message)
		return
	case display == "":
		return
	}
	k.Display = display
	if v := c.validate(k); v != nil && !v.Result {
		c.advise(n.Child("display"), "display-mismatch", v.Message)
	}
}

// mostSystems is how many code systems are asked about one resource.
const mostSystems = 500

// isLookedUp reports whether codes of a system are looked up: not of each one, if there
// is no end to them.
func (c *checker) isLookedUp(system string) bool {
	if c.systems == nil {
		c.systems = map[string]bool{}
	}
	if len(c.systems) < mostSystems {
		c.systems[system] = true
	}
	return c.systems[system]
}

// validate returns what the code system says of k, nil when it is not known.
func (c *checker) validate(k terminology.Coding) *terminology.Validation {
	v, err := c.config.Terms.ValidateInCodeSystem(c.ctx, terminology.ValidateRequest{Codings: []terminology.Coding{k}})
	if err != nil {
		if fhir.AsOutcome(err) == nil && c.fault == nil {
			c.fault = err
		}
		return nil
	}
	return v
}

func (c *checker) advise(n fhir.Node, detail, text string) {
	is := fhir.At(n)
	is.Severity, is.Code, is.Detail, is.Text = fhir.Warning, fhir.CodeInvalid, detail, text
	c.add(is)
}
