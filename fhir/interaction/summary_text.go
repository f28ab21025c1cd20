package interaction

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// each returns what of says of each child with a name, in a list.
func each(n fhir.Node, name string, of func(fhir.Node) string) string {
	var all []string
	for child := range n.Each(name) {
		if text := of(child); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

// conceptText returns a CodeableConcept or a CodeableReference for people.
func conceptText(n fhir.Node) string {
	if text := n.Child("text").Text(); text != "" {
		return text
	}
	code := ""
	for c := range n.Each("coding") {
		if display := c.Child("display").Text(); display != "" {
			return display
		}
		if code == "" {
			code = c.Child("code").Text()
		}
	}
	return code
}

// valueText returns a value of some type for people.
func valueText(n fhir.Node) string {
	if n.IsZero() {
		return ""
	}
	switch n.Type().Name {
	case "CodeableConcept":
		return conceptText(n)
	case "Quantity", "Age", "Duration", "SimpleQuantity":
		return quantityText(n)
	case "Period":
		return joined(" – ", n.Child("start").Text(), n.Child("end").Text())
	case "Range":
		return joined(" – ", quantityText(n.Child("low")), quantityText(n.Child("high")))
	case "Ratio":
		return joined(" / ", quantityText(n.Child("numerator")), quantityText(n.Child("denominator")))
	}
	return n.Text()
}

func quantityText(n fhir.Node) string {
	unit := n.Child("unit").Text()
	if unit == "" {
		unit = n.Child("code").Text()
	}
	return joined(" ", n.Child("comparator").Text()+n.Child("value").Text(), unit)
}

// joined joins those of parts that are not empty.
func joined(separator string, parts ...string) string {
	var all []string
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	return strings.Join(all, separator)
}

func dosageText(n fhir.Node) string {
	if text := n.Child("text").Text(); text != "" {
		return text
	}
	dose := each(n, "doseAndRate", func(n fhir.Node) string { return valueText(n.Child("dose")) })
	return joined(" ", dose, conceptText(n.Child("timing").Child("code")), conceptText(n.Child("route")))
}

// resultText returns what an Observation has found.
func resultText(n fhir.Node) string {
	if value := valueText(n.Child("value")); value != "" {
		return value
	}
	if parts := each(n, "component", componentText); parts != "" {
		return parts
	}
	return conceptText(n.Child("dataAbsentReason"))
}

func componentText(n fhir.Node) string {
	return joined(": ", conceptText(n.Child("code")), valueText(n.Child("value")))
}

// A narrative writes the XHTML of a text. https://hl7.org/fhir/R4/narrative.html
type narrative struct{ strings.Builder }

func (w *narrative) text(s string) { w.WriteString(xhtmlText().Replace(strings.Map(inXML, s))) }

// xhtmlText returns what writes text as XHTML has it.
func xhtmlText() *strings.Replacer {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
}

// inXML leaves out what XML has no character for.
func inXML(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\r', r >= 0x20 && r < 0xFFFE, r > 0xFFFF:
		return r
	}
	return -1
}

// paragraph appends a paragraph.
func (w *narrative) paragraph(s string) {
	w.WriteString("<p>")
	w.text(s)
	w.WriteString("</p>")
}

// table appends a table, none without rows.
func (w *narrative) table(columns []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	w.WriteString("<table><thead>")
	w.row("th", columns)
	w.WriteString("</thead><tbody>")
	for _, r := range rows {
		w.row("td", r)
	}
	w.WriteString("</tbody></table>")
}

func (w *narrative) row(cell string, values []string) {
	w.WriteString("<tr>")
	for _, v := range values {
		w.WriteString("<" + cell + ">")
		w.text(v)
		w.WriteString("</" + cell + ">")
	}
	w.WriteString("</tr>")
}

// div returns what was written as the content of a Narrative.
func (w *narrative) div() string {
	return `<div xmlns="http://www.w3.org/1999/xhtml">` + w.String() + `</div>`
}
