package validate

// undivided returns the slices in k that nothing tells apart.
func (k *constraint) undivided(flaws []flaw) []flaw {
	if len(flaws) > maxIssues {
		return flaws
	}
	if len(k.slices) > 0 && k.slice == "" && k.slicing == nil && implied(k) == nil && !k.slices[0].from.IsZero() {
		flaws = append(flaws, flaw{at: k.slices[0].from, detail: "profile-slicing-missing", text: "Say by slicing how the slices of " + clip(k.id) + " are told apart.", mild: true})
	}
	for _, child := range k.children {
		flaws = child.undivided(flaws)
	}
	for _, s := range k.slices {
		flaws = s.undivided(flaws)
	}
	return flaws
}
