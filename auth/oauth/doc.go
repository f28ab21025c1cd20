// Package oauth is the authorization server of SMART App Launch 2.2: clients,
// authorization requests, codes, tokens, launches, and the keys that sign tokens.
//
// It knows neither pages nor passwords. Asking for authorization takes three
// steps, so that pages can stand between them: [Server.Ask] checks a request and
// keeps it, [Server.Asked] brings it back, and [Server.Grant] or [Server.Refuse]
// answers it. Everything else is one call for one endpoint.
//
// Every token hangs on a grant, and is good only while that is ([Server.Live]).
// https://hl7.org/fhir/smart-app-launch/STU2.2/
package oauth
