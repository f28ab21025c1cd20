// Package login says who a person at a browser is: by a password with a one-time
// code, or by what another OpenID provider says of them.
//
// It owns the accounts, the sessions of browsers, the waiting time of those who
// guess, and the rule that a login speaks for exactly one Patient,
// RelatedPerson or Practitioner or for nobody. It does not know pages, requests
// of apps or tokens.
package login
