package consultation

import (
	"strings"
	"unicode"

	"github.com/openconsult/openconsult/fhir"
)

// alikeEnough is how much of two responses must agree: an answer or a few words may differ.
const alikeEnough = 0.9

// NearlyIdentical reports whether two responses to the same form, of whatever version, say
// nearly the same: nine tenths of their answers agree, where a text agrees as far as its
// words do. Two responses without answers do not. The caller sees to it that they are of
// one patient and of the same day.
func NearlyIdentical(a, b fhir.Node) bool {
	if formOf(a) == "" || formOf(a) != formOf(b) {
		return false
	}
	x, y := answersOf(a), answersOf(b)
	agreed, all := 0.0, 0
	for id, values := range x {
		agreed += agreement(values, y[id])
		all += len(values)
	}
	for _, values := range y {
		all += len(values)
	}
	return all > 0 && 2*agreed >= alikeEnough*float64(all)
}

// Repeats reports whether a response that is sent is the one that is kept, but for what the
// server adds where it is left out: subject, author, source and authored. Both are completed or
// amended, which makes no difference.
func Repeats(sent, kept fhir.Node) bool {
	added := []string{"id", "meta", "status"}
	for _, name := range []string{"subject", "author", "source", "authored"} {
		if sent.Child(name).IsZero() {
			added = append(added, name)
		}
	}
	return sameChildren(sent, kept, added...)
}

// formOf returns the form of a response, without its version.
func formOf(response fhir.Node) string {
	url, _, _ := strings.Cut(response.Child("questionnaire").Text(), "|")
	return url
}

// agreement returns how many of the answers to one question are also among others. Equal
// answers are counted first; a text is compared with that at its own place.
func agreement(x, y []fhir.Node) float64 {
	left := map[string]int{}
	for _, v := range y {
		left[answerKey(v)]++
	}
	sum := 0.0
	for i, v := range x {
		switch key := answerKey(v); {
		case left[key] > 0:
			left[key]--
			sum++
		case i < len(y) && v.Property() == "valueString" && y[i].Property() == "valueString":
			if other := answerKey(y[i]); left[other] > 0 {
				left[other]--
				sum += sharedWords(v.Text(), y[i].Text())
			}
		}
	}
	return sum
}

// answerKey returns what makes two answers equal: their type and value. An attachment is
// its content, as far as the hash or size tell, since a second upload has another address.
func answerKey(v fhir.Node) string {
	switch v.Property() {
	case "valueString":
		return "text " + strings.Join(words(v.Text()), " ")
	case "valueCoding":
		return "code " + v.Child("system").Text() + "|" + v.Child("code").Text() + "|" + v.Child("display").Text()[:displayLength(v)]
	case "valueAttachment":
		if hash := v.Child("hash").Text(); hash != "" {
			return "hash " + hash
		}
		return "file " + v.Child("contentType").Text() + "|" + v.Child("size").Text() + "|" + v.Child("title").Text()
	}
	return v.Property() + string(v.Raw())
}

// displayLength is how much of a display counts: all of it when there is no code.
func displayLength(coding fhir.Node) int {
	if coding.Child("code").HasValue() {
		return 0
	}
	return len(coding.Child("display").Text())
}

// words returns the words of a text in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// sharedWords returns the share of the words of two texts that are in both, from 0 to 1.
func sharedWords(a, b string) float64 {
	x, y := words(a), words(b)
	if len(x)+len(y) == 0 {
		return 1
	}
	count := map[string]int{}
	for _, w := range x {
		count[w]++
	}
	both := 0
	for _, w := range y {
		if count[w] > 0 {
			count[w]--
			both++
		}
	}
	return 2 * float64(both) / float64(len(x)+len(y))
}
