package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the proxies in front of a server, which say in
// X-Forwarded-For whom a request comes from. Nobody else is believed. Nil is none.
type Proxies []netip.Prefix

// Address returns whom a request comes from: the nearest address on its way that
// is no proxy's. It is the zero Addr when the connection has none.
func (p Proxies) Address(r *http.Request) netip.Addr {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := connection.Addr().Unmap()
	// Each proxy appends whom it was asked by, so the way back is from the end.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.has(at) {
			return at
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return at
		}
		at = before.Unmap()
	}
	return at
}

func (p Proxies) has(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(of netip.Prefix) bool { return of.Contains(a) })
}
