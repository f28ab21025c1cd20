package bearer

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// notPublic returns the blocks of addresses that are no public ones: of this
// host, private, shared, link-local (cloud metadata among them), multicast,
// reserved, for documentation, and those of IPv6 that have an IPv4 address in
// them.
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
func notPublic() []netip.Prefix {
	blocks := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
		"192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48",
		"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	}
	prefixes := make([]netip.Prefix, len(blocks))
	for i, b := range blocks {
		prefixes[i] = netip.MustParsePrefix(b)
	}
	return prefixes
}

// globalUnicast is what IANA gives out of IPv6.
// https://www.iana.org/assignments/ipv6-address-space
func globalUnicast() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// permits reports whether a connection to an address may be made. The host is
// on the list of the guard if listed is true.
func (g *guard) permits(a netip.Addr, listed bool) bool {
	switch {
	case !a.IsValid() || a.Zone() != "" || a.Is4In6():
		return false
	case a.IsLoopback():
		return g.AllowLoopback
	case a.IsPrivate():
		return g.Private && listed
	case a.Is6() && !g.global.Contains(a):
		return false
	}
	return !slices.ContainsFunc(g.blocks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// reaches reports whether requests to a URL may be made as far as the URL says.
// What its host leads to is looked at when it is known.
func (g *guard) reaches(u *url.URL) bool {
	if u == nil || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return false
	}
	local := g.AllowLoopback && isLoopback(u.Hostname())
	port := u.Port()
	switch {
	case strings.HasSuffix(u.Host, ":"):
		return false
	case u.Scheme == "http" && local:
		return true
	case u.Scheme != "https":
		return false
	case port == "":
		port = "443"
	}
	listed := g.lists(net.JoinHostPort(u.Hostname(), port))
	return local || listed || len(g.Allow) == 0 && port == "443" && isPublicHost(u.Hostname())
}

// permitsNumeric reports whether a URL names something that need be looked up, or a
// numeric address that is on the list or may be called.
func (g *guard) permitsNumeric(u *url.URL) bool {
	a, err := netip.ParseAddr(u.Hostname())
	return err != nil || g.lists(net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))) || g.permits(a, false)
}

// lists reports whether an address, "host:port", is on the list of the guard.
func (g *guard) lists(address string) bool {
	return slices.ContainsFunc(g.Allow, func(a string) bool { return strings.EqualFold(a, address) })
}

// isLoopback reports whether a host is this machine by its very spelling.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback() && !a.Is4In6() && a.Zone() == ""
}

// isPublicHost reports whether a host is an address as everybody writes it, or
// a name with a full stop in it that nobody takes for an address. Some
// resolvers take 127.1, 0x7f.1 or 2130706433 for one:
// https://url.spec.whatwg.org/#ends-in-a-number-checker
func isPublicHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String() == strings.ToLower(host)
	}
	labels := strings.Split(strings.ToLower(host), ".")
	if len(labels) < 2 || len(host) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	reserved := []string{"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "invalid", "test", "onion", "alt"}
	return last[0] >= 'a' && !slices.Contains(reserved, last)
}
