package fhir

import (
	"strings"
	"testing"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	home := func(element, use string) bool { return element == "birthDate" || element == "telecom" && use == "home" }
	const tag = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	for name, tt := range map[string]struct{ src, want string }{
		"nothing": {`"active":true`, `"meta":{"tag":[` + tag + `]},"active":true`},
		"a value": {`"birthDate":"1970-01-01","_birthDate":{"id":"a"},"active":true`, `"meta":{"tag":[` + tag + `]},"active":true`},
		"only what stands beside it": {`"_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]}`,
			`"meta":{"tag":[` + tag + `]}`},
		"one of several": {`"telecom":[{"use":"work","value":"1"},{"value":"2","use":"home"},{"value":"3"}]`,
			`"meta":{"tag":[` + tag + `]},"telecom":[{"use":"work","value":"1"},{"value":"3"}]`},
		"all":            {`"telecom":[{"value":"2","use":"home"},{"use":"home"}],"active":true`, `"meta":{"tag":[` + tag + `]},"active":true`},
		"written oddly":  {`"telecom":[{"value":"2","use":"\u0068ome"}]`, `"meta":{"tag":[` + tag + `]}`},
		"another's home": {`"address":[{"use":"home","city":"x"}]`, `"meta":{"tag":[` + tag + `]},"address":[{"use":"home","city":"x"}]`},
		"meta":           {`"meta":{"tag":[{"code":"t"}],"security":[{"code":"R"}]},"active":true`, `"meta":{"tag":[` + tag + `,{"code":"t"}],"security":[{"code":"R"}]},"active":true`},
		"tagged already": {`"meta":{"tag":[` + tag + `]}`, `"meta":{"tag":[` + tag + `]}`},
	} {
		doc, err := Decode("Practitioner", []byte(`{"resourceType":"Practitioner","id":"p",`+tt.src+`}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		stored := doc.Stored("p")
		before := string(stored)
		got := string(Without(stored, home))
		if want := `{"resourceType":"Practitioner","id":"p",` + tt.want + `}`; got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
		if string(stored) != before {
			t.Errorf("%s: what was stored has changed", name)
		}
		k := Key{Type: "Practitioner", ID: "p"}
		whole := Stamp(nil, []byte(got), k, Meta{Version: 3})
		if r, err := Decode("Practitioner", whole); err != nil || r.VersionID() != "3" || strings.Count(string(whole), "SUBSETTED") != 1 {
			t.Errorf("%s: stamped %s: %v", name, whole, err)
		}
		part, err := Subset("Practitioner", whole, Selection{Elements: []string{"telecom"}})
		if err != nil || strings.Count(string(part), "SUBSETTED") != 1 {
			t.Errorf("%s: a subset of it: %s, %v", name, part, err)
		}
	}
}
