package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
)

// standings are what somebody stands for in a test.
func standings() map[Context]Standing {
	return map[Context]Standing{
		ForPatient: {Parties: []Key{{Kind: Open}, {Patient, "Patient/1"}}, Denied: []Key{{Label, NoPatient}}},
		ForUser:    {Parties: []Key{{Kind: Open}, {Party, "Organization/a"}}},
		ForSystem:  {All: true},
	}
}

const mayAll = MayCreate | MayRead | MayUpdate | MayDelete | MaySearch

func TestView(t *testing.T) {
	t.Parallel()
	lab, vital := []Argument{{"category", "laboratory"}}, []Argument{{"category", "vital-signs"}}
	s := standings()
	branch := func(c Context, where []Argument, types ...string) Branch {
		return Branch{Types: types, All: s[c].All, Parties: s[c].Parties, Denied: s[c].Denied, Where: where}
	}
	for name, tt := range map[string]struct {
		scopes []Scope
		needs  Permission
		typ    string
		want   View
	}{
		"none":                           {nil, mayAll, "Task", nil},
		"another type":                   {[]Scope{{ForUser, "Task", mayAll, nil}}, mayAll, "Patient", nil},
		"another permission":             {[]Scope{{ForUser, "Task", MayRead, nil}}, MaySearch, "Task", nil},
		"one of two":                     {[]Scope{{ForUser, "Task", MayRead, nil}}, MaySearch | MayRead, "Task", View{branch(ForUser, nil)}},
		"twice":                          {[]Scope{{ForUser, "Task", MayRead, nil}, {ForUser, "*", mayAll, nil}}, MayRead, "Task", View{branch(ForUser, nil)}},
		"two contexts":                   {[]Scope{{ForPatient, "Task", MayRead, nil}, {ForUser, "*", mayAll, nil}}, MayRead, "Task", View{branch(ForPatient, nil), branch(ForUser, nil)}},
		"two conditions":                 {[]Scope{{ForUser, "Observation", MayRead, lab}, {ForUser, "Observation", MayRead, vital}}, MayRead, "Observation", View{branch(ForUser, lab), branch(ForUser, vital)}},
		"one condition twice":            {[]Scope{{ForUser, "Observation", MayRead, lab}, {ForUser, "Observation", mayAll, lab}}, MayRead, "Observation", View{branch(ForUser, lab)}},
		"a condition and none":           {[]Scope{{ForUser, "Observation", MayRead, lab}, {ForUser, "*", MayRead, nil}}, MayRead, "Observation", View{branch(ForUser, nil)}},
		"a condition and none elsewhere": {[]Scope{{ForUser, "Observation", MayRead, lab}, {ForPatient, "*", MayRead, nil}}, MayRead, "Observation", View{branch(ForUser, lab), branch(ForPatient, nil)}},
		"several types":                  {[]Scope{{ForUser, "Task", MaySearch, nil}, {ForUser, "Patient", MaySearch, nil}, {ForUser, "Task", MayRead | MaySearch, nil}}, MaySearch, "", View{branch(ForUser, nil, "Patient", "Task")}},
		"all types":                      {[]Scope{{ForUser, "Task", MaySearch, nil}, {ForUser, "*", MaySearch, nil}, {ForUser, "Patient", MaySearch, nil}}, MaySearch, "", View{branch(ForUser, nil)}},
		"several types and a condition":  {[]Scope{{ForUser, "Task", MaySearch, nil}, {ForUser, "Observation", MaySearch, lab}, {ForUser, "Condition", MaySearch, lab}}, MaySearch, "", View{branch(ForUser, nil, "Task"), branch(ForUser, lab, "Observation"), branch(ForUser, lab, "Condition")}},
		"all types and a condition":      {[]Scope{{ForUser, "Observation", MaySearch, lab}, {ForUser, "*", MaySearch, nil}}, MaySearch, "", View{branch(ForUser, nil)}},
		"a condition on all types":       {[]Scope{{ForUser, "*", MaySearch, lab}}, MaySearch, "", nil},
		"no context":                     {[]Scope{{0, "*", MaySearch, nil}}, MaySearch, "Task", View{{}}},
	} {
		g := NewGrant(Terms{Scopes: tt.scopes, Standings: s})
		if d := cmp.Diff(tt.want, g.View(tt.needs, tt.typ)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}

func TestShows(t *testing.T) {
	t.Parallel()
	party, other, label := Key{Party, "Organization/a"}, Key{Party, "Organization/b"}, Key{Label, "R"}
	lab := []Argument{{"category", "laboratory"}}
	yes := func([]Argument) bool { return true }
	for name, tt := range map[string]struct {
		view    View
		keys    []Key
		matches func([]Argument) bool
		want    bool
	}{
		"zero view":               {nil, []Key{party}, yes, false},
		"zero branch":             {View{{}}, []Key{party}, yes, false},
		"zero branch, no keys":    {View{{}}, nil, yes, false},
		"a party":                 {View{{Parties: []Key{party}}}, []Key{other, party}, nil, true},
		"no party":                {View{{Parties: []Key{party}}}, []Key{other}, yes, false},
		"another kind":            {View{{Parties: []Key{party}}}, []Key{{Author, "Organization/a"}}, yes, false},
		"all":                     {View{{All: true}}, nil, nil, true},
		"all but a label":         {View{{All: true, Denied: []Key{label}}}, []Key{label}, yes, false},
		"a label":                 {View{{Parties: []Key{party}, Denied: []Key{label}}}, []Key{party, label}, yes, false},
		"a label for one of two":  {View{{Parties: []Key{party}, Denied: []Key{label}}, {Parties: []Key{party}}}, []Key{party, label}, yes, true},
		"condition holds":         {View{{All: true, Where: lab}}, nil, yes, true},
		"condition does not hold": {View{{All: true, Where: lab}}, nil, func([]Argument) bool { return false }, false},
		"nobody knows":            {View{{All: true, Where: lab}}, nil, nil, false},
		"within":                  {View{{Parties: []Key{party}, Within: []Key{other}}}, []Key{party, other}, nil, true},
		"not within":              {View{{Parties: []Key{party}, Within: []Key{other}}}, []Key{party}, nil, false},
		"within alone":            {View{{Within: []Key{other}}}, []Key{other}, nil, false},
		"within nothing":          {View{{All: true, Within: []Key{}}}, []Key{party}, nil, false},
		"all within":              {View{{All: true, Within: []Key{other}}}, []Key{other}, nil, true},
		"type":                    {View{{All: true, Types: []string{"Task"}}}, nil, nil, true},
		"another type":            {View{{All: true, Types: []string{"Patient"}}}, nil, nil, false},
		"no type":                 {View{{All: true, Types: []string{}}}, nil, nil, false},
	} {
		if got := tt.view.Shows("Task", tt.keys, tt.matches); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	task := NewGrant(Terms{Scopes: []Scope{{ForUser, "Task", MayRead | MaySearch, nil}}, Standings: standings()})
	for name, tt := range map[string]struct {
		grant Grant
		what  Interaction
		typ   string
		want  bool
	}{
		"nothing":                {Grant{}, Read, "Task", false},
		"nothing of the system":  {Grant{}, SearchSystem, "", false},
		"roles alone":            {NewGrant(Terms{Roles: Administer | Labels | AssertAuthor | AssertPatient | Operate}), Read, "Task", false},
		"read":                   {task, Read, "Task", true},
		"version":                {task, VRead, "Task", true},
		"history":                {task, HistoryInstance, "Task", true},
		"history of the type":    {task, HistoryType, "Task", true},
		"another type":           {task, Read, "Patient", false},
		"create":                 {task, Create, "Task", false},
		"update":                 {task, Update, "Task", false},
		"patch":                  {task, Patch, "Task", false},
		"delete":                 {task, Delete, "Task", false},
		"the system":             {task, SearchSystem, "", true},
		"history of the system":  {task, HistorySystem, "", true},
		"unknown":                {task, "everything", "Task", false},
		"purge":                  {NewGrant(Terms{Scopes: []Scope{{ForSystem, "*", mayAll, nil}}, Standings: standings()}), Purge, "Task", false},
		"purge by role":          {NewGrant(Terms{Roles: Operate}), Purge, "Task", true},
		"reindex by role":        {NewGrant(Terms{Roles: Operate}), Reindex, "", true},
		"explain by other roles": {NewGrant(Terms{Roles: Administer | Labels | AssertAuthor | AssertPatient}), Explain, "Task", false},
		"trusted":                {Trusted("t"), Purge, "Task", true},
		"without standing":       {NewGrant(Terms{Scopes: []Scope{{ForUser, "Task", MayRead, nil}}}), Read, "Task", true}, // 404 will follow
	} {
		err := tt.grant.Allow(tt.what, tt.typ)
		if (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
		if o := fhir.AsOutcome(err); err != nil && o.Class != fhir.Denied {
			t.Errorf("%s: class %v", name, o.Class)
		}
	}
}

func TestReadsSelf(t *testing.T) {
	t.Parallel()
	user := fhir.Key{Type: "Practitioner", ID: "1"}
	for name, tt := range map[string]struct {
		terms Terms
		ask   fhir.Key
		want  bool
	}{
		"self":          {Terms{Self: true, User: user}, user, true},
		"another":       {Terms{Self: true, User: user}, fhir.Key{Type: "Practitioner", ID: "2"}, false},
		"not asked for": {Terms{User: user}, user, false},
		"nobody":        {Terms{Self: true}, fhir.Key{}, false},
	} {
		if got := NewGrant(tt.terms).ReadsSelf(tt.ask); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestViewSaysWhatScopesSay: however scopes are merged, what is shown is what one
// of them allows in its own context.
func TestViewSaysWhatScopesSay(t *testing.T) {
	t.Parallel()
	types := []string{"Task", "Patient", "Observation"}
	wheres := [][]Argument{nil, nil, {{"category", "a"}}, {{"category", "b"}}, {{"category", "a"}, {"code", "c"}}}
	keys := []Key{{Kind: Open}, {Patient, "Patient/1"}, {Party, "Organization/a"}, {Label, NoPatient}}
	rapid.Check(t, func(t *rapid.T) {
		var scopes []Scope
		for range rapid.IntRange(0, 5).Draw(t, "scopes") {
			scopes = append(scopes, Scope{
				Context: Context(rapid.IntRange(1, 3).Draw(t, "context")),
				Type:    rapid.SampledFrom(append(types, "*")).Draw(t, "type"),
				Allows:  Permission(rapid.IntRange(0, 31).Draw(t, "allows")),
				Where:   rapid.SampledFrom(wheres).Draw(t, "where"),
			})
		}
		at := standings()
		if rapid.Bool().Draw(t, "limited") {
			delete(at, ForSystem)
		}
		g := NewGrant(Terms{Scopes: scopes, Standings: at})
		typ := rapid.SampledFrom(types).Draw(t, "type of the resource")
		needs := rapid.SampledFrom([]Permission{MayRead, MaySearch, MayCreate, MayUpdate, MayRead | MaySearch}).Draw(t, "needs")
		has := rapid.SliceOfDistinct(rapid.SampledFrom(keys), func(k Key) Key { return k }).Draw(t, "keys")
		is := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"category=a", "category=b", "code=c"}), func(s string) string { return s }).Draw(t, "content")
		matches := func(where []Argument) bool {
			return !slices.ContainsFunc(where, func(a Argument) bool { return !slices.Contains(is, a.Param+"="+a.Value) })
		}
		for _, asked := range []string{typ, ""} {
			want := slices.ContainsFunc(scopes, func(s Scope) bool {
				st := at[s.Context]
				if asked == "" && s.Type == "*" && len(s.Where) > 0 {
					return false
				}
				return s.Allows&needs != 0 && (s.Type == "*" || s.Type == typ) && (st.All || intersects(has, st.Parties)) && !intersects(has, st.Denied) && matches(s.Where)
			})
			v := g.View(needs, asked)
			if got := v.Shows(typ, has, matches); got != want {
				t.Fatalf("asked for %q: %v, want %v: %s", asked, got, want, describe(v))
			}
			for _, b := range v {
				if len(b.Where) > 0 && asked == "" && len(b.Types) != 1 {
					t.Fatalf("a branch with conditions is for %v", b.Types)
				}
			}
		}
	})
}

func describe(v View) string {
	var words []string
	for _, b := range v {
		words = append(words, fmt.Sprintf("%+v", b))
	}
	return strings.Join(words, " OR ")
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		view View
		want bool
	}{
		"nothing":         {nil, false},
		"zero branch":     {View{{}}, false},
		"trusted":         {Trusted("t").View(MayRead, "Task"), true},
		"all":             {View{{Parties: []Key{{Kind: Open}}}, {All: true}}, true},
		"all but a label": {View{{All: true, Denied: []Key{{Label, "V"}}}}, false},
		"cleared of all":  {View{{All: true, Denied: DeniedLabels([]string{AnyLabel}, false)}}, true},
		"all of a type":   {View{{All: true, Types: []string{"Task"}}}, false},
		"a condition":     {View{{All: true, Where: []Argument{{"code", "a"}}}}, false},
		"the zero grant":  {Grant{}.View(mayAll, ""), false},
	} {
		if got := tt.view.Unlimited(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
