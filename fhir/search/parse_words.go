package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// words reads _content or _text: words that must all be there, in any order and
// as whole words, whatever their case and accents. What stands between spaces or
// "and" must be there together, of what stands between commas or "or" one must
// be there, "and" binds tighter, and parentheses say otherwise. The words of what
// has no space, such as "heart-failure", are words of their own. Phrases in
// quotation marks and "not" are refused.
// https://hl7.org/fhir/R4/search.html#text
func (p *parser) words(code, value string) Condition {
	if len(value) > MaxValue {
		p.fatal = true
		p.refuse(fhir.TooLong, "A value has %d bytes at most.", MaxValue)
		return nil
	}
	r := wordReader{parser: p, tokens: wordTokens(value)}
	all := r.either(0)
	switch {
	case r.failed:
		return nil
	case len(r.tokens) > 0 || len(all) == 0:
		p.refuse(fhir.Value, "%s is words, with and, or and parentheses between them, such as (bone OR liver) and metastases.", code)
		return nil
	}
	return &Words{Narrative: code == "_text", Alternatives: all, Name: code}
}

// wordTokens cuts s into words, commas and parentheses.
func wordTokens(s string) []string {
	for _, c := range []string{"(", ")", ","} {
		s = strings.ReplaceAll(s, c, " "+c+" ")
	}
	return strings.Fields(s)
}

// A wordReader reads a search for words into its disjunctive normal form.
type wordReader struct {
	*parser
	tokens []string
	failed bool
}

// next takes a token if it is the one wanted, in any case.
func (r *wordReader) next(want string) bool {
	if len(r.tokens) == 0 || !strings.EqualFold(r.tokens[0], want) {
		return false
	}
	r.tokens = r.tokens[1:]
	return true
}

// either reads alternatives. It returns none where a word is missing.
func (r *wordReader) either(depth int) [][]string {
	all := r.both(depth)
	for len(all) > 0 && (r.next("or") || r.next(",")) {
		more := r.both(depth)
		if len(more) == 0 {
			return nil
		}
		all = r.bounded(append(all, more...))
	}
	return all
}

// both reads what must be there together.
func (r *wordReader) both(depth int) [][]string {
	all := r.term(depth)
	for len(all) > 0 {
		joined := r.next("and")
		if !joined && r.atEnd() {
			break
		}
		all = r.product(all, r.term(depth))
	}
	return all
}

// atEnd reports whether no term follows.
func (r *wordReader) atEnd() bool {
	return len(r.tokens) == 0 || r.tokens[0] == ")" || r.tokens[0] == "," || strings.EqualFold(r.tokens[0], "or")
}

func (r *wordReader) term(depth int) [][]string {
	if r.next("(") {
		return r.group(depth + 1)
	}
	if r.atEnd() || r.failed {
		return nil
	}
	word := r.tokens[0]
	r.tokens = r.tokens[1:]
	if strings.Contains(word, `"`) || strings.EqualFold(word, "not") {
		r.fail(fhir.NotSupported, "Phrases in quotation marks and not are not supported: search for words.")
		return nil
	}
	words := SplitWords(word)
	if len(words) == 0 {
		return nil
	}
	return [][]string{words}
}

func (r *wordReader) group(depth int) [][]string {
	if depth > MaxNesting {
		r.fatal = true
		r.fail(fhir.TooCostly, "Parentheses may stand %d deep at most.", MaxNesting)
		return nil
	}
	all := r.either(depth)
	if !r.next(")") {
		return nil
	}
	return all
}

func (r *wordReader) fail(code fhir.Code, format string, args ...any) {
	if !r.failed {
		r.refuse(code, format, args...)
	}
	r.failed = true
}

// product returns each of a together with each of b.
func (r *wordReader) product(a, b [][]string) [][]string {
	var all [][]string
	for _, x := range a {
		for _, y := range b {
			words := slices.Concat(x, y)
			slices.Sort(words)
			all = append(all, slices.Compact(words))
		}
		if all = r.bounded(all); all == nil {
			return nil
		}
	}
	return all
}

// bounded returns all unless there are too many alternatives.
func (r *wordReader) bounded(all [][]string) [][]string {
	if len(all) <= MaxAlternatives {
		return all
	}
	r.fatal = true
	r.fail(fhir.TooCostly, "A search for words has %d alternatives at most.", MaxAlternatives)
	return nil
}
