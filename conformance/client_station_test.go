package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// revocation is how long a token may be good after it was taken back: what a
// server knows of a token is five seconds old at most. The rest is for a machine
// that has other things to do.
const revocation = 10 * time.Second

// A station is a server with sign-in and the demo, and the commands beside it.
type station struct {
	t        *testing.T
	program  string
	database []string // the flags that name it
	origin   string   // by which clients know the server
	base     string   // the same with /fhir
	*process
}

// newStation starts a server on a private database.
func newStation(t *testing.T, args ...string) *station {
	t.Helper()
	s := &station{t: t, program: build(t), database: []string{"--data-dir=" + dataDir(t)}}
	s.serve(args...)
	return s
}

// serve starts the server, on the address that it has had before if it has had
// one.
func (s *station) serve(args ...string) {
	s.t.Helper()
	addr := "127.0.0.1:0"
	if s.origin != "" {
		addr = "127.0.0.1:" + s.port()
	}
	s.process = startProgram(s.t, s.program, append(append([]string{"--demo", "--addr=" + addr}, s.database...), args...)...)
	s.origin = strings.Replace(strings.TrimSuffix(s.process.base, "/fhir"), "127.0.0.1", "localhost", 1)
	s.base = s.origin + "/fhir"
}

func (s *station) port() string {
	u, err := url.Parse(s.origin)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Port()
}

// command runs another command on the database of s, which must succeed, and
// returns what it prints.
func (s *station) command(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var told bytes.Buffer
	c := exec.CommandContext(ctx, s.program, append(args, s.database...)...)
	c.Stderr = &told
	out, err := c.Output()
	if err != nil {
		s.t.Fatalf("openconsult %s: %v\n%s%s", strings.Join(args, " "), err, out, told.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// token returns an access token by the command.
func (s *station) token(args ...string) string {
	s.t.Helper()
	return s.command(append([]string{"token"}, args...)...)
}

// An answered is an answer of the server.
type answered struct {
	status int
	header http.Header
	body   string
	tree   map[string]any // the body if it is a JSON object
}

// ask sends a request to the FHIR API with a token: "GET Patient/1".
func (s *station) ask(token, request, body string) answered {
	s.t.Helper()
	return askAt(s.t, s.base, token, request, body)
}

// askAt is ask with what the path is relative to.
func askAt(t *testing.T, base, token, request, body string) answered {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, base+"/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	return sent(t, http.DefaultClient, r)
}

// tokens sends a form to the token endpoint.
func (s *station) tokens(form url.Values) answered {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.origin+"/auth/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return sent(s.t, http.DefaultClient, r)
}

func sent(t *testing.T, c *http.Client, r *http.Request) answered {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header, body: string(text)}
	// What is no object has no members to ask for.
	_ = json.Unmarshal(text, &a.tree)
	return a
}

// text returns a member of the answer that is a string.
func (a answered) text(name string) string {
	s, _ := a.tree[name].(string)
	return s
}

// ids returns the type and id of each entry of a Bundle.
func (a answered) ids() []string {
	var of struct {
		Entry []struct {
			Resource struct{ ResourceType, ID string }
		}
	}
	if json.Unmarshal([]byte(a.body), &of) != nil {
		return nil
	}
	found := []string{}
	for _, e := range of.Entry {
		found = append(found, e.Resource.ResourceType+"/"+e.Resource.ID)
	}
	return found
}

// expect fails the test unless a request is answered so.
func (s *station) expect(status int, token, request, body string) answered {
	s.t.Helper()
	a := s.ask(token, request, body)
	if a.status != status {
		s.t.Fatalf("%s is answered with %d, not %d:\n%s", request, a.status, status, a.body)
	}
	return a
}

// refusedSoon fails the test unless a token is refused soon, and says how soon.
func refusedSoon(t *testing.T, base, token, path string) {
	t.Helper()
	began := time.Now()
	for {
		a := askAt(t, base, token, "GET "+path, "")
		if a.status == http.StatusUnauthorized {
			t.Logf("refused after %v", time.Since(began).Round(10*time.Millisecond))
			return
		}
		if time.Since(began) > revocation {
			t.Fatalf("%v after it was taken back, the token is still answered with %d", revocation, a.status)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// writeFile returns the path of a new file.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(pgtest.Dir(t), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// failed runs program, which must fail, and returns what it says.
func failed(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("openconsult %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
