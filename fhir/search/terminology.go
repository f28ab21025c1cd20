package search

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The bounds of what a search asks a [Terminology].
const (
	MaxInquiries = 50               // value sets and codes with :in, :not-in, :above and :below
	MaxAllCodes  = 10_000           // codes that these come to, counted again for each type that a chain leads to
	inquiryTime  = 10 * time.Second // for all of them
)

// A Terminology knows the codes of value sets, and how codes relate. An error that is
// a [*fhir.Outcome] says that there is no answer: its first issue is passed on, not-found
// for a value set or code system that is not known, too-costly for more codes than
// most. Any other error fails the search.
type Terminology interface {
	// Codes returns the codes of the value set named by its canonical URL, which may
	// end in a bar and a version, or by a literal reference: "ValueSet/1".
	Codes(ctx context.Context, valueSet string, most int) ([]spec.Coding, error)
	// Below returns a code and its descendants.
	Below(ctx context.Context, of spec.Coding, most int) ([]spec.Coding, error)
	// Above returns a code and its ancestors.
	Above(ctx context.Context, of spec.Coding, most int) ([]spec.Coding, error)
}

// ParseWith is [Registry.Parse] with t, which says what :in, :not-in, :above and
// :below of tokens mean. What it says becomes part of the Query, and is not asked
// again. A nil t leaves them to what comes with R4's required bindings. Beside what
// Parse refuses it refuses value sets and code systems that t does not know, and those
// of which t says more than [MaxCodes]. An error that is no [*fhir.Outcome] is t's.
// https://hl7.org/fhir/R4/search.html#token
func (r *Registry) ParseWith(ctx context.Context, t Terminology, req Request) (*Query, error) {
	if t == nil {
		return r.Parse(req)
	}
	within, cancel := context.WithTimeout(ctx, inquiryTime)
	defer cancel()
	in := &inquiries{Terminology: t, ctx: within, answers: make(map[inquiry]answer)}
	q, err := r.parse(req, in)
	switch {
	case in.failure == nil:
		return q, err
	case within.Err() != nil && ctx.Err() == nil:
		is := fhir.Issue{Code: fhir.Timeout, Detail: "terminology-timeout", Text: "It took too long to find the codes that :in, :not-in, :above or :below mean; name smaller value sets, or list the codes with commas between them."}
		return nil, &fhir.Outcome{Class: fhir.Unavailable, Issues: []fhir.Issue{is}}
	}
	return nil, fmt.Errorf("find the codes that a search asks for: %w", in.failure)
}

// inquiries are what one search asks its terminology.
type inquiries struct {
	Terminology
	ctx     context.Context
	answers map[inquiry]answer
	codes   int // that they came to
	failure error
}

// An inquiry asks for the codes "in" a value set, whose name is the code, or for those
// "above" or "below" a code.
type inquiry struct {
	about string
	of    spec.Coding
}

type answer struct {
	codes []spec.Coding
	err   error
}

// answer asks what has not been asked before.
func (in *inquiries) answer(q inquiry) answer {
	if a, ok := in.answers[q]; ok {
		return a
	}
	var a answer
	switch q.about {
	case "in":
		a.codes, a.err = in.Codes(in.ctx, q.of.Code, MaxCodes)
	case "above":
		a.codes, a.err = in.Above(in.ctx, q.of, MaxCodes)
	default:
		a.codes, a.err = in.Below(in.ctx, q.of, MaxCodes)
	}
	in.answers[q] = a
	return a
}

// inquire returns the codes that q comes to; none when it was refused, or when there
// are none.
func (p *parser) inquire(q inquiry) []Asked {
	in := p.terminology
	if _, asked := in.answers[q]; !asked && len(in.answers) == MaxInquiries {
		p.fatal = true
		p.refused(fhir.Issue{Code: fhir.TooCostly, Detail: "too-many-inquiries", Text: fmt.Sprintf("A search names %d value sets and codes with :in, :not-in, :above and :below at most; search in several steps.", MaxInquiries)})
		return nil
	}
	if in.failure != nil {
		return nil
	}
	a := in.answer(q)
	if a.err != nil {
		p.unanswered(q, a.err)
		return nil
	}
	in.codes += len(a.codes)
	switch {
	case len(a.codes) > MaxCodes:
		p.unanswered(q, fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "", "Name something smaller, or list the codes with commas between them."))
		return nil
	case in.codes > MaxAllCodes:
		p.fatal = true
		p.refused(fhir.Issue{Code: fhir.TooCostly, Detail: "too-many-codes", Text: fmt.Sprintf("All value sets and hierarchies of a search come to %d codes at most; search in several steps.", MaxAllCodes)})
		return nil
	}
	asked := make([]Asked, 0, len(a.codes)+1)
	itself := q.about == "in"
	for _, c := range a.codes {
		itself = itself || c == q.of
		asked = append(asked, AskedToken{System: c.System, Code: c.Code})
	}
	if !itself {
		asked = append(asked, AskedToken{System: q.of.System, Code: q.of.Code})
	}
	return asked
}

// unanswered says why there is no answer to q.
func (p *parser) unanswered(q inquiry, err error) {
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) == 0 {
		p.terminology.failure, p.fatal = err, true
		p.refuse(fhir.Exception, "The terminology fails.")
		return
	}
	is := o.Issues[0]
	if is.Code == fhir.TooCostly {
		p.fatal = true
		is.Text += fmt.Sprintf(" A search takes %d at most.", MaxCodes)
	}
	p.refused(fhir.Issue{Code: is.Code, Detail: cmp.Or(is.Detail, q.detail(is.Code)), Text: "The codes " + q.what() + " cannot be searched for. " + is.Text})
}

// what names the codes that q asks for.
func (q inquiry) what() string {
	if q.about == "in" {
		return "in value set " + quote(q.of.Code)
	}
	return q.about + " one of code system " + quote(q.of.System)
}

// detail returns our code for why there is no answer to q.
func (q inquiry) detail(code fhir.Code) string {
	switch {
	case code == fhir.TooCostly:
		return "too-many-codes"
	case code != fhir.NotFound:
		return "terminology-refused"
	case q.about == "in":
		return "value-set-not-found"
	}
	return "unknown-code-system"
}
