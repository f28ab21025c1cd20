package searchsql

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/search"
)

// The sort values of all parameters of a resource stand in one text column, each
// at the position of its parameter, with textSeparator between them: the least,
// and behind valueSeparator the greatest if it is another. They are text that has
// the order of the values byte by byte. What cannot be sorted by has a mark that
// it is there: an empty place means that the parameter has no value.

const (
	valueSeparator = "\x1e"
	presenceMark   = "+"
	emptyText      = " " // a text of which nothing is left
	maxSort        = 64  // characters
)

// sorts returns the content of res.sorts.
func sorts(entries []search.Entry) string {
	b := make([]byte, 0, 256)
	at := 0
	for len(entries) > 0 {
		p := entries[0].Param
		n := 1
		for n < len(entries) && entries[n].Param == p {
			n++
		}
		for ; at < p.Position; at++ {
			b = append(b, textSeparator...)
		}
		b = appendSort(b, entries[:n])
		entries = entries[n:]
	}
	return string(b)
}

// appendSort appends the values of one parameter.
func appendSort(b []byte, entries []search.Entry) []byte {
	switch entries[0].Param.Type {
	case search.DateType, search.NumberType, search.QuantityType:
		return appendNumbers(b, entries)
	case search.StringType, search.TokenType, search.URIType:
		return appendTexts(b, entries)
	}
	return append(b, presenceMark...)
}

func appendNumbers(b []byte, entries []search.Entry) []byte {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, e := range entries {
		v := sortNumber(e.Value)
		lo, hi = min(lo, v), max(hi, v)
	}
	b = appendNumber(b, lo)
	if hi > lo {
		b = append(b, valueSeparator...)
		b = appendNumber(b, hi)
	}
	return b
}

// sortNumber returns where a range begins, in the canonical unit if there is one.
func sortNumber(v search.Value) float64 {
	switch v := v.(type) {
	case search.Range:
		return v.Lo
	case search.Quantity:
		if v.Base != "" {
			return v.Canonical.Lo
		}
		return v.Lo
	}
	return 0
}

// appendNumber appends 16 hexadecimal digits in the order of the numbers.
func appendNumber(b []byte, v float64) []byte {
	n := math.Float64bits(v + 0) // -0 becomes 0
	if v < 0 {
		n = ^n
	} else {
		n |= 1 << 63
	}
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

func appendTexts(b []byte, entries []search.Entry) []byte {
	lo := sortText(entries[0].Value)
	hi := lo
	for _, e := range entries[1:] {
		text := sortText(e.Value)
		lo, hi = min(lo, text), max(hi, text)
	}
	b = append(b, lo...)
	if hi != lo {
		b = append(b, valueSeparator...)
		b = append(b, hi...)
	}
	return b
}

// sortText returns the beginning of a text, never empty.
func sortText(v search.Value) string {
	var text string
	switch v := v.(type) {
	case search.String:
		text = v.Folded
	case search.Token:
		text = v.Code
	case search.URI:
		text = v.Text
	}
	text = storable(text)
	if text == "" {
		return emptyText
	}
	end := 0
	for range maxSort {
		if end == len(text) {
			break
		}
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return text[:end]
}

// writePlace writes what res.sorts holds at the position of p.
func writePlace(b *Builder, p *search.Param) {
	b.SQL(`split_part(r.sorts, E'\x1f', `, strconv.Itoa(p.Position+1), ")")
}

// present holds when p has a value.
func present(p *search.Param) expr {
	switch p.Code {
	case "_id", "_lastUpdated":
		return always{}
	}
	return predicate(Predicate{filter: func(b *Builder) {
		writePlace(b, p)
		b.SQL(" <> ''")
	}})
}
