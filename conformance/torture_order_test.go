package conformance_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// A standing is a resource in the model.
type standing struct {
	version int
	marker  string
	gone    bool
}

// register is a resource as one after the other would see it. What is in doubt may
// have been done at any time after it was sent, or never.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return standing{gone: true} },
		Step: func(state, input, _ any) (bool, any) { return input.(effort).step(state.(standing)) },
		DescribeOperation: func(input, _ any) string {
			return input.(effort).String()
		},
	}
}

// step does d where a resource stands as s, and reports whether what d was answered
// fits.
func (d effort) step(s standing) (bool, standing) {
	if d.op == reading {
		if d.gone {
			return s.gone && s.version > 0, s
		}
		return s == standing{d.version, d.marker, d.version == 0}, s
	}
	next := standing{s.version + 1, d.marker, false}
	may := d.expect == 0 || d.expect < 0 && s.gone || d.expect > 0 && d.expect == s.version
	if d.op == deleting {
		if next = (standing{s.version + 1, "", true}); s.gone {
			may, next = true, s
		}
	}
	switch {
	case d.fate == doubtful && may:
		return true, next
	case d.fate == doubtful:
		return true, s
	case d.fate == refused:
		return !may, s
	}
	return may && (d.op == deleting || d.version == next.version), next
}

// searchTime is how long it is looked for an order of what was done to one resource.
const searchTime = 20 * time.Second

// judgeOrder wants, for each resource, one order of all efforts that explains every
// answer.
func (e *evidence) judgeOrder(f *flaws) {
	histories := map[string][]porcupine.Operation{}
	for _, d := range e.efforts {
		condition := d.status == 412 && d.together == ""
		if d.key == "" || d.op == searching || d.only != "" || d.fate == refused && !condition || d.op == reading && d.fate != stored {
			continue
		}
		histories[d.key] = append(histories[d.key], porcupine.Operation{Input: d, Call: int64(d.sent), Return: int64(d.answered)})
	}
	for key, all := range histories {
		switch porcupine.CheckOperationsTimeout(register(), all, searchTime) {
		case porcupine.Illegal:
			f.add("order", "no order of these explains the answers about %s:\n%s", key, listed(all))
		case porcupine.Unknown:
			f.add("undecided", "%d efforts with %s in %v", len(all), key, searchTime)
		}
	}
}

// listed writes operations one a line, in the order in which they were sent.
func listed(all []porcupine.Operation) string {
	slices.SortFunc(all, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, o := range all {
		fmt.Fprintln(&b, o.Input)
	}
	return b.String()
}
