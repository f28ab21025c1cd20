// Package auth turns what is known of the sender of a request into an
// [access.Grant]: pure rules, without HTTP, signatures or tables.
//
// [ParseScopes] reads the scopes of SMART App Launch, of both versions, to the
// letter: what it does not understand whole is refused and grants nothing.
// [Scopes.Within] narrows them, to what a client is registered for, to what a user
// agreed to, or to what was granted before.
//
// [TermsOf] takes the Claims of a token that others have found good, and the
// Profile that was looked up, live, of whom the token names, and says what the two
// come to:
//
//   - Scopes delegate, they never give. A user, a client or a relative who may do
//     less than the scopes say does less.
//   - Scopes of a patient show what that patient sees, to whoever holds the token.
//     A Patient or a RelatedPerson needs to be able to act for the patient at the
//     time of the request. That a member of staff may open the patient is checked
//     when the token is granted.
//   - Scopes of a user show staff what they, their roles and their organisations
//     take part in; a Patient or a RelatedPerson what the patients see that they
//     may act for.
//   - Scopes of the system are for clients without a user, and never beside others.
//     They show what the client's organisations take part in, or everything.
//   - A scope that nobody stands behind, such as one of a patient without a patient in
//     context, is left out, so that what it names is refused with 403.
//   - Labels are denied by the clearance of the account or the client. Scopes of a
//     patient never show what is labelled NOPAT, whoever holds the token, nor do those
//     of a user to a Patient or a RelatedPerson.
//   - Roles are for staff and clients. They are out of force in a token that has
//     scopes of a patient only, and Operate, which no scope gives, takes a token
//     that may do everything else: an app that an administrator opens must not
//     get more by that than it asked for.
//
// [Local] is the rule of a server without sign-in.
package auth
