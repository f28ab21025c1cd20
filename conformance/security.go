package conformance

// A Security says how clients sign in. All are absolute addresses; what is empty
// is not there.
type Security struct {
	Authorize, Token, Register, Manage, Introspect, Revoke string

	Description string // more about it, for people; may be empty
}

type security struct {
	Extension   []extension `json:"extension,omitempty"`
	CORS        bool        `json:"cors"`
	Service     []concept   `json:"service,omitempty"`
	Description string      `json:"description"`
}

type extension struct {
	URL       string      `json:"url"`
	Extension []extension `json:"extension,omitempty"`
	ValueURI  string      `json:"valueUri,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding"`
	Text   string   `json:"text"`
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// oauthURIs is the extension that tells the addresses of an authorization server.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
const oauthURIs = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"

// statement returns what the CapabilityStatement says of s; nil is no sign-in.
func (s *Security) statement() security {
	if s == nil {
		return security{CORS: true, Description: "There is no sign-in: the server listens on its own machine only and trusts who reaches it."}
	}
	var addresses []extension
	for _, e := range []extension{
		{URL: "authorize", ValueURI: s.Authorize}, {URL: "token", ValueURI: s.Token}, {URL: "register", ValueURI: s.Register},
		{URL: "manage", ValueURI: s.Manage}, {URL: "introspect", ValueURI: s.Introspect}, {URL: "revoke", ValueURI: s.Revoke},
	} {
		if e.ValueURI != "" {
			addresses = append(addresses, e)
		}
	}
	says := security{
		CORS:        true,
		Service:     []concept{{[]coding{{"http://terminology.hl7.org/CodeSystem/restful-security-service", "SMART-on-FHIR", "SMART-on-FHIR"}}, "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)"}},
		Description: "Every request needs an access token in the header Authorization, but for this statement, $task-machine and what the server itself defines. What a token does not show is not there, as if it had never been: reads answer 404, searches leave it out. A type outside of its scopes answers 403. Links between Patients (Patient.link) are not followed: who sees one of them sees no other one by that.",
	}
	if len(addresses) > 0 {
		says.Extension = []extension{{URL: oauthURIs, Extension: addresses}}
	}
	if s.Description != "" {
		says.Description += " " + s.Description
	}
	return says
}
