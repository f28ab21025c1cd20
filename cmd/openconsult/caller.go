package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// trustLocal returns the Caller of a server without sign-in: whoever reaches it
// is trusted, but not a page of another site in the browser of this machine.
// Such a page says where it is from in Origin, or has its own name lead to this
// address and then says that name in Host.
func trustLocal(baseURL string) func(*http.Request) (access.Grant, error) {
	public := hostOf(baseURL)
	ours := func(host string) bool { return isLoopback(host) || host != "" && host == public }
	return func(r *http.Request) (access.Grant, error) {
		origin := r.Header.Get("Origin")
		if !ours(hostOf("//"+r.Host)) || origin != "" && !ours(hostOf(origin)) {
			return access.Grant{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Without sign-in the server answers its own machine only, under the names localhost and that of --base-url, and no pages of other sites.")
		}
		return api.TrustAll(r)
	}
}

// hostOf returns the host of an address without its port, or "".
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// isLoopback reports whether a host is this machine and nothing else.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
