package access

import (
	"slices"
	"strings"
)

// NoPatient is the label that hides a resource from patients and those who act
// for them, whatever they may see besides.
const NoPatient = "NOPAT"

// AnyLabel is the clearance for all labels, and a label of all that has one.
const AnyLabel = "*"

// Retracted is the label of what its author has taken back, a code of [LabelSystem]. It hides
// the resource with all its earlier versions from everybody but auditors: staff and clients
// who are cleared of this label, or of all.
const Retracted = "RETRACTED"

// LabelSystem is the code system of the labels of this server.
const LabelSystem = "https://fhir.openconsult.example/CodeSystem/label"

// labelOf returns the code under which a security label can hide a resource, or
// "" if it cannot. Codes are taken in any case, and under the names that the
// systems had before R4: what is meant to hide does.
// https://hl7.org/fhir/R4/security-labels.html
func labelOf(system, code string) string {
	code = strings.ToUpper(code)
	switch system {
	case "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality", "urn:oid:2.16.840.1.113883.5.25":
		switch code {
		case "R", "V", "ETH", "HIV", "PSY", "SDV":
			return code
		case "S": // the patient asked for heightened confidentiality
			return "R"
		case "C": // a celebrity
			return "CEL"
		case "T": // taboo
			return "TBOO"
		}
	case LabelSystem:
		if code == Retracted {
			return code
		}
	case "http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode", "urn:oid:2.16.840.1.113883.5.4":
		if code == NoPatient || slices.Contains(sensitivities(), code) {
			return code
		}
	}
	return ""
}

// sensitivities returns the codes of R4's v3-ActCode below
// _InformationSensitivityPolicy.
// https://hl7.org/fhir/R4/v3/ActCode/cs.html
func sensitivities() []string {
	return []string{
		"ADOL", "B", "BH", "CEL", "COGN", "DEMO", "DIA", "DOB", "DRGIS", "DVD", "EMOTDIS", "EMP", "EMPL", "ETH", "ETHUD", "GDIS", "GENDER", "HIV",
		"LIVARG", "LOCIS", "MARST", "MH", "MST", "OPIOIDUD", "PDS", "PHY", "PRS", "PSY", "PSYTHPN", "RACE", "REL", "SCA", "SDV", "SEX", "SICKLE",
		"SPI", "SSP", "STD", "SUD", "TBOO", "VIO",
	}
}

// broader returns the next label whose clearance covers that of code, or "".
func broader(code string) string {
	switch code {
	case "R":
		return "V"
	case "COGN", "DVD", "EMOTDIS":
		return "BH"
	case "ETHUD", "OPIOIDUD":
		return "SUD"
	case "BH", "MH", "PSY", "PSYTHPN", "SUD":
		return "SPI"
	}
	return ""
}

// DeniedLabels returns the labels that a clearance, such as R and PSY, does not
// cover, in order. V covers R as well, and a kind of sensitivity those below it.
// Nobody clears a patient, or who acts for one, of NOPAT, V and RETRACTED.
// https://hl7.org/fhir/R4/v3/ConfidentialityClassification/vs.html
func DeniedLabels(clearance []string, patient bool) []Key {
	all := append(sensitivities(), "R", "V", NoPatient, Retracted)
	slices.Sort(all)
	denied := make([]Key, 0, len(all))
	for _, code := range all {
		cleared := covers(clearance, code)
		switch {
		case code == NoPatient:
			cleared = !patient
		case (code == "V" || code == Retracted) && patient:
			cleared = false
		}
		if !cleared {
			denied = append(denied, Key{Label, code})
		}
	}
	return denied
}

func covers(clearance []string, code string) bool {
	for c := code; c != ""; c = broader(c) {
		if slices.Contains(clearance, c) {
			return true
		}
	}
	return slices.Contains(clearance, AnyLabel)
}
