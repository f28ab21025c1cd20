package main

import (
	"net/url"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/bearer"
)

// guard returns which addresses a server with a public address may ask for
// something.
func (s *settings) guard(base string) bearer.Guard {
	return bearer.Guard{AllowLoopback: isLocal(base), Allow: s.Outbound, Private: true}
}

// isLocal reports whether a public address is one on this machine only.
func isLocal(address string) bool {
	u, err := url.Parse(address)
	return err == nil && auth.IsLoopback(u.Hostname())
}
