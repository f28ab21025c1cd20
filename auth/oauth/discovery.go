package oauth

// A Configuration is what a client reads first.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known
type Configuration struct {
	Issuer                string   `json:"issuer"`
	JWKS                  string   `json:"jwks_uri"`
	Authorization         string   `json:"authorization_endpoint"`
	Token                 string   `json:"token_endpoint"`
	Introspection         string   `json:"introspection_endpoint"`
	Revocation            string   `json:"revocation_endpoint"`
	Registration          string   `json:"registration_endpoint"`
	Management            string   `json:"management_endpoint,omitempty"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	Scopes                []string `json:"scopes_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs              []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	Challenges            []string `json:"code_challenge_methods_supported"`
	IssuerParameter       bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	Capabilities          []string `json:"capabilities,omitempty"`
	Subjects              []string `json:"subject_types_supported,omitempty"`
	IdentityAlgs          []string `json:"id_token_signing_alg_values_supported,omitempty"`
	Claims                []string `json:"claims_supported,omitempty"`
	RequestParameter      *bool    `json:"request_parameter_supported,omitempty"`
	RequestURIParameter   *bool    `json:"request_uri_parameter_supported,omitempty"`
}

// Configuration returns what [base]/.well-known/smart-configuration says.
func (s *Server) Configuration() Configuration {
	c := s.endpoints()
	c.Management = s.config.Issuer + ManagePath
	c.Capabilities = capabilities()
	return c
}

// OpenIDConfiguration returns what both .well-known/openid-configuration and
// .well-known/oauth-authorization-server say.
// https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
func (s *Server) OpenIDConfiguration() Configuration {
	c := s.endpoints()
	c.IntrospectionMethods = []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	c.RevocationMethods = c.AuthMethods
	c.IntrospectionAuthAlgs, c.RevocationAuthAlgs = c.AuthAlgs, c.AuthAlgs
	c.Subjects = []string{"public"}
	c.IdentityAlgs = []string{identityAlg}
	c.Claims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash", "fhirUser"}
	// Without these, readers take both for granted or not, as each field has it.
	c.RequestParameter, c.RequestURIParameter = new(bool), new(bool)
	return c
}

func (s *Server) endpoints() Configuration {
	at := func(path string) string { return s.config.Issuer + path }
	return Configuration{
		Issuer: s.config.Issuer, JWKS: at(KeysPath), Authorization: at(AuthorizePath), Token: at(TokenPath),
		Introspection: at(IntrospectPath), Revocation: at(RevokePath), Registration: at(RegisterPath),
		GrantTypes:    []string{"authorization_code", "refresh_token", "client_credentials"},
		ResponseTypes: []string{"code"},
		ResponseModes: []string{"query"},
		Scopes: []string{"openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access",
			"patient/*.cruds", "patient/*.rs", "patient/*.read", "patient/*.write", "patient/*.*",
			"user/*.cruds", "user/*.rs", "user/*.read", "user/*.write", "user/*.*",
			"system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/*.*"},
		AuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		AuthAlgs:    assertionAlgs(), Challenges: []string{"S256"}, IssuerParameter: true,
	}
}

// capabilities are what SMART has names for and the server has.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#capabilities
func capabilities() []string {
	return []string{
		"launch-ehr", "launch-standalone", "authorize-post",
		"client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
		"sso-openid-connect",
		"context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter", "context-standalone-patient",
		"permission-offline", "permission-online", "permission-patient", "permission-user", "permission-v1", "permission-v2",
	}
}
