package search

import (
	"fmt"
	"strings"
	"time"
)

// meaning writes a condition so that a test can say what it must be.
func meaning(c Condition) string {
	switch c := c.(type) {
	case And:
		return describeAll(c, " and ")
	case Or:
		return describeAll(c, " or ")
	case Not:
		return "not " + meaning(c.Condition)
	case *Test:
		return describeTest(c)
	case *Chain:
		return fmt.Sprintf("%s:%s.%s", c.Param.Code, c.Target, meaning(c.Where))
	case *Has:
		return fmt.Sprintf("has %s:%s:%s", c.Source, c.Param.Code, meaning(c.Where))
	case Listed:
		return "in List/" + c.ID
	case IDs:
		return "id " + strings.Join(c, ",")
	case Updated:
		return "updated " + describeValues(c.Values, DateType)
	case *Words:
		return fmt.Sprintf("words %t %v", c.Narrative, c.Alternatives)
	}
	return fmt.Sprintf("%T", c)
}

func describeAll(all []Condition, word string) string {
	parts := make([]string, len(all))
	for i, c := range all {
		parts[i] = meaning(c)
	}
	return "(" + strings.Join(parts, word) + ")"
}

func describeTest(t *Test) string {
	if t.Modifier == Missing {
		return fmt.Sprintf("%s missing %t", t.Param.Code, t.Missing)
	}
	name := [...]string{"", "", " exact", " contains", " text", " of type", " identifier", " above", " below", " whole", " ends", " differs"}[t.Modifier]
	return t.Param.Code + name + " " + describeValues(t.Values, t.Param.Type)
}

func describeValues(values []Asked, typ Type) string {
	parts := make([]string, len(values))
	for i, a := range values {
		parts[i] = describeAsked(a, typ)
	}
	return strings.Join(parts, ", ")
}

func describeAsked(a Asked, typ Type) string {
	switch a := a.(type) {
	case AskedToken:
		return describeToken(a)
	case AskedString:
		return fmt.Sprintf("%q", a.Text)
	case AskedReference:
		return describeReference(a)
	case AskedRange:
		return describeRange(a, typ)
	case AskedQuantity:
		s := fmt.Sprintf("%s %g %g %s|%s", a.Prefix, a.Lo, a.Hi, a.System, a.Code)
		if a.Base != "" {
			s += fmt.Sprintf(" = %.10g %.10g %s", a.Canonical.Lo, a.Canonical.Hi, a.Base)
		}
		return s
	case AskedURI:
		return a.Text + version(a.Version)
	case AskedComposite:
		parts := make([]string, len(a))
		for i, part := range a {
			parts[i] = describeAsked(part, NumberType)
		}
		return strings.Join(parts, "$")
	}
	return fmt.Sprintf("%T", a)
}

func describeToken(a AskedToken) string {
	switch {
	case a.Text != "":
		return fmt.Sprintf("%q", a.Text)
	case a.Kind != nil:
		return describeToken(*a.Kind) + ":" + a.Code
	case a.AnySystem:
		return "*|" + a.Code
	case a.AnyCode:
		return a.System + "|*"
	}
	return a.System + "|" + a.Code
}

func describeReference(a AskedReference) string {
	if a.Token != nil {
		return describeToken(*a.Token)
	}
	var names []string
	for _, k := range a.Keys {
		names = append(names, k.String())
	}
	if a.URL != "" {
		names = append(names, "<"+a.URL+">"+version(a.Version))
	}
	return strings.Join(names, "/or/")
}

func version(v string) string {
	if v == "" {
		return ""
	}
	return "|" + v
}

func describeRange(a AskedRange, typ Type) string {
	if typ == DateType {
		return fmt.Sprintf("%s %s %s", a.Prefix, moment(a.Lo), moment(a.Hi))
	}
	return fmt.Sprintf("%s %.12g %.12g", a.Prefix, a.Lo, a.Hi)
}

func moment(micros float64) string {
	t := time.UnixMicro(int64(micros)).UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02T15:04:05.999999")
}
