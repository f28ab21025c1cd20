package fhirpath

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// tokenKind is what a token is.
type tokenKind uint8

const (
	endToken      tokenKind = iota
	nameToken               // name or `name`
	stringToken             // 'text'
	numberToken             // 1 or 1.0
	dateToken               // @…
	constantToken           // %name
	specialToken            // $this
	symbolToken             // an operator or bracket
)

// A token is one word of an expression.
type token struct {
	kind   tokenKind
	text   string // without quotes, escapes, @, % and $
	at     int
	quoted bool // a `name`, which is never a keyword
}

// is reports whether t is the symbol or unquoted word s.
func (t token) is(s string) bool {
	return t.text == s && (t.kind == symbolToken || t.kind == nameToken && !t.quoted)
}

// A lexer cuts an expression into tokens. https://hl7.org/fhirpath/N1/grammar.html
type lexer struct {
	src string
	at  int
}

// next returns the next token, one of kind endToken at the end.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	start := l.at
	if start == len(l.src) {
		return token{kind: endToken, at: start}, nil
	}
	switch c := l.src[start]; {
	case isLetter(c):
		return token{kind: nameToken, text: l.word(), at: start}, nil
	case isDigit(c):
		return token{kind: numberToken, text: l.number(), at: start}, nil
	case c == '\'':
		text, err := l.quoted()
		return token{kind: stringToken, text: text, at: start}, err
	case c == '`':
		text, err := l.quoted()
		return token{kind: nameToken, text: text, at: start, quoted: true}, err
	case c == '@':
		l.at++
		return token{kind: dateToken, text: l.moment(), at: start}, nil
	case c == '%':
		return l.constant()
	case c == '$':
		l.at++
		return token{kind: specialToken, text: l.word(), at: start}, nil
	}
	return l.symbol()
}

// skip passes over white space and comments.
func (l *lexer) skip() error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.ContainsRune(" \t\r\n\u00a0", rune(rest[0])) && rest[0] < utf8.RuneSelf:
			l.at++
		case strings.HasPrefix(rest, "//"):
			line, _, _ := strings.Cut(rest, "\n")
			l.at += len(line)
		case strings.HasPrefix(rest, "/*"):
			comment, _, ended := strings.Cut(rest[2:], "*/")
			if !ended {
				return errorf(Syntax, l.at, "This comment has no end: close it by */.")
			}
			l.at += len(comment) + 4
		default:
			return nil
		}
	}
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func (l *lexer) word() string {
	start := l.at
	for l.at < len(l.src) && (isLetter(l.src[l.at]) || isDigit(l.src[l.at])) {
		l.at++
	}
	return l.src[start:l.at]
}

func (l *lexer) digits() {
	for l.at < len(l.src) && isDigit(l.src[l.at]) {
		l.at++
	}
}

func (l *lexer) number() string {
	start := l.at
	l.digits()
	if l.at+1 < len(l.src) && l.src[l.at] == '.' && isDigit(l.src[l.at+1]) {
		l.at++
		l.digits()
	}
	return l.src[start:l.at]
}

// moment reads the rest of a date, dateTime or time literal. A sign is part of
// it only as a zone, after a T, or as a dash between digits of the date.
func (l *lexer) moment() string {
	start, timed := l.at, false
	for ; l.at < len(l.src); l.at++ {
		c, following := l.src[l.at], byte(0)
		if l.at+1 < len(l.src) {
			following = l.src[l.at+1]
		}
		switch {
		case isDigit(c):
		case c == 'T' && !timed:
			timed = true
		case (c == '-' || c == ':' || c == '.') && isDigit(following):
		case c == '+' && timed && isDigit(following):
		case c == 'Z' && timed:
			l.at++
			return l.src[start:l.at]
		default:
			return l.src[start:l.at]
		}
	}
	return l.src[start:l.at]
}

func (l *lexer) constant() (token, error) {
	start := l.at
	l.at++
	t := token{kind: constantToken, at: start}
	if l.at < len(l.src) && (l.src[l.at] == '\'' || l.src[l.at] == '`') {
		var err error
		t.text, err = l.quoted()
		return t, err
	}
	// Names of the specification such as %vs-name were once written without quotes.
	t.text = l.word()
	for (strings.HasPrefix(t.text, "vs") || strings.HasPrefix(t.text, "ext")) && l.at+1 < len(l.src) && l.src[l.at] == '-' && isLetter(l.src[l.at+1]) {
		l.at++
		t.text += "-" + l.word()
	}
	if t.text == "" {
		return t, errorf(Syntax, start, "A name must follow %%.")
	}
	return t, nil
}

// quoted reads a string or a delimited name.
func (l *lexer) quoted() (string, error) {
	start, quote := l.at, l.src[l.at]
	var b strings.Builder
	for l.at++; l.at < len(l.src); {
		switch c := l.src[l.at]; c {
		case quote:
			l.at++
			return b.String(), nil
		case '\\':
			if err := l.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
			l.at++
		}
	}
	return "", errorf(Syntax, start, "This text has no end: close it by %c.", quote)
}

func (l *lexer) escape(b *strings.Builder) error {
	start := l.at
	if l.at += 2; l.at > len(l.src) {
		return errorf(Syntax, start, "Nothing follows the backslash.")
	}
	switch c := l.src[l.at-1]; c {
	case '\'', '"', '`', '\\', '/':
		b.WriteByte(c)
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		return l.unicode(b)
	default:
		// N1 has no other escapes, but regular expressions are widely written
		// with single backslashes.
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return nil
}

// unicode reads the four digits of a \u, and a second escape if the first is half
// of a pair of surrogates.
func (l *lexer) unicode(b *strings.Builder) error {
	c, ok := l.codeUnit()
	if !ok {
		return errorf(Syntax, l.at-2, "Four hexadecimal digits must follow \\u.")
	}
	if utf16.IsSurrogate(c) && strings.HasPrefix(l.src[l.at:], `\u`) {
		start := l.at
		l.at += 2
		low, ok := l.codeUnit()
		if pair := utf16.DecodeRune(c, low); ok && pair != utf8.RuneError {
			c = pair
		} else {
			l.at = start
		}
	}
	b.WriteRune(c)
	return nil
}

func (l *lexer) codeUnit() (rune, bool) {
	if l.at+4 > len(l.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(l.src[l.at:l.at+4], 16, 16)
	if err != nil {
		return 0, false
	}
	l.at += 4
	return rune(v), true
}

func (l *lexer) symbol() (token, error) {
	start := l.at
	rest := l.src[start:]
	for _, s := range [...]string{"<=", ">=", "!=", "!~"} {
		if strings.HasPrefix(rest, s) {
			l.at += len(s)
			return token{kind: symbolToken, text: s, at: start}, nil
		}
	}
	if strings.IndexByte(".[]()+-*/&|<>=~{},", rest[0]) < 0 {
		c, _ := utf8.DecodeRuneInString(rest)
		return token{}, errorf(Syntax, start, "FHIRPath has no %q outside of quotes.", c)
	}
	l.at++
	return token{kind: symbolToken, text: rest[:1], at: start}, nil
}
