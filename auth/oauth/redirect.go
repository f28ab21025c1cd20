package oauth

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxURI is how long an address of a client may be.
const maxURI = 2048

// redirects reports whether a client may be sent to uri: it is registered, letter
// by letter. For a native app the registered loopback address stands for all
// ports, since it cannot know which one it will get.
// https://www.rfc-editor.org/rfc/rfc8252#section-7.3
func (c Client) redirects(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return uri == registered || c.Native && c.Public && samePlace(registered, uri)
	})
}

// samePlace reports whether two loopback addresses differ in their port only. It
// compares text, so that there is nothing to be read in two ways.
func samePlace(registered, uri string) bool {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		a, ok := strings.CutPrefix(registered, host)
		b, also := strings.CutPrefix(uri, host)
		if ok && also {
			a, ok = withoutPort(a)
			b, also = withoutPort(b)
			return ok && also && a == b
		}
	}
	return false
}

// withoutPort takes :8080 from the beginning of what stands behind a host. It
// reports false when that is neither a port nor a path.
func withoutPort(rest string) (string, bool) {
	if port, ok := strings.CutPrefix(rest, ":"); ok {
		rest = strings.TrimLeft(port, "0123456789")
		if n := len(port) - len(rest); n == 0 || n > 5 {
			return "", false
		}
	}
	return rest, rest == "" || rest[0] == '/' || rest[0] == '?'
}

// checkRedirect says what is wrong with a redirect URI that somebody wants to
// register, or nothing.
func checkRedirect(c Client, uri string, local bool) string {
	u, problem := parseAddress(uri)
	switch {
	case problem != "":
		return problem
	case u.Scheme == "https" && u.Host != "":
	case u.Scheme == "http" && (local || c.Native && isLoopback(u.Hostname())):
	case u.Scheme == "http":
		return "http is for native apps on their own machine only"
	case u.Host == "" && c.Native && strings.Contains(u.Scheme, ".") && u.Opaque == "":
		// com.example.app:/callback, https://www.rfc-editor.org/rfc/rfc8252#section-7.1
	default:
		return "it needs https; a native app may have a scheme of its own with a dot in it, such as com.example.app:/callback"
	}
	return ""
}

// checkAddress says what is wrong with another address of a client, or nothing.
func checkAddress(uri string, local bool) string {
	u, problem := parseAddress(uri)
	if problem != "" {
		return problem
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !local) || u.Host == "" {
		return "it needs https"
	}
	return ""
}

func parseAddress(uri string) (*url.URL, string) {
	if len(uri) > maxURI {
		return nil, "it is longer than 2048 characters"
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\*"<>^{|}`+"`", r) }) {
		return nil, "it has characters that no address has"
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return nil, "it is not an absolute address"
	}
	if u.Fragment != "" || strings.Contains(uri, "#") || u.User != nil {
		return nil, "it has a fragment or a user name"
	}
	return u, ""
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// originOf returns the origin of an address, or "" when it has none that a
// browser would send.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	return u.Scheme + "://" + host
}

// withParameters returns uri with more query parameters. What it has already
// stays as it is.
// https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2
func withParameters(uri string, more url.Values) string {
	switch {
	case !strings.Contains(uri, "?"):
		return uri + "?" + more.Encode()
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + more.Encode()
	}
	return uri + "&" + more.Encode()
}
