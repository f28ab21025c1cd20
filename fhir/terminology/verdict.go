package terminology

import (
	"cmp"
	"fmt"
)

// The reasons of a Verdict.
const (
	unknownSystem  = "unknown-code-system"
	unknownCode    = "unknown-code"
	notIn          = "not-in-value-set"
	setNotFound    = "value-set-not-found"
	setUnsupported = "value-set-unsupported"
	setTooDeep     = "value-set-too-deep"
	codeInactive   = "code-inactive"
)

// An answer is what is found out about one coding.
type answer struct {
	result Result
	reason string   // empty only when it is in
	about  string   // the code system or value set of which the reason speaks; the whole sentence for setUnsupported
	system string   // of the code that is in
	item   *concept // as the value set names it; nil when it does not
	known  *concept // as the code system knows it; nil when that was not looked at
}

func (a *answer) inactive() bool {
	return a.known != nil && a.known.inactive || a.item != nil && a.item.inactive
}

// verdict returns what is said to the caller.
func (a answer) verdict(c Coding) Verdict {
	v := Verdict{Result: a.result, Reason: a.reason, Text: a.sentence()}
	if a.result != In {
		return v
	}
	v.Coding = Coding{System: cmp.Or(a.system, c.System), Version: c.Version, Code: c.Code}
	if a.item != nil {
		v.Coding.Code, v.Coding.Display = a.item.code, a.item.display
	}
	if a.known != nil {
		v.Coding.Code, v.Coding.Display = a.known.code, cmp.Or(a.known.display, v.Coding.Display)
	}
	if a.inactive() {
		v.Reason, v.Text = codeInactive, "Choose another code; this one is not in use any more."
	}
	return v
}

func (a *answer) sentence() string {
	switch a.reason {
	case unknownSystem:
		return fmt.Sprintf("The code system %s is not known here; use one that is, or have it loaded.", a.about)
	case unknownCode:
		return fmt.Sprintf("The code is not known in the code system %s; choose one of its codes.", a.about)
	case notIn:
		return fmt.Sprintf("The code is not in the value set %s; choose one of its codes.", a.about)
	case setNotFound:
		return fmt.Sprintf("The value set %s is not known here; have it loaded.", a.about)
	case setTooDeep:
		return fmt.Sprintf("The value set %s includes itself, or too many others; make it simpler.", a.about)
	case setUnsupported:
		return a.about
	}
	return ""
}
