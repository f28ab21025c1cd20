package fhir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inputs returns resources of typical shapes and sizes, by name.
func inputs(t testing.TB) map[string][]byte {
	t.Helper()
	in := map[string][]byte{"qr30": questionnaireResponse(30), "qr300": questionnaireResponse(300)}
	for _, name := range []string{"communication", "task", "patient"} {
		src, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		in[name] = src
	}
	in["bundle100"] = bundle(100, in["communication"])
	return in
}

// questionnaireResponse returns one with n items in groups of ten.
func questionnaireResponse(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"resourceType":"QuestionnaireResponse","id":"qr","questionnaire":"https://fhir.example.org/Questionnaire/skin|1.0","status":"completed","subject":{"reference":"Patient/p-204"},"authored":"2024-03-04T09:00:00+01:00","item":[`)
	for i := range n {
		switch {
		case i == 0:
			b.WriteString(`{"linkId":"group-0","text":"Group 0","item":[`)
		case i%10 == 0:
			fmt.Fprintf(&b, `]},{"linkId":"group-%d","text":"Group %[1]d","item":[`, i/10)
		default:
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"linkId":"question-%d","text":"How does question %[1]d apply?","answer":[%s]}`, i, answer(i))
	}
	b.WriteString(`]}]}`)
	return []byte(b.String())
}

func answer(i int) string {
	switch i % 4 {
	case 0:
		return `{"valueBoolean":true}`
	case 1:
		return fmt.Sprintf(`{"valueDecimal":%d.50}`, i)
	case 2:
		return `{"valueString":"It began in March and has not changed since."}`
	}
	return `{"valueCoding":{"system":"http://snomed.info/sct","code":"373066001","display":"Yes"}}`
}

// bundle returns a collection of n copies of resource.
func bundle(n int, resource []byte) []byte {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"fullUrl":"https://fhir.example.org/Communication/%d","resource":%s}`, i, resource)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}
