package interaction

import (
	"slices"
	"strings"
	"unicode"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Grade says how likely two records are of one person.
// https://hl7.org/fhir/R4/valueset-match-grade.html
type Grade string

// The grades, best first.
const (
	Certain      Grade = "certain"
	Probable     Grade = "probable"
	Possible     Grade = "possible"
	CertainlyNot Grade = "certainly-not"
)

// nhsSystem is the system of numbers of which every patient of the NHS has one.
const nhsSystem = "https://fhir.nhs.uk/Id/nhs-number"

// A person is what of a Patient is compared: folded, and without what says nothing.
type person struct {
	nhs         []string    // numbers whose check digit is right, of now and of before
	identifiers [][2]string // system and value of others
	families    []string
	givens      []string // first names and further ones
	birth       string   // "2001", "2001-02", "2001-02-03"
	gender      string   // not "unknown"
	postcodes   []string // without spaces
	telecoms    []string // e-mail addresses, and the digits of telephone numbers without what stands for the country

	spelt spelling
}

// A spelling is what a person is searched by, as it was written.
type spelling struct{ identifiers, families, givens, telecoms []string }

// personOf returns what of a Patient is compared.
func personOf(patient fhir.Node) person {
	p := person{birth: patient.Child("birthDate").Text(), gender: patient.Child("gender").Text()}
	if p.gender == "unknown" {
		p.gender = ""
	}
	for n := range patient.Each("identifier") {
		p.identify(n)
	}
	for n := range patient.Each("name") {
		p.families = appendNew(p.families, nameLetters(n.Child("family").Text()))
		p.spelt.families = appendNew(p.spelt.families, n.Child("family").Text())
		for g := range n.Each("given") {
			p.givens = appendNew(p.givens, nameLetters(g.Text()))
			p.spelt.givens = appendNew(p.spelt.givens, g.Text())
		}
	}
	for n := range patient.Each("address") {
		p.postcodes = appendNew(p.postcodes, strings.ReplaceAll(search.Fold(n.Child("postalCode").Text()), " ", ""))
	}
	for n := range patient.Each("telecom") {
		if by := reachedBy(n); by != "" {
			p.telecoms = appendNew(p.telecoms, by)
			p.spelt.telecoms = appendNew(p.spelt.telecoms, n.Child("value").Text())
		}
	}
	return p
}

// identify takes an identifier that is not known to be wrong. One that is no longer used still
// tells who somebody is.
func (p *person) identify(n fhir.Node) {
	system, value := n.Child("system").Text(), n.Child("value").Text()
	switch {
	case system == nhsSystem:
		number := strings.ReplaceAll(strings.ReplaceAll(value, " ", ""), "-", "")
		if !isNHSNumber(number) {
			return
		}
		p.nhs = appendNew(p.nhs, number)
		p.spelt.identifiers = appendNew(p.spelt.identifiers, search.Escape(system)+"|"+number)
	case system != "" && value != "":
		p.identifiers = append(p.identifiers, [2]string{system, value})
	default:
		return
	}
	p.spelt.identifiers = appendNew(p.spelt.identifiers, search.Escape(system)+"|"+search.Escape(value))
}

func appendNew(all []string, s string) []string {
	if s == "" || slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}

// nameLetters returns a name without case, accents, spaces and hyphens.
func nameLetters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, search.Fold(name))
}

// reachedBy returns what a ContactPoint is compared by.
func reachedBy(n fhir.Node) string {
	value := n.Child("value").Text()
	if strings.Contains(value, "@") {
		return strings.TrimSpace(search.Fold(value))
	}
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, value)
	if len(digits) < 7 {
		return "" // which many have
	}
	return digits[max(0, len(digits)-10):]
}

// isNHSNumber reports whether s has ten digits of which the last one checks the others.
// https://www.datadictionary.nhs.uk/attributes/nhs_number.html
func isNHSNumber(s string) bool {
	if len(s) != 10 {
		return false
	}
	sum := 0
	for i, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
		if i < 9 {
			sum += int(c-'0') * (10 - i)
		}
	}
	check := (11 - sum%11) % 11
	return check < 10 && check == int(s[9]-'0') && s != "0000000000"
}

// isEmpty reports whether there is nothing to find somebody by.
func (p *person) isEmpty() bool {
	return len(p.nhs) == 0 && len(p.identifiers) == 0 && len(p.telecoms) == 0 &&
		(len(p.families) == 0 && len(p.givens) == 0 || p.birth == "" && (len(p.families) == 0 || len(p.givens) == 0))
}

// An agreement says how one element of two records compares.
type agreement int8

const (
	agreeNot    agreement = -1
	agreeSilent agreement = 0 // one of them does not say
	agreeNearly agreement = 1
	agreeFully  agreement = 2
)

// agreements are those of two persons.
type agreements struct {
	nhs, identifier, birth, family, given, gender, postcode, telecom agreement
}

// comparePersons compares two persons, either way round with the same result.
func comparePersons(a, b *person) agreements {
	return agreements{
		nhs:        compareNumbers(a.nhs, b.nhs),
		identifier: sharedOne(a.identifiers, b.identifiers),
		birth:      compareBirths(a.birth, b.birth),
		family:     compareNames(a.families, b.families, false),
		given:      compareNames(a.givens, b.givens, true),
		gender:     sameText(a.gender, b.gender),
		postcode:   sharedOne(a.postcodes, b.postcodes),
		telecom:    sharedOne(a.telecoms, b.telecoms),
	}
}

func sameText(a, b string) agreement {
	switch {
	case a == "" || b == "":
		return agreeSilent
	case a == b:
		return agreeFully
	}
	return agreeNot
}

// compareNumbers compares numbers of which everybody has one at a time.
func compareNumbers(a, b []string) agreement {
	if len(a) == 0 || len(b) == 0 || sharedOne(a, b) == agreeFully {
		return sharedOne(a, b)
	}
	return agreeNot
}

// sharedOne says of what somebody may have several of, and others beside, only if they have one in
// common.
func sharedOne[T comparable](a, b []T) agreement {
	if slices.ContainsFunc(a, func(x T) bool { return slices.Contains(b, x) }) {
		return agreeFully
	}
	return agreeSilent
}

// compareBirths compares dates of birth. One with day and month in the other's place is near, and so
// is one that is less exact, or has one wrong digit.
func compareBirths(a, b string) agreement {
	switch {
	case a == "" || b == "":
		return agreeSilent
	case a == b && len(a) == len("2001-02-03"):
		return agreeFully
	case strings.HasPrefix(a, b), strings.HasPrefix(b, a), a == transposedDate(b):
		return agreeNearly
	case len(a) == len(b) && wordEdits(a, b) == 1:
		return agreeNearly
	}
	return agreeNot
}

// transposedDate returns a date with its day as month; empty if there is none.
func transposedDate(date string) string {
	if len(date) != len("2001-02-03") || date[8:] > "12" {
		return ""
	}
	return date[:4] + "-" + date[8:] + "-" + date[5:7]
}

// compareNames compares the best of some names. Given ones may be initials and short forms.
func compareNames(a, b []string, given bool) agreement {
	if len(a) == 0 || len(b) == 0 {
		return agreeSilent
	}
	best := agreeNot
	for _, x := range a {
		for _, y := range b {
			switch {
			case x == y:
				return agreeFully
			case given && (strings.HasPrefix(x, y) || strings.HasPrefix(y, x)), min(len(x), len(y)) >= 4 && wordEdits(x, y) == 1:
				best = agreeNearly
			}
		}
	}
	return best
}

// wordEdits returns how many letters have to be put in, left out, replaced, or changed with the
// next one, to make b of a. https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance
func wordEdits(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// grade says what agreements come to. Who has another NHS number is at best possible; certain takes
// a number and who was born then with that name, or everything else that is compared.
func (a agreements) grade() Grade {
	identified := a.nhs == agreeFully || a.identifier == agreeFully
	reached := a.postcode == agreeFully || a.telecom == agreeFully
	named := a.family > agreeSilent && a.given > agreeSilent
	fits := 0
	for _, x := range []agreement{a.birth, a.family, a.given} {
		if x > agreeSilent {
			fits++
		}
	}
	switch {
	case a.nhs == agreeNot && fits == 3 && reached:
		return Possible
	case a.nhs == agreeNot:
		return CertainlyNot
	case identified && a.birth == agreeFully && (a.family > agreeSilent || a.given > agreeSilent) && a.given != agreeNot:
		return Certain
	case a.family == agreeFully && a.given == agreeFully && a.birth == agreeFully && a.gender == agreeFully && reached:
		return Certain
	case identified && a.birth != agreeNot && (a.family != agreeNot || a.given > agreeSilent):
		return Probable
	case a.birth == agreeFully && named && a.gender != agreeNot, a.birth == agreeNearly && a.family == agreeFully && a.given == agreeFully && reached:
		return Probable
	case identified, fits == 3, fits == 2 && (reached || a.birth == agreeFully) && a.given != agreeNot, reached && named && a.birth != agreeNot:
		return Possible
	}
	return CertainlyNot
}

// score returns how well two persons agree, from 0 to 1. Whatever has a better grade has a
// higher score: certain from 0.95, probable from 0.75, possible from 0.4.
func (a agreements) score() (float64, Grade) {
	weights := []struct {
		agreement
		points int
	}{{a.nhs, 30}, {a.identifier, 15}, {a.birth, 20}, {a.family, 12}, {a.given, 12}, {a.gender, 3}, {a.postcode, 4}, {a.telecom, 4}}
	got := 0
	for _, w := range weights {
		got += w.points * int(w.agreement)
	}
	part := float64(max(got, 0)) / 200
	switch g := a.grade(); g {
	case Certain:
		return 0.95 + 0.05*part, g
	case Probable:
		return 0.75 + 0.19*part, g
	case Possible:
		return 0.4 + 0.34*part, g
	default:
		return 0.39 * part, g
	}
}
