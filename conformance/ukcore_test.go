package conformance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// ukCore is where the definitions of UK Core have their URLs.
const ukCore = "https://fhir.hl7.org.uk/StructureDefinition/"

// TestUKCore installs UK Core as a package and holds its examples to their profiles, and
// resources that break them in ways that it must find.
func TestUKCore(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(shared(), "suites", "ukcore")
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("UK Core is not here (set OPENCONSULT_SHARED): %v", err)
	}
	base := serveIdle(t).base // the forms of some answers are not among the definitions
	content := packFolder(t, folder)
	for _, told := range []string{"378 definitions are new, 0 have changed, 0 were there", "0 definitions are new, 0 have changed, 378 were there"} {
		if status, body := install(t, base, bytes.NewReader(content)); status != http.StatusOK || !strings.Contains(body, told) {
			t.Fatalf("%d %.600s, want %q", status, body, told)
		}
	}
	ukExamples(t, base, folder)
	for _, v := range ukViolations() {
		v.sought(t, base)
	}
}

// ukExamples asks of each example that can be read if it conforms to its profile.
func ukExamples(t *testing.T, base, folder string) {
	t.Helper()
	list, err := os.ReadFile(filepath.Join("..", "fhir", "validate", "testdata", "profile_ukcore.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(folder, "examples", "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	root := regexp.MustCompile(`<([A-Z][A-Za-z]+)\s`)
	conform, unread, claims := 0, 0, 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		typ := root.FindSubmatch(text)
		if typ == nil {
			t.Errorf("%s is no resource", name)
			continue
		}
		address := base + "/" + string(typ[1]) + "/$validate"
		if profile := ukProfile(folder, name); profile != "" && strings.HasPrefix(profile, "UKCore-"+string(typ[1])) {
			address += "?profile=" + ukCore + profile
			claims++
		}
		issues := validateXML(t, address, text)
		known := bytes.Contains(list, []byte("examples/"+filepath.Base(name)+": "))
		switch {
		case slices.ContainsFunc(issues, finding.structural):
			unread++
		case slices.ContainsFunc(issues, func(i finding) bool { return i.Severity == "error" }) != known:
			t.Errorf("%s: %+v", name, issues)
		case !known:
			conform++
		}
	}
	t.Logf("%d examples with %d claims: %d conform, %d are no FHIR", len(names), claims, conform, unread)
	if conform < 190 || claims < 80 {
		t.Error("these are too few")
	}
}

// ukProfile returns the name of the profile that an example is called after.
func ukProfile(folder, example string) string {
	parts := strings.Split(strings.TrimSuffix(filepath.Base(example), ".xml"), "-")
	for n := len(parts) - 1; n >= 2; n-- {
		name := strings.Join(parts[:n], "-")
		if _, err := os.Stat(filepath.Join(folder, "structuredefinitions", name+".xml")); err == nil {
			return name
		}
	}
	return ""
}

// A finding is an issue of an OperationOutcome.
type finding struct {
	Severity, Code string
	Expression     []string
	Details        struct {
		Coding []struct{ Code string }
		Text   string
	}
	Extension []struct{ URL, ValueString string }
}

// structural reports whether an issue says that something is no FHIR at all.
func (i finding) structural() bool {
	return (i.Severity == "error" || i.Severity == "fatal") && strings.HasPrefix(i.rule(), fhir.OutcomeSystem)
}

// rule returns the rule that an issue names.
func (i finding) rule() string {
	for _, e := range i.Extension {
		if strings.HasSuffix(e.URL, "operationoutcome-issue-source") {
			return e.ValueString
		}
	}
	return ""
}

func validateXML(t *testing.T, address string, text []byte) []finding {
	t.Helper()
	a, err := http.Post(address, "application/fhir+xml", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var o struct{ Issue []finding }
	if err := json.NewDecoder(a.Body).Decode(&o); err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %v", address, a.StatusCode, err)
	}
	return o.Issue
}

// A violation is a resource that breaks a profile.
type violation struct {
	profile, resource string
	detail, at        string // of the only error that is to be found
	rule              string // what its rule ends in
}

// ukViolations break the cardinality, bindings, slices and extensions of UK Core.
func ukViolations() []violation {
	const (
		verified = `{"url":"` + ukCore + `Extension-UKCore-NHSNumberVerificationStatus","valueCodeableConcept":{"coding":[{"system":"https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland","code":"01"}]}}`
		ethnic   = `{"url":"` + ukCore + `Extension-UKCore-EthnicCategory","valueCodeableConcept":{"text":"Not said"}}`
		number   = `{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9912003888","extension":[` + verified + `]}`
	)
	patient := func(content string) string { return `{"resourceType":"Patient",` + content + `}` }
	return []violation{
		{"UKCore-Patient", patient(`"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","extension":[` + verified + `]}]`), "cardinality-min", "Patient.identifier[0].value", "Patient.identifier:nhsNumber.value"},
		{"UKCore-Patient", patient(`"identifier":[` + number + `,` + number + `]`), "slice-max", "Patient.identifier[1]", "Patient.identifier:nhsNumber"},
		{"UKCore-Patient", patient(`"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9912003888","extension":[` + verified + `,` + verified + `]}]`), "slice-max", "Patient.identifier[0].extension[1]", "Patient.identifier:nhsNumber.extension:nhsNumberVerificationStatus"},
		{"UKCore-Patient", patient(`"identifier":[` + strings.Replace(number, `"01"`, `"99"`, 1) + `]`), "not-in-value-set", "Patient.identifier[0].extension[0].value", "Extension-UKCore-NHSNumberVerificationStatus#Extension.value[x]"},
		{"UKCore-Patient", patient(`"extension":[` + strings.Replace(ethnic, `"valueCodeableConcept":{"text":"Not said"}`, `"valueString":"Not said"`, 1) + `]`), "type-not-allowed", "Patient.extension[0].value", "Extension-UKCore-EthnicCategory#Extension.value[x]"},
		{"UKCore-Patient", patient(`"extension":[` + ethnic + `,` + ethnic + `]`), "slice-max", "Patient.extension[1]", "Patient.extension:ethnicCategory"},
		{"UKCore-Patient", patient(`"name":[{"family":"Sample","extension":[` + ethnic + `]}]`), "extension-context", "Patient.name[0].extension[0]", "Extension-UKCore-EthnicCategory#Extension"},
		{"UKCore-Patient", patient(`"extension":[{"url":"` + ukCore + `Extension-UKCore-DeathNotificationStatus","extension":[{"url":"systemEffectiveDate","valueDateTime":"2019"}]}]`), "slice-min", "Patient.extension[0].extension", "Extension.extension:deathNotificationStatus"},
		{"UKCore-Organization", `{"resourceType":"Organization","name":"Practice","identifier":[{"system":"https://fhir.nhs.uk/Id/ods-organization-code"}]}`, "cardinality-min", "Organization.identifier[0].value", "Organization.identifier:odsOrganisationCode.value"},
		{"UKCore-AllergyIntolerance", `{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"patient":{"reference":"Patient/a"}}`, "cardinality-min", "AllergyIntolerance.code", "AllergyIntolerance.code"},
		{"UKCore-AllergyIntolerance", `{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"perhaps"}]},"code":{"text":"Nuts"},"patient":{"reference":"Patient/a"}}`, "not-in-value-set", "AllergyIntolerance.clinicalStatus", "allergyintolerance-clinical|4.0.1"},
	}
}

// sought wants v to be found by $validate, and v to be refused when it claims the profile.
func (v violation) sought(t *testing.T, base string) {
	t.Helper()
	typ := strings.TrimPrefix(v.profile, "UKCore-")
	claiming := strings.Replace(v.resource, `,`, `,"meta":{"profile":["`+ukCore+v.profile+`"]},`, 1)
	for _, r := range []struct {
		address, body string
		status        int
	}{
		{typ + "/$validate?profile=" + ukCore + v.profile, v.resource, http.StatusOK},
		{typ + "/$validate", claiming, http.StatusOK},
		{typ, claiming, http.StatusUnprocessableEntity},
	} {
		status, body := send(t, "POST", base+"/"+r.address, []byte(r.body))
		var o struct{ Issue []finding }
		if err := json.Unmarshal(body, &o); err != nil {
			t.Fatal(err)
		}
		var errors []finding
		for _, i := range o.Issue {
			if i.Severity == "error" {
				errors = append(errors, i)
			}
		}
		if status != r.status || len(errors) != 1 || len(errors[0].Details.Coding) != 1 || errors[0].Details.Coding[0].Code != v.detail ||
			strings.Join(errors[0].Expression, " ") != v.at || !strings.HasSuffix(errors[0].rule(), v.rule) {
			t.Errorf("%s: %d %+v, want %d %s at %s", r.address, status, errors, r.status, v.detail, v.at)
		}
	}
}
