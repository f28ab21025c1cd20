package consultation

import "slices"

// The business statuses of advice and guidance, and of referrals.
const (
	ProviderResponseRequired   = "PROVIDER_RESPONSE_REQUIRED"
	ReferrerToSubmitMore       = "REFERRER_TO_SUBMIT_FURTHER_INFORMATION"
	ReferrerToReview           = "REFERRER_TO_REVIEW_RESPONSE"
	ConversationEndedClosed    = "CONVERSATION_ENDED_CLOSED"
	ConversationEndedCancelled = "CONVERSATION_ENDED_CANCELLED"
	AdviceConverted            = "ADVICE_CONVERTED"
)

// providerConverted is the outcome of advice that became a referral.
const providerConverted = "PROVIDER_CONVERTED"

// businessSystem returns the code system of the business status of a kind.
func businessSystem(kind Kind) string {
	if r := machine().kinds[kind]; r != nil && r.system != "" {
		return r.system
	}
	return BusinessSystem
}

// businessStatusFor returns the business status that a Task of t's kind gets when it comes
// into t's status with t's outputs, a code of [AdviceStatusSystem]. It is empty for the
// kinds whose business status is not derived, and for drafts. A Task that is entered in
// error keeps what it has.
func businessStatusFor(t Task) string {
	r := machine().kinds[t.Kind]
	switch {
	case r == nil || r.system == "":
		return ""
	case t.Status == StatusEnteredInError:
		return t.BusinessStatus
	}
	may := r.business[t.Status]
	switch {
	case len(may) == 0:
		return ""
	case t.converted() && slices.Contains(may, AdviceConverted):
		return AdviceConverted
	}
	return may[0]
}

// converted says whether the outcome of t is a referral.
func (t Task) converted() bool {
	return t.has("guidance-outcome", AdviceOutcomeSystem, providerConverted)
}

// removable are the business statuses of a consultation that its owner may take away, once
// they are dealt with.
func removable(code string) bool {
	switch code {
	case New, PossibleDuplicate:
		return true
	}
	return false
}

// closes returns the move of the business status that next asks for, with the status as
// it is, and whether there is one.
func (r *rules) closes(old, next Task) (closing, bool) {
	i := slices.IndexFunc(r.closing, func(c closing) bool {
		return c.status == old.Status && c.status == next.Status && c.from == old.BusinessStatus && c.to == next.BusinessStatus
	})
	if i < 0 {
		return closing{}, false
	}
	return r.closing[i], true
}
