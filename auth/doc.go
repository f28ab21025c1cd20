// Package auth turns what is known of the sender of a request into an
// [access.Grant]: pure rules, without HTTP, tokens' signatures or tables. So far
// there is the rule of a server without sign-in.
package auth
