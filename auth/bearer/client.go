package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	// maxAnswer is how long the body of an answer may be, in bytes.
	maxAnswer = 1 << 20
	// dialTime is how long connecting may take, answerTime the whole request.
	dialTime, answerTime = 5 * time.Second, 10 * time.Second
	// perHost is how many connections to one host there are at a time.
	perHost = 4
)

// ErrDestination is the error of a request to an address that the server may
// not call. It is the same whatever the reason, and also when a name leads
// nowhere, so that nobody learns from it what there is in the network of the
// server.
var ErrDestination = errors.New("this is not the address of a public server with https that this one may call")

// errTooLong is the error of reading more of an answer than may be read.
var errTooLong = errors.New("the answer is too long")

// A Guard says which addresses a client may call. The zero Guard allows https
// to port 443 of public addresses.
type Guard struct {
	// AllowLoopback allows http and https to every port of this machine, for
	// development and tests.
	AllowLoopback bool
	// Allow, unless it is empty, is all that may be called, as "host:port".
	Allow []string
	// Private allows what is on the list Allow to have private addresses
	// (RFC 1918, fc00::/7). Those of this machine, link-local and reserved ones
	// stay forbidden.
	Private bool
}

// guard is a Guard at work.
type guard struct {
	Guard
	blocks   []netip.Prefix
	global   netip.Prefix
	resolver *net.Resolver // nil: that of the system
	next     *http.Transport
}

// NewClient returns a client for addresses that others have named. It looks at
// the numeric address that it is about to connect to, so that no name and no
// change of a name leads elsewhere, follows no redirect, uses no proxy, asks
// for no compression, gives up after ten seconds, and reads at most 1 MiB of an
// answer. A request that the guard does not allow fails with [ErrDestination].
func NewClient(g Guard) *http.Client { return newClient(g, nil) }

func newClient(g Guard, r *net.Resolver) *http.Client {
	w := &guard{Guard: g, blocks: notPublic(), global: globalUnicast(), resolver: r}
	w.next = &http.Transport{
		Proxy:                  nil,
		DialContext:            w.dial,
		DisableCompression:     true,
		MaxConnsPerHost:        perHost,
		MaxIdleConns:           32,
		IdleConnTimeout:        time.Minute,
		TLSHandshakeTimeout:    dialTime,
		ResponseHeaderTimeout:  dialTime,
		MaxResponseHeaderBytes: 64 << 10,
		// The many streams of one HTTP/2 connection would count as one.
		Protocols: new(http.Protocols),
	}
	w.next.Protocols.SetHTTP1(true)
	refuse := func(*http.Request, []*http.Request) error { return ErrDestination }
	return &http.Client{Transport: w, CheckRedirect: refuse, Timeout: answerTime}
}

// RoundTrip makes one request, if the guard allows it.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !g.reaches(req.URL) {
		closeBody(req)
		return nil, ErrDestination
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, sameError(err)
	}
	resp.Body = &limited{body: resp.Body, left: maxAnswer}
	return resp, nil
}

// closeBody closes the body of a request, as a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // it is not sent; what becomes of it is the sender's matter
	}
}

// sameError returns ErrDestination for an error that says where a name leads.
func sameError(err error) error {
	name, ok := errors.AsType[*net.DNSError](err)
	if errors.Is(err, ErrDestination) || ok && !name.IsTimeout {
		return ErrDestination
	}
	return err
}

// dial connects to "host:port".
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	listed := g.lists(address)
	d := net.Dialer{
		Timeout:  dialTime,
		Resolver: g.resolver,
		Control: func(_, numeric string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(numeric)
			if err != nil || !g.permits(to.Addr(), listed) {
				return ErrDestination
			}
			return nil
		},
	}
	return d.DialContext(ctx, network, address)
}

// limited is a body of which only so much may be read.
type limited struct {
	body io.ReadCloser
	left int64
}

// Read reads what may be read of the body.
func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLong
	}
	// One byte more than allowed tells an answer that is too long.
	n, err := l.body.Read(p[:min(int64(len(p)), l.left+1)])
	l.left -= int64(n)
	if l.left < 0 {
		return n - 1, errTooLong
	}
	return n, err
}

// Close closes the body.
func (l *limited) Close() error { return l.body.Close() }

// ReadBody reads the body of an answer and closes it. An answer longer than max
// bytes, or of another status than 200, is an error.
func ReadBody(resp *http.Response, max int64) (body []byte, err error) {
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	b := &limited{body: resp.Body, left: max}
	if body, err = io.ReadAll(b); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return body, nil
}

// CheckURL returns [ErrDestination] when a client made for g would refuse a URL
// by the URL alone. It serves to say so when the URL is given, rather than when
// it is called.
func (g Guard) CheckURL(text string) error {
	u, err := url.Parse(text)
	w := &guard{Guard: g, blocks: notPublic(), global: globalUnicast()}
	if err != nil || !w.reaches(u) || !w.permitsNumeric(u) {
		return ErrDestination
	}
	return nil
}
