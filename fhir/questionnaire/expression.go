package questionnaire

import (
	"regexp"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// An expression is a FHIRPath of a form. Its focus is the item of the response that
// answers the item which it stands in, %resource the response, %qitem the item of the
// form. https://hl7.org/fhir/uv/sdc/STU3/expressions.html
type expression struct {
	node   fhir.Node // in the form
	path   *fhirpath.Expression
	owner  *item
	whole  bool     // written for the response as its focus
	needs  []*named // variables that it mentions
	asks   []*item  // that it asks about by linkId itself
	usable bool     // all that it needs is known when a response is checked
	state  uint8    // of its depth
	depth  int      // the level of the calculated values that it asks about
}

// A named is a variable.
type named struct {
	*expression
	name  string
	owner *item
	state uint8 // of its resolution
}

// The states of what depends on others.
const (
	untouched uint8 = iota
	underWay
	settled
)

// expressions reads the expressions of an item, or of the form as a whole.
func (c *compiler) expressions(it *item) {
	for n := range it.node.Each("extension") {
		v := n.Child("value")
		switch n.Child("url").Text() {
		case variableURL:
			c.variable(it, v)
		case sdcURL + "enableWhenExpression":
			it.enable = c.expression(it, v)
		case sdcURL + "calculatedExpression", coreURL + "questionnaire-calculatedExpression":
			c.calculation(it, n)
		case coreURL + "questionnaire-constraint", coreURL + "targetConstraint":
			c.constraint(it, n)
		}
	}
}

func (c *compiler) variable(it *item, v fhir.Node) {
	x := c.expression(it, v)
	if x == nil || v.Type().Name != "Expression" || v.Child("name").Text() == "" {
		return
	}
	n := &named{expression: x, name: v.Child("name").Text(), owner: it}
	if it.variables[n.name] != nil {
		c.report(v, fhir.Error, "variable-repeated", "Another variable of the same item has this name; give each its own.")
		return
	}
	if it.variables == nil {
		it.variables = map[string]*named{}
	}
	it.variables[n.name] = n
	c.named = append(c.named, n)
}

func (c *compiler) calculation(it *item, n fhir.Node) {
	if it.kind == "question" || !it.isQuestion() || it.order == 0 {
		c.report(n, fhir.Warning, "expression-place", "Only questions have calculated values.")
		return
	}
	it.calculated = c.expression(it, n.Child("value"))
}

func (c *compiler) constraint(it *item, n fhir.Node) {
	k := constraint{}
	for part := range n.Each("extension") {
		v := part.Child("value")
		switch part.Child("url").Text() {
		case "key":
			k.key = v.Text()
		case "human":
			k.human = v.Text()
		case "severity":
			k.warning = v.Text() == "warning"
		case "expression":
			k.test = c.expression(it, v)
		}
	}
	if k.test == nil {
		return
	}
	if k.key == "" {
		k.key = "constraint"
	}
	if k.human == "" {
		k.human = "The constraint " + k.key + " does not hold"
	}
	it.constraints = append(it.constraints, k)
}

// expression compiles a string or Expression; it is nil when that cannot be, which is
// reported.
func (c *compiler) expression(it *item, v fhir.Node) *expression {
	if v.IsZero() {
		return nil
	}
	source := v.Text()
	if v.Type().Name == "Expression" {
		source = v.Child("expression").Text()
		if language := v.Child("language").Text(); language != pathLanguage {
			c.report(v, fhir.Information, "not-enforced", "Expressions in %s are not evaluated when a response is checked.", short(language))
			return &expression{node: v, owner: it}
		}
	}
	if source == "" {
		c.report(v, fhir.Information, "not-enforced", "Expressions that are kept elsewhere are not evaluated.")
		return &expression{node: v, owner: it}
	}
	path, err := fhirpath.Compile(source)
	if err != nil {
		c.report(v, fhir.Error, "expression-invalid", "The expression is no FHIRPath: %v", err)
		return nil
	}
	return &expression{node: v, path: path, owner: it, usable: true, asks: c.asked(source),
		whole: strings.HasPrefix(strings.TrimSpace(source), "QuestionnaireResponse")}
}

// asked returns the items whose linkId a FHIRPath compares with.
func (c *compiler) asked(source string) []*item {
	var found []*item
	for _, m := range linkIDs.FindAllStringSubmatch(source, -1) {
		for _, literal := range literals.FindAllStringSubmatch(m[1], -1) {
			if it := c.form.items[strings.ReplaceAll(literal[1], `\'`, `'`)]; it != nil {
				found = append(found, it)
			}
		}
	}
	return found
}

// linkIDs finds what a FHIRPath compares linkId with, literals the strings in it.
var (
	linkIDs  = regexp.MustCompile(`linkId\s*(?:=|~|in\b)\s*(\((?:[^()']|'(?:[^'\\]|\\.)*')*\)|'(?:[^'\\]|\\.)*')`)
	literals = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'`)
)

// resolve finds the variables that expressions need.
func (c *compiler) resolve() {
	for _, n := range c.named {
		c.settle(n)
	}
	for _, it := range append([]*item{c.form.root}, c.order...) {
		c.link(it.enable, nil)
		c.link(it.calculated, nil)
		for _, k := range it.constraints {
			c.link(k.test, nil)
		}
	}
}

// settle finds what a variable needs.
func (c *compiler) settle(n *named) {
	if n.state == underWay {
		c.report(n.node, fhir.Error, "variable-circle", "The variable %q needs itself.", n.name)
		return
	}
	if n.state == untouched {
		n.state = underWay
		c.link(n.expression, n)
		n.state = settled
	}
}

// link finds the variables that an expression needs; self is the one that it is.
func (c *compiler) link(x *expression, self *named) {
	if x == nil || x.path == nil {
		return
	}
	known := map[*named]bool{}
	for _, m := range mentioned.FindAllStringSubmatch(x.path.String(), -1) {
		name := m[1] + m[2] + m[3]
		n := variableIn(x.owner, name, self)
		switch {
		case n != nil:
			c.settle(n)
			if !known[n] {
				known[n] = true
				x.needs = append(x.needs, n)
			}
			x.usable = x.usable && n.usable
		case !isPredefined(name):
			x.usable = false
		}
	}
	if !x.usable {
		c.report(x.node, fhir.Information, "not-enforced", "The expression needs what is not known when a response is checked, so it is not evaluated then.")
	}
}

// variableIn returns the innermost variable that can be used in an item, other than self
// and what self hides.
func variableIn(it *item, name string, self *named) *named {
	for ; it != nil; it = it.parent {
		if n := it.variables[name]; n != nil && n != self {
			return n
		}
	}
	return nil
}

// isPredefined reports whether every evaluation knows a %name.
func isPredefined(name string) bool {
	switch name {
	case "resource", "rootResource", "context", "questionnaire", "qitem", "sct", "loinc", "ucum":
		return true
	}
	return strings.HasPrefix(name, "vs-") || strings.HasPrefix(name, "ext-")
}

// maxLevels is how many calculated values may depend on one another in a row. A response
// is read again after each level that has filled something in.
const maxLevels = 16

// rank puts calculated values in the order in which they can be found out.
func (c *compiler) rank() {
	state := make([]uint8, len(c.order)+1)
	for _, it := range c.order {
		c.level(it, state)
	}
	for _, it := range c.order {
		if it.calculated == nil || !it.calculated.usable {
			continue
		}
		if it.level > maxLevels {
			c.report(it.node, fhir.Warning, "calculated-too-deep", "More than %d calculated values depend on one another; this one is not found out.", maxLevels)
			continue
		}
		for len(c.form.levels) < it.level {
			c.form.levels = append(c.form.levels, nil)
		}
		c.form.levels[it.level-1] = append(c.form.levels[it.level-1], it)
	}
}

// level finds the level of a calculated value: one above those that it needs.
func (c *compiler) level(it *item, state []uint8) int {
	if it.calculated == nil || state[it.order] == settled {
		return it.level
	}
	if state[it.order] == underWay {
		c.report(it.node, fhir.Error, "calculated-circle", "The calculated value needs itself, perhaps by way of others.")
		return 0
	}
	state[it.order] = underWay
	deepest := c.depth(it.calculated, state)
	for up := it; up != nil; up = up.parent {
		deepest = max(deepest, c.depth(up.enable, state))
		for _, cond := range up.conditions {
			deepest = max(deepest, c.level(cond.question, state))
		}
	}
	it.level = deepest + 1
	state[it.order] = settled
	return it.level
}

// depth finds the level of the calculated values that an expression needs.
func (c *compiler) depth(x *expression, state []uint8) int {
	if x == nil || x.state != untouched {
		return depthOf(x)
	}
	x.state = underWay
	for _, it := range x.asks {
		x.depth = max(x.depth, c.level(it, state))
	}
	for _, n := range x.needs {
		x.depth = max(x.depth, c.depth(n.expression, state))
	}
	x.state = settled
	return x.depth
}

func depthOf(x *expression) int {
	if x == nil {
		return 0
	}
	return x.depth
}
