package fhirpath

// special finishes a call whose arguments mean more than values.
func special(c *call) (expr, error) {
	switch c.name {
	case "matches", "matchesFull", "replaceMatches":
		l, ok := c.args[0].(literal)
		if !ok {
			return c, nil
		}
		source, ok := l.item.value.(string)
		if !ok {
			return c, nil
		}
		p, err := compilePattern(source, c.name == "matchesFull")
		c.compiled = p
		return c, at(err, c.at)
	}
	return c, nil
}
