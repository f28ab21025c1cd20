package interaction

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A will is what a Consent says about somebody.
type will uint8

const (
	silent  will = iota // nothing that counts
	permits             // they may act for the patient
	denies              // they may not, whatever another Consent says
)

// lets returns what consent, a Consent, says about who stands in its provisions as
// an actor, at a moment.
//
// It counts only while its status is active, its scope is patient-privacy and its
// provision is in its period. A provision permits if its type is permit and it
// names the actor; at the top, or one level below a provision that denies or has no
// type, as an exception from it. One that limits this in a way that is not
// followed here (by data, class, code, purpose, label, data period or exceptions
// of its own, or to other actions than access and use) permits nothing. Whatever
// names the actor and does not permit denies. Nobody is let by being the one who performed
// the Consent, or the organization in it. https://hl7.org/fhir/R4/consent.html
func lets(consent fhir.Node, isActor func(fhir.Node) bool, at time.Time) will {
	top := consent.Child("provision")
	if consent.Child("status").Text() != "active" || !isPrivacy(consent.Child("scope")) || top.IsZero() || !during(top.Child("period"), at) {
		return silent
	}
	below := silent
	for p := range top.Each("provision") {
		if !during(p.Child("period"), at) || !names(p, isActor) {
			continue
		}
		if p.Child("type").Text() != "permit" {
			return denies
		}
		if top.Child("type").Text() != "permit" && isWhole(p) {
			below = permits
		}
	}
	switch {
	case below == permits:
		return permits
	case !names(top, isActor):
		return silent
	case top.Child("type").Text() == "deny":
		return denies
	case top.Child("type").Text() == "permit" && isWhole(top):
		return permits
	}
	return silent
}

func isPrivacy(scope fhir.Node) bool {
	for c := range scope.Each("coding") {
		if c.Child("system").Text() == "http://terminology.hl7.org/CodeSystem/consentscope" && c.Child("code").Text() == "patient-privacy" {
			return true
		}
	}
	return false
}

// names reports whether a provision names the actor.
func names(provision fhir.Node, isActor func(fhir.Node) bool) bool {
	for a := range provision.Each("actor") {
		if isActor(a.Child("reference")) {
			return true
		}
	}
	return false
}

// isWhole reports whether a provision has nothing that limits what it permits.
func isWhole(provision fhir.Node) bool {
	acts := provision.Child("action").IsZero()
	for c := range provision.Children() {
		switch c.Name() {
		case "id", "type", "period", "actor":
		case "action":
			for coding := range c.Each("coding") {
				code := coding.Child("code").Text()
				acts = acts || coding.Child("system").Text() == "http://terminology.hl7.org/CodeSystem/consentaction" && (code == "access" || code == "use")
			}
		default:
			return false
		}
	}
	return acts
}
