package questionnaire

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// A pattern is a regular expression that whole answers must match. It takes time in
// proportion to the answer, whatever it is.
type pattern struct {
	re   *regexp.Regexp
	cost int // of each character, about
}

const (
	maxPattern      = 2_000       // characters
	maxPatternCost  = 5_000       // instructions, about
	maxPatternsCost = 200_000     // of one form
	maxMatching     = 100_000_000 // instructions times characters of one answer
)

// newPattern reads a regular expression of a form. The error says what is wrong with it,
// or that it needs what a search in linear time cannot do.
func newPattern(src string) (*pattern, error) {
	if len(src) > maxPattern {
		return nil, errors.New("it is too long")
	}
	src = codePoints.ReplaceAllString(src, `\x{$1}`)
	parsed, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil, explain(err)
	}
	cost := costOf(parsed)
	if cost > maxPatternCost {
		return nil, errors.New("it repeats too much")
	}
	re, err := regexp.Compile(`\A(?:` + src + `)\z`)
	if err != nil {
		return nil, explain(err)
	}
	return &pattern{re, cost}, nil
}

// codePoints finds characters in the way of ECMAScript.
var codePoints = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

func explain(err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatOp:
		return errors.New("it has something that is wrong or not supported, such as looking around or a back reference")
	}
	return errors.New(e.Code.String())
}

// costOf counts the instructions that re needs, about, up to a little more than the most
// that are allowed.
func costOf(re *syntax.Regexp) int {
	cost := 1
	if re.Op == syntax.OpLiteral {
		cost = len(re.Rune)
	}
	for _, sub := range re.Sub {
		cost += costOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		cost *= max(re.Min, re.Max, 1)
	}
	return min(cost, maxPatternCost+1)
}

// matches reports whether the whole text matches p. It is not ok when it would take too
// long to find out.
func (p *pattern) matches(text string) (matches, ok bool) {
	if p.cost*utf8.RuneCountInString(text) > maxMatching {
		return false, false
	}
	return p.re.MatchString(text), true
}
