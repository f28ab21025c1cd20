package consultation

import (
	"errors"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// A TriageEnv is what the rules go by beside the response.
type TriageEnv struct {
	Now  time.Time // the time of the submission
	Demo bool      // rules run without anybody's approval
}

const (
	triageSteps  = 100_000 // of one rule
	triageOutput = 10_000
)

// Evaluate asks every rule about a response, which must have been checked against its form.
// A rule whose condition gives nothing has not fired; one that gives an error, or something
// else than one Boolean, or takes too long, has failed, which counts as fired.
func (r *Rules) Evaluate(response fhir.Node, env TriageEnv) Triage {
	t := Triage{Questionnaire: r.questionnaire, At: env.Now, Priority: "routine"}
	answers := answersOf(response)
	for _, rule := range r.rules {
		result := RuleResult{Rule: rule.id, Priority: rule.priority, Disposition: rule.disposition,
			PatientMessage: rule.message, Condition: rule.source, Asked: rule.asked(answers)}
		result.Verdict, result.Why = r.ask(rule, response, env)
		if result.Counts() {
			result.Flags = r.named(rule.flags(answers))
			t.Priority = HigherPriority(t.Priority, rule.priority)
		}
		t.Results = append(t.Results, result)
	}
	return t
}

// named gives concepts the display that the form has for them, where they have none.
func (r *Rules) named(flags []Coded) []Coded {
	for i, f := range flags {
		if f.Display == "" {
			flags[i].Display = r.displays[Code{f.System, f.Code}]
		}
	}
	return flags
}

// ask evaluates the condition of a rule.
func (r *Rules) ask(rule triageRule, response fhir.Node, env TriageEnv) (v Verdict, why string) {
	switch {
	case !rule.approved && !env.Demo:
		return Unapproved, "Nobody has approved the rule for this version of the form."
	case rule.condition == nil:
		return Failed, rule.flaw
	}
	found, err := rule.condition.EvaluateNode(response, &fhirpath.Env{
		Resource: response, Now: env.Now, Constants: r.constants, Steps: triageSteps, Output: triageOutput})
	if err != nil {
		return Failed, failure(err)
	}
	if len(found) == 0 {
		return NotFired, ""
	}
	is, ok := found[0].Bool()
	switch {
	case !ok || len(found) > 1:
		return Failed, "The condition gives something else than true or false."
	case is:
		return Fired, ""
	}
	return NotFired, ""
}

// failure says what stopped an evaluation, without data of the response.
func failure(err error) string {
	if e, ok := errors.AsType[*fhirpath.Error](err); ok {
		return "The condition could not be evaluated: " + e.Text
	}
	return "The condition could not be evaluated."
}

// answersOf returns the values of the answers of a response by the linkId of their items.
func answersOf(n fhir.Node) map[string][]fhir.Node {
	all := map[string][]fhir.Node{}
	collectAnswers(n, all)
	return all
}

func collectAnswers(n fhir.Node, all map[string][]fhir.Node) {
	for it := range n.Each("item") {
		id := it.Child("linkId").Text()
		for answer := range it.Each("answer") {
			if v := answer.Child("value"); !v.IsZero() {
				all[id] = append(all[id], v)
			}
			collectAnswers(answer, all)
		}
		collectAnswers(it, all)
	}
}

// asked returns the questions of a rule with their answers.
func (r triageRule) asked(answers map[string][]fhir.Node) []Asked {
	var all []Asked
	for _, q := range r.questions {
		a := Asked{LinkID: q.linkID}
		for _, v := range answers[q.linkID] {
			a.Answers = append(a.Answers, answerText(v))
		}
		all = append(all, a)
	}
	return all
}

// answerText returns an answer as text: the code of a Coding, the number of a Quantity, the
// content type of an attachment.
func answerText(v fhir.Node) string {
	for _, part := range []string{"code", "value", "contentType", "reference"} {
		if c := v.Child(part); c.HasValue() {
			return c.Text()
		}
	}
	return v.Text()
}

// flags returns what a rule finds: what it says itself, or else the coded answers that it
// looks at, of those only the ones that it names, if it names any. A question without coded
// answers stands for the coded answers that made it be asked.
func (r triageRule) flags(answers map[string][]fhir.Node) []Coded {
	if r.finding != (Coded{}) {
		return []Coded{r.finding}
	}
	var all []Coded
	for _, q := range r.questions {
		for _, c := range q.flags(answers) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

func (q triageQuestion) flags(answers map[string][]fhir.Node) []Coded {
	all := codedAnswers(answers[q.linkID])
	if len(all) > 0 {
		named := slices.DeleteFunc(slices.Clone(all), func(c Coded) bool { return !slices.Contains(q.codes, c.Code) })
		if len(named) > 0 {
			return named
		}
		return all
	}
	if len(answers[q.linkID]) == 0 {
		return nil
	}
	for _, o := range q.opener {
		for _, c := range codedAnswers(answers[o.linkID]) {
			if c.System == o.answer.System && c.Code == o.answer.Code {
				all = append(all, c)
			}
		}
	}
	return all
}

func codedAnswers(values []fhir.Node) []Coded {
	var all []Coded
	for _, v := range values {
		if v.Type().Name == "Coding" {
			all = append(all, readCoded(v))
		}
	}
	return all
}
