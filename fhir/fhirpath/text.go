package fhirpath

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// The functions on strings. https://hl7.org/fhirpath/N1/#string-manipulation

// search is indexOf, lastIndexOf, startsWith, endsWith and contains.
func search(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil {
		return dst, err
	}
	sub, given, err := v.text(0)
	if err != nil || !ok || !given {
		return dst, err
	}
	switch v.name {
	case "startsWith":
		return append(dst, Bool(strings.HasPrefix(s, sub))), nil
	case "endsWith":
		return append(dst, Bool(strings.HasSuffix(s, sub))), nil
	case "contains":
		return append(dst, Bool(strings.Contains(s, sub))), nil
	}
	at := strings.Index(s, sub)
	if v.name == "lastIndexOf" {
		at = strings.LastIndex(s, sub)
	}
	if at > 0 {
		at = utf8.RuneCountInString(s[:at])
	}
	return append(dst, Integer(at)), nil
}

func substring(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil {
		return dst, err
	}
	start, given, err := v.integer(0)
	if err != nil || !ok || !given {
		return dst, err
	}
	n := len(s)
	if len(v.args) == 2 {
		if n, given, err = v.integer(1); err != nil {
			return dst, err
		}
		if !given {
			n = len(s)
		}
	}
	from := offset(s, start)
	if start < 0 || from == len(s) {
		return dst, nil
	}
	s = s[from:]
	return append(dst, String(s[:offset(s, n)])), nil
}

// offset returns where the n-th character of s begins, or its end.
func offset(s string, n int) int {
	for at := range s {
		if n <= 0 {
			return at
		}
		n--
	}
	return len(s)
}

// transform is upper, lower and trim.
func transform(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil || !ok {
		return dst, err
	}
	switch v.name {
	case "upper":
		s = strings.ToUpper(s)
	case "lower":
		s = strings.ToLower(s)
	default:
		s = strings.TrimSpace(s)
	}
	return append(dst, String(s)), v.write(len(s))
}

func length(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, Integer(utf8.RuneCountInString(s))), nil
}

func toChars(v invocation, dst Collection) (Collection, error) {
	s, _, err := v.input()
	if err != nil {
		return dst, err
	}
	for _, c := range s {
		dst = append(dst, String(string(c)))
		if len(dst) > v.output {
			break
		}
	}
	return dst, v.step(len(s))
}

func split(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil {
		return dst, err
	}
	separator, given, err := v.text(0)
	if err != nil || !ok || !given {
		return dst, err
	}
	for _, part := range strings.SplitN(s, separator, v.output+2) {
		dst = append(dst, String(part))
	}
	return dst, v.step(len(s)/16 + len(dst))
}

func join(v invocation, dst Collection) (Collection, error) {
	separator, _, err := v.text(0)
	if err != nil || len(v.in) == 0 {
		return dst, err
	}
	var b strings.Builder
	begun := false
	for n, i := range v.in {
		s, ok, err := v.stringOf(v.in[n : n+1])
		if err != nil {
			return dst, errorf(Type, v.at, "join takes strings, no %s: use select(toString()).", i.Type())
		}
		if !ok {
			continue
		}
		if begun {
			b.WriteString(separator)
		}
		begun = true
		b.WriteString(s)
		if err := v.write(b.Len()); err != nil {
			return dst, err
		}
	}
	return append(dst, String(b.String())), nil
}

func replace(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil {
		return dst, err
	}
	old, okOld, err := v.text(0)
	if err != nil {
		return dst, err
	}
	by, okBy, err := v.text(1)
	if err != nil || !ok || !okOld || !okBy {
		return dst, err
	}
	// The size is told before it is made.
	n := len(s)
	if grows := len(by) - len(old); grows > 0 {
		n += strings.Count(s, old) * grows
	}
	if err := v.write(n); err != nil {
		return dst, err
	}
	return append(dst, String(strings.ReplaceAll(s, old, by))), nil
}

const (
	maxPattern = 2 << 10 // bytes of a regular expression
	maxProgram = 4000    // instructions that it compiles to
)

// compilePattern compiles a regular expression for matches, or for matchesFull if
// whole. The engine is RE2: it takes linear time, and has no back references and
// no looking around. What is wrong is told without the source, which may be put
// together of what is in a resource.
func compilePattern(source string, whole bool) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, errorf(Limit, nowhere, "The regular expression has more than %d bytes: make it shorter.", maxPattern)
	}
	text := "(?s)" + source
	if whole {
		text = `(?s)\A(?:` + source + `)\z`
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, errorf(Unsupported, nowhere, "This is no regular expression of RE2: back references and looking around are not offered.")
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return nil, errorf(Limit, nowhere, "The regular expression repeats too much: make its counts smaller.")
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, errorf(Unsupported, nowhere, "This is no regular expression of RE2.")
	}
	return &pattern{compiled, len(program.Inst)}, nil
}

// pattern returns the regular expression that the first argument gives, nil for
// none, and counts what it costs to hold it against s.
func (v invocation) pattern(s string) (*pattern, error) {
	p := v.compiled
	if p == nil {
		source, ok, err := v.text(0)
		if err != nil || !ok {
			return nil, err
		}
		key := v.name + " " + source
		if p = v.patterns[key]; p == nil {
			if err := v.step(500 + 10*len(source)); err != nil {
				return nil, err
			}
			if p, err = compilePattern(source, v.name == "matchesFull"); err != nil {
				return nil, err
			}
			if err := v.step(2 * p.size); err != nil {
				return nil, err
			}
			v.remember(key, p)
		}
	}
	return p, v.step(1 + len(s)*p.size/200)
}

func (r *run) remember(key string, p *pattern) {
	if r.patterns == nil || len(r.patterns) > 100 {
		r.patterns = map[string]*pattern{}
	}
	r.patterns[key] = p
}

// matches is also matchesFull.
func matches(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil || !ok {
		return dst, err
	}
	p, err := v.pattern(s)
	if err != nil || p == nil {
		return dst, err
	}
	return append(dst, Bool(p.MatchString(s))), nil
}

func replaceMatches(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil || !ok {
		return dst, err
	}
	p, err := v.pattern(s)
	if err != nil || p == nil {
		return dst, err
	}
	by, ok, err := v.text(1)
	if err != nil || !ok {
		return dst, err
	}
	// The empty pattern changes nothing, unlike the empty string in replace.
	if p.String() == "(?s)" {
		return append(dst, String(s)), nil
	}
	by = template(by)
	var out []byte
	last := 0
	for _, m := range p.FindAllStringSubmatchIndex(s, v.output) {
		out = append(out, s[last:m[0]]...)
		out = p.ExpandString(out, by, s, m)
		last = m[1]
		if err := v.write(len(out)); err != nil {
			return dst, err
		}
	}
	out = append(out, s[last:]...)
	return append(dst, String(string(out))), v.write(len(out))
}

// template puts the number of a group in braces, so that a letter may follow it:
// $1a is group 1 and an a.
func template(s string) string {
	var b strings.Builder
	for k := 0; k < len(s); k++ {
		b.WriteByte(s[k])
		end := k + 1
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if s[k] == '$' && end > k+1 {
			b.WriteString("{" + s[k+1:end] + "}")
			k = end - 1
		}
	}
	return b.String()
}
