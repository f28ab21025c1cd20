package fhirpath

import (
	"errors"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Expression is a compiled expression. It does not change and may be used by
// several goroutines at once.
type Expression struct {
	source string
	root   expr
}

// Compile parses src. The error is an *Error with the position of what is wrong.
func Compile(src string) (*Expression, error) {
	if len(src) > maxSource {
		return nil, errorf(Limit, 0, "The expression has more than %d bytes: make it shorter.", maxSource).place(src)
	}
	p := &parser{words: lexer{src: src}}
	err := p.advance()
	var root expr
	if err == nil {
		root, err = p.expression(0)
	}
	if err == nil && p.kind != endToken {
		err = p.unexpected("the end or an operator")
	}
	if err != nil {
		return nil, placed(err, src)
	}
	return &Expression{source: strings.Clone(src), root: root}, nil
}

// placed completes an *Error; other errors become the cause of one.
func placed(err error, src string) error {
	var e *Error
	if errors.As(err, &e) {
		return e.place(src)
	}
	return (&Error{Kind: Unsupported, Text: "What the expression asks for could not be found out: " + err.Error(), cause: err}).place(src)
}

// String returns the text that e was compiled from.
func (e *Expression) String() string { return e.source }

// Evaluate returns what e gives on focus, which is both %context and $this of the
// whole expression. The items are nodes of the focus, not copies. A nil env is
// the zero Env. The error is an *Error.
func (e *Expression) Evaluate(focus Collection, env *Env) (Collection, error) {
	r := newRun(focus, env)
	result, err := e.root.eval(r, frame{this: focus, index: -1}, nil)
	if err == nil {
		err = r.room(result)
	}
	if err != nil {
		return nil, placed(err, e.source)
	}
	return result, nil
}

// EvaluateNode returns what e gives on n, as Evaluate does; the zero Node is an
// empty focus.
func (e *Expression) EvaluateNode(n fhir.Node, env *Env) (Collection, error) {
	if n.IsZero() {
		return e.Evaluate(nil, env)
	}
	return e.Evaluate(Collection{NodeItem(n)}, env)
}

// Truth returns what e, an invariant or another criterion, says of n: true,
// false, or not known, which is an empty result. Criteria that select take what
// is not known for false. The invariants of R4 need the opposite: ref-1 and bdl-8
// are empty on valid elements. One item that is no Boolean is true, unless env is
// Strict; several are an error.
// https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
func (e *Expression) Truth(n fhir.Node, env *Env) (value, known bool, err error) {
	var focus Collection
	if !n.IsZero() {
		focus = Collection{NodeItem(n)}
	}
	t, err := truth(newRun(focus, env), frame{this: focus, index: -1}, e.root)
	if err != nil {
		return false, false, placed(err, e.source)
	}
	return t == yes, t != unknown, nil
}

func newRun(focus Collection, env *Env) *run {
	r := &run{focus: focus, steps: defaultSteps, output: defaultOutput}
	if env == nil {
		return r
	}
	r.env, r.now = *env, env.Now
	if env.Steps > 0 {
		r.steps = env.Steps
	}
	if env.Output > 0 {
		r.output = env.Output
	}
	return r
}

// clock returns the time of the evaluation, which is the same throughout.
func (r *run) clock() time.Time {
	if r.now.IsZero() {
		r.now = time.Now()
	}
	return r.now
}
