package bearer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// forbidden are addresses that no client but one with AllowLoopback may call.
// Names lead where testNames says.
var forbidden = []string{
	"http://example.com/", "http://93.184.215.14/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "https:example.com", "https://", "https:///x", "HTTP://example.com/",
	"https://127.0.0.1/", "https://127.1/", "https://127.0.0.2/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://0x7f.1/", "https://017700000001/", "https://0/", "https://0.0.0.0/",
	"https://127.0.0.1./", "https://127.000.000.001/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:0:127.0.0.1]/", "https://[::1%25lo]/",
	"https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://192.0.0.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.7/",
	"https://203.0.113.9/", "https://224.0.0.1/", "https://240.0.0.1/", "https://255.255.255.255/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/", "https://[fd12:3456::1]/", "https://[ff02::1]/", "https://[2001:db8::1]/",
	"https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[fec0::1]/", "https://[100::1]/", "https://[::ffff:169.254.169.254]/", "https://localhost/", "https://LOCALHOST/", "https://localhost./",
	"https://metadata/", "https://metadata.google.internal/", "https://printer.local/", "https://app.localhost/", "https://user@example.com/", "https://user:secret@example.com/", "https://example.com@127.0.0.1/", "https://example.com:80/", "https://example.com:8443/", "https://example.com:/",
	"https://example.com:22/", "https://example.com.:443/", "https://ex%61mple.com\\@127.0.0.1/", "https://127.0.0.1#@example.com/", "https://127.0.0.1?@example.com/", "https://loopback.example/", "https://private.example/", "https://metadata.example/", "https://mapped.example/", "https://mixed.example/", "https://nowhere.example/",
	"https://\u2460\u2461\u2466.0.0.1/", "https://example.com/#x", "https://bad_name.example.com/", "https://-/",
}

// testNames are the addresses of names at the resolver of the tests. The mixed
// one has only forbidden ones of both kinds.
var testNames = map[string][]string{
	"loopback.example.": {"127.0.0.1"}, "private.example.": {"10.1.2.3"}, "metadata.example.": {"169.254.169.254"},
	"mapped.example.": {"::ffff:127.0.0.1"}, "mixed.example.": {"10.0.0.1", "::1"},
}

// TestC6Destinations holds the client against addresses that lead inside. The
// error is the same for all.
func TestC6Destinations(t *testing.T) {
	t.Parallel()
	if len(forbidden) < 60 {
		t.Fatalf("%d addresses", len(forbidden))
	}
	r := resolver(t, func(name string) []string { return testNames[name] })
	for _, g := range []Guard{{}, {Private: true}, {Allow: []string{"listed.example:443"}}} {
		c := newClient(g, r)
		for _, text := range forbidden {
			resp, err := c.Get(text)
			if err == nil {
				_ = resp.Body.Close()
				t.Errorf("%s is called", text)
				continue
			}
			u, ok := errors.AsType[*url.Error](err)
			if _, parse := url.Parse(text); parse != nil || !ok {
				continue // it never got to the client
			}
			if u.Err.Error() != ErrDestination.Error() && !strings.Contains(u.Err.Error(), "no Host in request URL") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// TestC6Permits is the positive twin: what may be called.
func TestC6Permits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		guard Guard
		url   string
		ok    bool
	}{
		{Guard{}, "https://example.com/keys", true},
		{Guard{}, "https://example.com:443/keys?x=1", true},
		{Guard{}, "https://93.184.215.14/", true},
		{Guard{}, "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", true},
		{Guard{}, "https://xn--bcher-kva.example.com/", true},
		{Guard{}, "https://localhost:8443/", false},
		{Guard{AllowLoopback: true}, "http://localhost:8080/", true},
		{Guard{AllowLoopback: true}, "https://127.0.0.1:8443/", true},
		{Guard{AllowLoopback: true}, "http://[::1]:8080/", true},
		{Guard{AllowLoopback: true}, "http://localhost.evil.example:8080/", false},
		{Guard{AllowLoopback: true}, "http://example.com/", false},
		{Guard{AllowLoopback: true}, "http://10.0.0.1/", false},
		{Guard{Allow: []string{"sso:8443"}}, "https://sso:8443/keys", true},
		{Guard{Allow: []string{"sso:8443"}}, "https://SSO:8443/keys", true},
		{Guard{Allow: []string{"sso:8443"}}, "http://sso:8443/keys", false},
		{Guard{Allow: []string{"sso:8443"}}, "https://sso/keys", false},
		{Guard{Allow: []string{"sso:8443"}}, "https://sso:8443.evil.example/", false},
		{Guard{Allow: []string{"sso.example.org:443"}}, "https://sso.example.org.evil.example/", false},
		{Guard{Allow: []string{"sso.example.org:443"}}, "https://example.com/", false},
		{Guard{Allow: []string{"sso.example.org:443"}}, "https://sso.example.org/", true},
		{Guard{Allow: []string{"[fd00::1]:8443"}}, "https://[fd00::1]:8443/", true},
	} {
		if err := tt.guard.CheckURL(tt.url); (err == nil) != tt.ok {
			t.Errorf("%+v, %s: %v", tt.guard, tt.url, err)
		}
	}
}

func TestC6Addresses(t *testing.T) {
	t.Parallel()
	g := func(w Guard) *guard { return &guard{Guard: w, blocks: notPublic(), global: globalUnicast()} }
	for _, tt := range []struct {
		guard   Guard
		address string
		listed  bool
		ok      bool
	}{
		{Guard{}, "93.184.215.14", false, true},
		{Guard{}, "2606:2800:21f::1", false, true},
		{Guard{}, "172.32.0.1", false, true},
		{Guard{}, "100.128.0.1", false, true},
		{Guard{}, "10.0.0.1", true, false},
		{Guard{Private: true}, "10.0.0.1", false, false},
		{Guard{Private: true}, "10.0.0.1", true, true},
		{Guard{Private: true}, "fd00::1", true, true},
		{Guard{Private: true}, "169.254.169.254", true, false},
		{Guard{Private: true}, "127.0.0.1", true, false},
		{Guard{AllowLoopback: true}, "127.0.0.1", false, true},
		{Guard{AllowLoopback: true}, "::1", false, true},
		{Guard{AllowLoopback: true}, "::ffff:127.0.0.1", false, false},
		{Guard{AllowLoopback: true}, "10.0.0.1", false, false},
		{Guard{AllowLoopback: true}, "0.0.0.0", false, false},
	} {
		if got := g(tt.guard).permits(netip.MustParseAddr(tt.address), tt.listed); got != tt.ok {
			t.Errorf("%+v, %s (listed: %t): %t", tt.guard, tt.address, tt.listed, got)
		}
	}
	if g(Guard{AllowLoopback: true, Private: true}).permits(netip.Addr{}, true) {
		t.Error("no address is permitted")
	}
}

// TestC6Rebinding has a name lead to a public address first and to this machine
// then. Nothing arrives here.
func TestC6Rebinding(t *testing.T) {
	t.Parallel()
	var arrived, lookups atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived.Add(1)
			_ = c.Close()
		}
	}()
	first, cancel := context.WithCancel(t.Context())
	r := resolver(t, func(string) []string {
		// Two questions a look-up: for IPv4 and IPv6.
		if lookups.Add(1) <= 2 {
			cancel() // nothing is sent to that public address
			return []string{"93.184.215.14"}
		}
		return []string{"127.0.0.1"}
	})
	address := "rebind.example:" + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	c := newClient(Guard{Allow: []string{address}, Private: true}, r).Transport.(*guard)
	get := func(ctx context.Context) error {
		conn, err := c.dial(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := get(first); err == nil || errors.Is(err, ErrDestination) {
		t.Errorf("the public address: %v", err)
	}
	if err := get(t.Context()); !errors.Is(err, ErrDestination) {
		t.Errorf("the second address: %v", err)
	}
	if arrived.Load() != 0 || lookups.Load() < 3 {
		t.Errorf("%d connections after %d questions", arrived.Load(), lookups.Load())
	}
}

// TestC6Redirect follows no redirect, also not to where it may call.
func TestC6Redirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/target" {
			followed.Store(true)
			return
		}
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	}))
	t.Cleanup(s.Close)
	c := NewClient(Guard{AllowLoopback: true})
	for _, to := range []string{"/target", s.URL + "/target", "http://169.254.169.254/latest/", "https://example.com/"} {
		resp, err := c.Get(s.URL + "/?to=" + url.QueryEscape(to))
		if err == nil {
			_ = resp.Body.Close()
		}
		if !errors.Is(err, ErrDestination) {
			t.Errorf("a redirect to %s: %v", to, err)
		}
	}
	if followed.Load() {
		t.Error("a redirect is followed")
	}
	resp, err := c.Get(s.URL + "/target")
	if err != nil {
		t.Fatalf("without a redirect: %v", err)
	}
	_ = resp.Body.Close()
}

func TestC6LongAnswers(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		case "/status":
			w.WriteHeader(http.StatusTeapot)
		case "/longest":
			_, _ = io.WriteString(w, strings.Repeat("x", maxAnswer))
		default:
			_, _ = io.WriteString(w, strings.Repeat("x", maxAnswer+1))
		}
	}))
	t.Cleanup(s.Close)
	c := NewClient(Guard{AllowLoopback: true})
	for _, tt := range []struct {
		path string
		max  int64
		n    int // -1: an error
	}{
		{"/ok", 1000, 1000}, {"/ok", 999, -1}, {"/ok", 0, -1}, {"/status", 10, -1}, {"/longest", 2 << 20, maxAnswer}, {"/too-long", 2 << 20, -1},
	} {
		resp, err := c.Get(s.URL + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := ReadBody(resp, tt.max)
		if (err != nil) != (tt.n < 0) || err == nil && len(body) != tt.n {
			t.Errorf("%s up to %d bytes: %d bytes, %v", tt.path, tt.max, len(body), err)
		}
	}
}

// TestC6Plain looks at what cannot be seen from outside.
func TestC6Plain(t *testing.T) {
	t.Parallel()
	c := NewClient(Guard{})
	tr := c.Transport.(*guard).next
	if tr.Proxy != nil || !tr.DisableCompression || tr.MaxConnsPerHost != 4 || c.Timeout != answerTime || c.Jar != nil || tr.Protocols.HTTP2() {
		t.Error("the client uses a proxy, compression, cookies, HTTP/2, or has no limits")
	}
}

// resolver returns a resolver that asks a name server of this test.
func resolver(t *testing.T, addresses func(name string) []string) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n], addresses); reply != nil {
				_, _ = l.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// answer answers a question of DNS.
func answer(question []byte, addresses func(name string) []string) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	found := addresses(q.Name.String())
	if len(found) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range found {
		a := netip.MustParseAddr(text)
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}
