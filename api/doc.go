// Package api speaks HTTP: routes, negotiation, conditions, limits. A handler
// decodes the request, makes one call to [interaction.Session], and encodes the
// answer; an error becomes a response in one place. It is the only package that
// knows gin, and no gin.Context leaves it.
package api
