// Package bearer turns the Authorization header of a request into a grant of
// package access. A [Verifier] verifies access tokens of this server and of
// others, asks whether what they were issued for is still good, and looks up
// what is known of who they name. What it needs for that serves other packages
// too: [Verify] for signatures, [RemoteKeys] for keys that others publish, and
// [NewClient] for requests to addresses that others have named.
//
// # Tokens of others
//
// An [Issuer] is trusted with what its tokens say of scope, patient and
// fhirUser. Its tokens cannot be revoked here: they are good until they expire,
// which must be within two hours.
//
// For Keycloak, give the client scope of the app a mapper of kind Audience with
// the FHIR base URL as included custom audience, and mappers of user attributes
// for patient and fhirUser. Its access tokens have the typ "JWT" unless the
// client's advanced setting "Use at+jwt as access token header type" is on, and
// it adds "account" to aud for users with roles there:
//
//	bearer.Issuer{
//		URL:            "https://keycloak.example.org/realms/health",
//		Audience:       "https://fhir.example.org/fhir",
//		SharedAudience: true,
//		Type:           "JWT",
//		Claims:         bearer.Mapping{Client: "azp", Organizations: "organization_ids"},
//	}
package bearer
