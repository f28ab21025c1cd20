package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

// An item is one thing that a person may allow or not. One with Kinds has a
// Choice ("all", "some" or "none"), any other a tick.
type item struct {
	ID            string // of the element
	Value         string // of the tick
	Label, Detail string
	Checked       bool
	Kinds         []kind
	Choice        string
	Problem       *problem // nil for none
}

const identity = "identity" // value of the tick for openid, fhirUser and profile

// items returns what may be allowed of scopes, all of it ticked as it was asked.
// Access while the person is away is not among them.
func items(s auth.Scopes, inContext bool) []item {
	var list []item
	for i, scope := range s.Resource {
		it := item{ID: scopeID(i), Value: scope.Text, Checked: true}
		it.Label, it.Detail = clause(scope, inContext)
		if scope.Type == "*" && includesOther(s.Resource, scope) {
			it.Detail += " Other things in this list are part of it."
		}
		if divisible(scope) {
			it.Kinds, it.Choice = kindsOf(scope.Type), "all"
		}
		list = append(list, it)
	}
	if s.OpenID || s.FHIRUser || s.Profile {
		list = append(list, item{ID: identity, Value: identity, Checked: true, Label: "Know who you are", Detail: "Your name, and your own entry in the register of patients or staff."})
	}
	if s.Online {
		list = append(list, item{ID: "online-access", Value: "online_access", Checked: true, Label: "Stay connected while you are signed in"})
	}
	return list
}

// includesOther reports whether a scope for everything includes another of list.
func includesOther(list []auth.Scope, all auth.Scope) bool {
	return slices.ContainsFunc(list, func(s auth.Scope) bool {
		return s.Text != all.Text && s.Context == all.Context && s.Allows&all.Allows != 0 && !isDirectory(s.Type)
	})
}

func scopeID(i int) string { return "scope-" + strconv.Itoa(i+1) }

// offlineItem is the tick for access while the person is away.
func offlineItem() *item {
	return &item{
		ID: "offline-access", Value: "offline_access", Checked: true,
		Label:  "Keep access when you are not using the app",
		Detail: "The app asks for offline access. It can go on seeing and doing what you allow above without you, until you remove it under Your apps. Without this tick its access ends after a while and it has to ask you again.",
	}
}

// divisible reports whether a person may allow single kinds of what a scope
// covers.
func divisible(s auth.Scope) bool {
	return len(s.Where) == 0 && s.Allows&(access.MayRead|access.MaySearch) != 0 && kindsOf(s.Type) != nil
}

// tick gives p the ticks of a form that was sent, and what is wrong with it.
func (p *proposal) tick(form url.Values, problems []problem) {
	ticked := form["scope"]
	for i := range p.Items {
		it := &p.Items[i]
		it.Problem = about(it.ID, problems)
		it.Checked = slices.Contains(ticked, it.Value)
		if it.Kinds == nil {
			continue
		}
		if it.Choice = form.Get(it.ID); it.Choice == "all" && len(form[it.ID+"-kind"]) > 0 {
			it.Choice = "some"
		}
		for k := range it.Kinds {
			it.Kinds[k].Checked = slices.Contains(form[it.ID+"-kind"], it.Kinds[k].Code)
		}
	}
	if p.Offline != nil {
		p.Offline.Checked = slices.Contains(ticked, p.Offline.Value)
	}
}

// about returns the first problem with an item, nil for none.
func about(item string, problems []problem) *problem {
	for i, p := range problems {
		if p.Field == item || strings.HasPrefix(p.Field, item+"-") {
			return &problems[i]
		}
	}
	return nil
}

// choose returns what a form allows of the scopes asked for, in their order and
// spelling. Nothing at all, and a form that contradicts itself, is a problem.
// Launch scopes give nothing away by themselves, so they stay.
func choose(asked auth.Scopes, form url.Values) (auth.Scopes, []problem) {
	ticked := func(value string) bool { return slices.Contains(form["scope"], value) }
	chosen := asked
	chosen.Resource = nil
	var problems []problem
	for i, s := range asked.Resource {
		if !divisible(s) {
			if ticked(s.Text) {
				chosen.Resource = append(chosen.Resource, s)
			}
			continue
		}
		some, trouble := chooseKinds(s, scopeID(i), form)
		chosen.Resource = append(chosen.Resource, some...)
		problems = append(problems, trouble...)
	}
	if !ticked(identity) {
		chosen.OpenID, chosen.FHIRUser, chosen.Profile = false, false, false
	}
	chosen.Offline = asked.Offline && ticked("offline_access")
	chosen.Online = asked.Online && ticked("online_access")
	if problems == nil {
		problems = undone(asked, chosen)
	}
	if problems == nil && len(chosen.Resource) == 0 && (len(asked.Resource) > 0 || !chosen.OpenID) {
		problems = []problem{{"scopes", "Tick at least one thing that the app may see or do, or choose Do not allow."}}
	}
	return chosen, problems
}

// undone finds what was taken out while something that includes it was left in:
// the person would give away what they think they keep.
func undone(asked, chosen auth.Scopes) (list []problem) {
	for i, wide := range asked.Resource {
		if !has(chosen, wide) || len(wide.Where) > 0 {
			continue
		}
		out := slices.ContainsFunc(asked.Resource, func(s auth.Scope) bool {
			both := s.Allows & wide.Allows
			included := wide.Type == "*" && both != 0 || wide.Type == s.Type && both == s.Allows
			return s.Context == wide.Context && included && !has(chosen, s)
		})
		if out {
			label, _ := clause(wide, false)
			list = append(list, problem{scopeID(i), "“" + label + "” includes something that you took out. Take this out as well, or put the other back."})
		}
	}
	return list
}

func has(s auth.Scopes, scope auth.Scope) bool {
	return slices.ContainsFunc(s.Resource, func(o auth.Scope) bool { return o.Text == scope.Text })
}

// chooseKinds returns s, or a scope for each of its kinds that was ticked.
func chooseKinds(s auth.Scope, id string, form url.Values) ([]auth.Scope, []problem) {
	ticked := form[id+"-kind"]
	switch form.Get(id) {
	case "all":
		if len(ticked) > 0 {
			return nil, []problem{{id + "-all", "You chose every kind of " + noun(s.Type) + " and also ticked some. Choose one of the two."}}
		}
		return []auth.Scope{s}, nil
	case "some":
	default:
		return nil, nil
	}
	var list []auth.Scope
	for _, k := range kindsOf(s.Type) {
		if slices.Contains(ticked, k.Code) {
			list = append(list, narrowed(s, k))
		}
	}
	if list == nil {
		return nil, []problem{{id + "-some", "Tick the kinds of " + noun(s.Type) + " that you want to allow, or choose None."}}
	}
	return list, nil
}

// narrowed returns s for one kind. SMART has no v1 spelling for that.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
func narrowed(s auth.Scope, k kind) auth.Scope {
	s.Where = []access.Argument{{Param: "category", Value: k.argument()}}
	context := map[access.Context]string{access.ForPatient: "patient", access.ForUser: "user", access.ForSystem: "system"}[s.Context]
	s.Text = context + "/" + s.Type + "." + letters(s.Allows) + "?category=" + k.argument()
	return s
}

// letters writes permissions as v2 scopes do.
func letters(p access.Permission) string {
	var b strings.Builder
	for i, letter := range "cruds" {
		if p&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}
