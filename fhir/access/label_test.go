package access

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func TestDeniedLabels(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		clearance []string
		patient   bool
		denied    string // of R, RETRACTED, V, NOPAT, PSY, SPI, COGN
	}{
		"staff":                   {nil, false, "COGN PSY R RETRACTED SPI V"},
		"patient":                 {nil, true, "COGN NOPAT PSY R RETRACTED SPI V"},
		"R":                       {[]string{"R"}, false, "COGN PSY RETRACTED SPI V"},
		"V covers R":              {[]string{"V"}, false, "COGN PSY RETRACTED SPI"},
		"patient with R and V":    {[]string{"R", "V"}, true, "COGN NOPAT PSY RETRACTED SPI V"},
		"one kind":                {[]string{"PSY"}, false, "COGN R RETRACTED SPI V"},
		"a wider kind":            {[]string{"BH"}, false, "PSY R RETRACTED SPI V"},
		"the widest kind":         {[]string{"SPI"}, false, "R RETRACTED V"},
		"no label":                {[]string{"nonsense", ""}, false, "COGN PSY R RETRACTED SPI V"},
		"all":                     {[]string{AnyLabel}, false, ""},
		"patient with all":        {[]string{AnyLabel}, true, "NOPAT RETRACTED V"},
		"an auditor":              {[]string{Retracted}, false, "COGN PSY R SPI V"},
		"patient who is cleared":  {[]string{NoPatient}, true, "COGN NOPAT PSY R RETRACTED SPI V"},
		"a label in another case": {[]string{"r"}, false, "COGN PSY R RETRACTED SPI V"},
	} {
		got := ""
		for _, k := range DeniedLabels(tt.clearance, tt.patient) {
			if slices.Contains([]string{"R", Retracted, "V", NoPatient, "PSY", "SPI", "COGN"}, k.Of) {
				got += " " + k.Of
			}
			if k.Kind != Label {
				t.Errorf("%s: %v is no label", name, k)
			}
		}
		if want := tt.denied; got != want && got != " "+want {
			t.Errorf("%s: denied%s, want %s", name, got, want)
		}
	}
}

type concept struct {
	Code    string
	Concept []concept
}

// TestSensitivities: our labels are the codes of R4's v3-ActCode below its policies
// of sensitivity, in the same hierarchy.
func TestSensitivities(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../../shared/r4/CodeSystem.ndjson.gz")
	if err != nil {
		t.Skip("R4's code systems are not at ../../../shared/r4")
	}
	t.Cleanup(func() { _ = f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	var walk func(all []concept, above string, inside bool)
	walk = func(all []concept, above string, inside bool) {
		for _, c := range all {
			abstract := c.Code[0] == '_'
			if inside && !abstract {
				codes = append(codes, c.Code)
				if broader(c.Code) != above {
					t.Errorf("%s is below %q, want %q", c.Code, broader(c.Code), above)
				}
			}
			next := ""
			if inside && !abstract {
				next = c.Code
			}
			walk(c.Concept, next, inside || c.Code == "_InformationSensitivityPolicy")
		}
	}
	for in := bufio.NewReader(z); ; {
		line, err := in.ReadBytes('\n')
		var system struct {
			URL     string
			Concept []concept
		}
		if len(line) > 1 && json.Unmarshal(line, &system) == nil && system.URL == "http://terminology.hl7.org/CodeSystem/v3-ActCode" {
			walk(system.Concept, "", false)
		}
		if err != nil {
			break
		}
	}
	slices.Sort(codes)
	if !slices.Equal(codes, sensitivities()) {
		t.Errorf("R4 has %q", codes)
	}
}
