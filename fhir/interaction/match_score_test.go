package interaction

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func personFrom(t *testing.T, body string) *person {
	t.Helper()
	r, err := fhir.Decode("Patient", []byte(`{"resourceType":"Patient",`+body+`}`))
	if err != nil {
		t.Fatal(err)
	}
	p := personOf(r.Root())
	return &p
}

const (
	nhs   = `"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"943 476 5919"}]`
	local = `"identifier":[{"system":"https://hospital.example/mrn","value":"MRN-1"}]`
	ada   = `"name":[{"family":"O'Sámple","given":["Ada","Maria"]}],"gender":"female","birthDate":"1980-02-05"`
	home  = `"address":[{"postalCode":"SW1A 1AA"}],"telecom":[{"system":"phone","value":"+44 7700 900123"}]`
)

// TestGrade compares one person with others.
func TestGrade(t *testing.T) {
	t.Parallel()
	full := strings.Join([]string{nhs, ada, home}, ",")
	for _, c := range []struct {
		name, other string
		want        Grade
	}{
		{"everything", full, Certain},
		{"number, date and name", nhs + `,"name":[{"family":"osample"}],"birthDate":"1980-02-05"`, Certain},
		{"number written without spaces", strings.ReplaceAll(nhs, " ", "") + "," + ada, Certain},
		{"everything but a number", ada + "," + home, Certain},
		{"the telephone written in another way", ada + `,"telecom":[{"system":"phone","value":"07700 900 123"}]`, Certain},
		{"name, date and gender", ada, Probable},
		{"day and month transposed", `"name":[{"family":"O'Sample","given":["Ada"]}],"birthDate":"1980-05-02",` + home, Probable},
		{"another family name", `"name":[{"family":"Example","given":["Ada"]}],"birthDate":"1980-02-05"`, Possible},
		{"one letter wrong", `"name":[{"family":"OSampel","given":["Ada"]}],"birthDate":"1980-02-05"`, Probable},
		{"an initial", `"name":[{"family":"OSample","given":["A"]}],"birthDate":"1980-02-05"`, Probable},
		{"number, another date and name", nhs + `,"name":[{"family":"Example","given":["Zoe"]}],"birthDate":"1999-09-09"`, Possible},
		{"number alone", nhs, Probable},
		{"twins", `"name":[{"family":"O'Sample","given":["Zoe"]}],"gender":"female","birthDate":"1980-02-05",` + home, CertainlyNot},
		{"the same name at the same home", `"name":[{"family":"O'Sample","given":["Ada"]}],"gender":"female","birthDate":"2010-11-27",` + home, Possible},
		{"name alone", `"name":[{"family":"O'Sample","given":["Ada"]}]`, CertainlyNot},
		{"name and postcode", `"name":[{"family":"O'Sample","given":["Ada"]}],` + home, Possible},
		{"another number, all else the same", `"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9000000009"}],` + ada + "," + home, Possible},
		{"another number", `"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9000000009"}],` + ada, CertainlyNot},
		{"a number with a wrong check digit", `"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765918"}],` + ada, Probable},
		{"nothing", `"active":true`, CertainlyNot},
	} {
		a, b := personFrom(t, full), personFrom(t, c.other)
		score, got := comparePersons(a, b).score()
		if got != c.want {
			t.Errorf("%s: %s (%+v), want %s", c.name, got, comparePersons(a, b), c.want)
		}
		if back, _ := comparePersons(b, a).score(); back != score {
			t.Errorf("%s: %v one way and %v the other", c.name, score, back)
		}
		low := map[Grade]float64{Certain: 0.95, Probable: 0.75, Possible: 0.4, CertainlyNot: 0}[got]
		high := map[Grade]float64{Certain: 1, Probable: 0.9499, Possible: 0.7499, CertainlyNot: 0.3999}[got]
		if score < low || score > high {
			t.Errorf("%s: %s has the score %v", c.name, got, score)
		}
	}
}

// TestOtherIdentifier has another system's number stand for somebody just as well.
func TestOtherIdentifier(t *testing.T) {
	t.Parallel()
	a, b := personFrom(t, local+","+ada), personFrom(t, local+`,"birthDate":"1980-02-05","name":[{"given":["Ada"]}]`)
	if g := comparePersons(a, b).grade(); g != Certain {
		t.Errorf("it is %s", g)
	}
}

func TestNHSNumber(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]bool{
		"9434765919": true, "9000000009": true, "9434765918": false, "943476591": false, "94347659190": false, "943476591X": false,
		"0000000000": false, "": false, "1000000010": false,
	} {
		if isNHSNumber(number) != want {
			t.Errorf("%s: %v", number, !want)
		}
	}
}

// TestEmpty says what is enough to look for somebody.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for body, empty := range map[string]bool{
		`"active":true`: true, `"gender":"female"`: true, `"birthDate":"1980-02-05"`: true, `"name":[{"family":"Sample"}]`: true,
		`"name":[{"family":"Sample","given":["Ada"]}]`: false, `"name":[{"family":"Sample"}],"birthDate":"1980"`: false,
		nhs: false, local: false, `"identifier":[{"value":"1"}]`: true, home: false, `"address":[{"postalCode":"SW1A 1AA"}]`: true,
	} {
		if p := personFrom(t, body); p.isEmpty() != empty {
			t.Errorf("%s: empty is %v", body, !empty)
		}
	}
}

func TestWordEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ada", "ada", 0}, {"ada", "", 3}, {"sample", "smaple", 1}, {"sample", "samples", 1}, {"sample", "simple", 1}, {"sample", "temple", 2}, {"łódź", "łodź", 1}} {
		if got := wordEdits(c.a, c.b); got != c.want || wordEdits(c.b, c.a) != got {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
