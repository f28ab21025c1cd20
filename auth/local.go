package auth

import (
	"net"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// Local is the rule of a server without sign-in, whose public address is
// baseURL, which may be empty: whoever reaches it is trusted, but not a page of
// another site in the browser of this machine. Such a page says where it is from
// in origin, the Origin header, or has its own name lead to this address and
// then says that name in host, the Host header. It is refused with an Outcome of
// class Denied.
func Local(baseURL, host, origin string) (access.Grant, error) {
	ours := func(host string) bool { return IsLoopback(host) || host != "" && host == hostOf(baseURL) }
	if !ours(withoutPort(host)) || origin != "" && !ours(hostOf(origin)) {
		return access.Grant{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Without sign-in the server answers its own machine only, under the names localhost and that of --base-url, and no pages of other sites.")
	}
	return access.Trusted("trusted"), nil
}

// withoutPort returns the name in a Host header, or "".
func withoutPort(host string) string {
	name, port, err := net.SplitHostPort(host)
	switch {
	case err != nil && (!strings.Contains(host, ":") || strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")):
		name = strings.Trim(host, "[]")
	case err != nil || strings.Trim(port, "0123456789") != "":
		return ""
	}
	return strings.ToLower(name)
}

// hostOf returns the host of an address without its port, or "".
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// IsLoopback reports whether a host is this machine and nothing else.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
