package api_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestRequirementDiscovery asks for the configuration in every way: it is JSON by
// its type, for anybody, and all its addresses are absolute.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known
func TestRequirementDiscovery(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	for _, accept := range []string{"", "application/json", "application/fhir+json", "application/fhir+xml", "text/html", "image/png", "nonsense", "application/json;q=0"} {
		headers := []string{"X-None: x"}
		if accept != "" {
			headers = append(headers, "Accept: "+accept)
		}
		answer, got := w.send("GET /fhir/.well-known/smart-configuration", "", headers...)
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/json" || got["capabilities"] == nil {
			t.Errorf("Accept %s: %d %s %v", accept, answer.StatusCode, answer.Header.Get("Content-Type"), got)
		}
	}
	for _, path := range []string{"/fhir/.well-known/smart-configuration", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		_, got := w.send("GET "+path, "")
		addresses := 0
		for name, v := range got {
			if !strings.HasSuffix(name, "_endpoint") && !strings.HasSuffix(name, "_uri") && name != "issuer" {
				continue
			}
			addresses++
			text, _ := v.(string)
			if u, err := url.Parse(text); err != nil || !u.IsAbs() || u.Host == "" || !strings.HasPrefix(text, w.url) {
				t.Errorf("%s: %s is %v", path, name, v)
			}
		}
		if addresses < 7 || got["issuer"] != w.url {
			t.Errorf("%s has %d addresses, issuer %v", path, addresses, got["issuer"])
		}
	}
}

// TestRequirementErrorsSay: each refusal is JSON with an error of OAuth and a
// sentence about it.
// https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html#issue-access-token
func TestRequirementErrorsSay(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	form := func(change map[string]string) string {
		v := w.backend()
		for name, value := range change {
			v.Set(name, value)
		}
		return v.Encode()
	}
	for want, body := range map[string]string{
		"invalid_client":         form(map[string]string{"client_assertion": "x.y.z"}),
		"invalid_scope":          form(map[string]string{"scope": "system/Observation.rs"}),
		"unsupported_grant_type": form(map[string]string{"grant_type": "password"}),
		"invalid_request":        form(nil) + "&scope=system/Patient.rs",
		"invalid_grant":          "grant_type=refresh_token&refresh_token=x&client_id=spa",
		"unauthorized_client":    "grant_type=client_credentials&scope=system/Patient.rs&client_id=spa",
	} {
		answer, got := w.send("POST /auth/token", body, formType)
		description, _ := got["error_description"].(string)
		if got["error"] != want || description == "" || answer.Header.Get("Content-Type") != "application/json" || got["access_token"] != nil {
			t.Errorf("%s: %d %v", want, answer.StatusCode, got)
		}
		if (answer.StatusCode == 401) != (want == "invalid_client") || answer.StatusCode != 400 && answer.StatusCode != 401 {
			t.Errorf("%s: %d", want, answer.StatusCode)
		}
	}
}
