package conformance_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A relay has one address, and takes connections on to wherever its target is by now.
type relay struct {
	net.Listener
	target atomic.Pointer[[2]string] // network and address; nil is nowhere
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &relay{Listener: l}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go r.connect(from)
		}
	}()
	return r
}

// lead has new connections go to another place.
func (r *relay) lead(network, address string) { r.target.Store(&[2]string{network, address}) }

// connect carries one connection until either end is closed.
func (r *relay) connect(from net.Conn) {
	defer from.Close()
	target := r.target.Load()
	if target == nil {
		return
	}
	to, err := net.Dial(target[0], target[1])
	if err != nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	carry := func(to, from net.Conn) {
		// How a connection ended is all the same here.
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go carry(to, from)
	go carry(from, to)
	<-ended
}

// A path is a way to a server or a database that can be made bad.
type path struct {
	name string
	*relay
	proxy *toxiproxy.Proxy
}

// newPath makes a way that leads nowhere yet.
func newPath(t *testing.T, name string) *path {
	t.Helper()
	p := &path{name: name, relay: newRelay(t)}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, name, "127.0.0.1:0", p.relay.Addr().String())
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Stop)
	return p
}

// address is where to enter.
func (p *path) address() string { return p.proxy.Listen }

// spoil adds a toxic, as its JSON says.
func (p *path) spoil(t *testing.T, toxic string) {
	t.Helper()
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Errorf("%s: %v", toxic, err)
	}
}

// A rig is two servers on one database, and the ways to them.
type rig struct {
	t                     *testing.T
	program, dir          string
	front                 atomic.Pointer[process] // with the private database; the one that is killed
	back                  *process                // on the same database; it lives through everything
	toFront, toBack, toDB *path
	clock                 *sql.DB
}

// args are those of the front server. Both ask for tokens: what was set up on a server
// with sign-in does not go on by one without.
func (r *rig) args() []string {
	return []string{"--auth=smart", "--addr=127.0.0.1:0", "--base-url=" + nearby, "--data-dir=" + r.dir}
}

// newRig starts the front server; the back one comes with [rig.complete].
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, program: build(t), dir: dataDir(t), toFront: newPath(t, "clients to server"), toBack: newPath(t, "clients to other server"), toDB: newPath(t, "other server to database")}
	r.serve()
	return r
}

// serve starts the front server.
func (r *rig) serve() {
	r.t.Helper()
	p := startProgram(r.t, r.program, r.args()...)
	r.front.Store(p)
	r.toFront.lead("tcp", hostOf(p.base))
}

func hostOf(base string) string {
	return strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/fhir")
}

// complete puts a clock that can be set into the database, has all connections of the
// front server see it, and starts the other server.
func (r *rig) complete() {
	r.t.Helper()
	r.setUpClock()
	if err := r.front.Load().stop(); err != nil {
		r.t.Fatal(err)
	}
	r.serve()
	r.toDB.lead("unix", filepath.Join(r.dir, "run", ".s.PGSQL.5432"))
	host, port, err := net.SplitHostPort(r.toDB.address())
	if err != nil {
		r.t.Fatal(err)
	}
	dsn := fmt.Sprintf("host=%s port=%s user=openconsult_server dbname=openconsult sslmode=disable", host, port)
	r.back = startProgram(r.t, r.program, "--auth=smart", "--addr=127.0.0.1:0", "--base-url="+nearby, "--dsn="+dsn)
	r.toBack.lead("tcp", hostOf(r.back.base))
}

// setUpClock hides the clock of the database behind one that is ahead of it by what a
// table says. Postgres looks functions up along search_path, in which the built-in
// ones come first only if they are not named.
func (r *rig) setUpClock() {
	r.t.Helper()
	db, err := sql.Open("postgres", privateDSN(r.dir))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { db.Close() })
	r.clock = db
	for _, statement := range []string{
		`CREATE TABLE ahead AS SELECT interval '0' AS by`,
		`GRANT SELECT ON ahead TO PUBLIC`,
		`CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.clock_timestamp() + (SELECT by FROM public.ahead)'`,
		`ALTER DATABASE openconsult SET search_path = public, pg_catalog`,
	} {
		if _, err := db.Exec(statement); err != nil {
			r.t.Fatal(err)
		}
	}
}

// step sets the clock of the database forward, or back.
func (r *rig) step(by time.Duration) error {
	_, err := r.clock.Exec(`UPDATE ahead SET by = by + $1 * interval '1 millisecond'`, by.Milliseconds())
	return err
}

// passes are the access tokens of those who ask.
type passes struct {
	mu    sync.Mutex
	token map[string]string // by who; guarded by mu
}

func (p *passes) of(who string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token[who]
}

// client returns one that shows the token that somebody has at the moment. With an empty
// name it is, for each step of a conversation, that of the side whose step it is.
func (p *passes) client(who string) *http.Client {
	return &http.Client{Transport: showing{p, who, &http.Transport{MaxIdleConnsPerHost: 4}}, Timeout: requestTime}
}

// A showing adds a token to each request.
type showing struct {
	passes *passes
	who    string
	*http.Transport
}

// RoundTrip sends r with the token.
func (s showing) RoundTrip(r *http.Request) (*http.Response, error) {
	who := s.who
	if who == "" {
		var err error
		if who, err = sideOf(r); err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.passes.of(who))
	return s.Transport.RoundTrip(r)
}

// sideOf says whose step of a conversation r is: the practice asks, and the hospital is
// asked.
func sideOf(r *http.Request) (string, error) {
	if r.Method == http.MethodPatch {
		return "hospital", nil
	}
	if r.GetBody == nil {
		return "practice", nil
	}
	body, err := r.GetBody()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	if strings.Contains(string(text), `"sender":{"reference":"Organization/hospital"}`) {
		return "hospital", nil
	}
	return "practice", nil
}

// whoPasses is what the command needs to know for each of those who have a token.
var whoPasses = map[string][]string{
	"system":   {"--client=torture"},
	"practice": {"--client=practice"},
	"hospital": {"--client=hospital"},
	"ada":      {"--patient=ada", "--scope=patient/*.rs"},
}

// renew gets everybody a fresh token, which fails while the database is away.
func (p *passes) renew(r *rig) error {
	for who, args := range whoPasses {
		out, err := exec.CommandContext(r.t.Context(), r.program, append([]string{"token", "--base-url=" + nearby, "--dsn=" + privateDSN(r.dir)}, args...)...).Output()
		if err != nil {
			return fmt.Errorf("get a token for %s: %w", who, err)
		}
		p.mu.Lock()
		p.token[who] = strings.TrimSpace(string(out))
		p.mu.Unlock()
	}
	return nil
}
