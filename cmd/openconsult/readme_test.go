package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// top is the root of the repository.
const top = "../.."

// A block is something in the README that a reader would type.
type block struct {
	line int
	text string
}

var (
	fenced   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	spanned  = regexp.MustCompile("`([^`\n]+)`")
	typed    = regexp.MustCompile(`^(?:[A-Z]+=\S+ )?(?:make |\.bin/|\.ci/|docker |openconsult [^-]*--)`) // a span that is a command
	flagged  = regexp.MustCompile("(?:^|[\\s`(])--([a-z][a-z-]*)")
	expected = regexp.MustCompile(`# (\d{3})(?:, "(.*)")?$`)
	linked   = regexp.MustCompile(`\]\(([^)]+)\)|<(http://localhost[^>]+)>`)
	remark   = regexp.MustCompile(`\s+# .*$`)
)

// readme returns the README, and the commands of it: fenced ones, and those in sentences.
func readme(t *testing.T) (text string, blocks, spans []block) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text = string(b)
	lineOf := func(at int) int { return strings.Count(text[:at], "\n") + 1 }
	prose := text
	for _, m := range fenced.FindAllStringSubmatchIndex(text, -1) {
		if language := text[m[2]:m[3]]; language != "sh" {
			t.Errorf("README.md:%d: no test runs what is %q: write sh", lineOf(m[0]), language)
		}
		blocks = append(blocks, block{lineOf(m[4]), text[m[4]:m[5]]})
		prose = prose[:m[0]] + strings.Repeat(" ", m[1]-m[0]) + prose[m[1]:]
	}
	for _, m := range spanned.FindAllStringSubmatchIndex(prose, -1) {
		if span := prose[m[2]:m[3]]; typed.MatchString(span) {
			spans = append(spans, block{lineOf(m[0]), span})
		}
	}
	return text, blocks, spans
}

// TestREADME does what the README shows, in its order, and holds what comes of it against what it says.
func TestREADME(t *testing.T) {
	t.Parallel()
	_, blocks, spans := readme(t)
	r := newReader(t)
	for _, b := range blocks {
		if strings.Contains(b.text, "BASE=") {
			r.session(b)
			continue
		}
		for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
			for command := range strings.SplitSeq(remark.ReplaceAllString(line, ""), " ; ") {
				r.command(block{b.line + i, strings.TrimSpace(command)})
			}
		}
	}
	for _, s := range spans {
		r.command(s)
	}
	for _, w := range r.ways {
		if !w.used {
			t.Errorf("the README has no %q any more: take it out of this test", w.begins)
		}
	}
}

// A reader tries what is shown: the demo in a working directory like a clone of the repository, and
// a server for real.
type reader struct {
	*testing.T
	dir   string // with .bin, .data and all that is made
	demo  *shown
	base  string // of the demo
	ways  []*way
	dummy string // a file with a secret
}

// loaded is what is given to openconsult load.
const loaded = `{"resourceType":"Communication","id":"loaded","status":"completed","subject":{"reference":"Patient/demo-ada"},"sender":{"reference":"Patient/demo-ada"},` +
	`"recipient":[{"reference":"Organization/demo-practice"}],"payload":[{"contentString":"It hurt."}]}`

// A way is how a command is run that begins so.
type way struct {
	begins  string
	replace []string // what stands for things of the reader's own: pairs
	also    string   // what is added to the command
	says    string   // what its output must hold
	run     func(w *way, b block)
	used    bool
}

func newReader(t *testing.T) *reader {
	t.Helper()
	dir, err := filepath.EvalSymlinks(pgtest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{T: t, dir: dir, dummy: filepath.Join(dir, "secret")}
	program, err := exec.LookPath("openconsult")
	if err != nil {
		t.Fatal(err)
	}
	cert, key := pemFiles(t)
	r.make(os.Mkdir(filepath.Join(dir, ".bin"), 0o755))
	r.make(os.Mkdir(filepath.Join(dir, "lines"), 0o755))
	r.make(os.Symlink(program, filepath.Join(dir, ".bin", "openconsult")))
	r.make(os.WriteFile(r.dummy, []byte("a secret of a gateway, of many letters"), 0o600))
	r.make(os.WriteFile(filepath.Join(dir, "lines", "c.ndjson"), []byte(loaded+"\n"), 0o600))
	r.make(os.WriteFile(filepath.Join(dir, "p.tgz"), aPackage(t), 0o600))
	r.demo = r.start(t, r.serveScript()...)
	r.base = "http://localhost:" + r.demo.port(t) + "/fhir"
	if out, err := r.bash(".bin/openconsult client add --data-dir .data --id loader --name Loader --jwks-url https://system.example.org/keys --scope 'system/*.cruds' " + r.loader()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.table(cert, key)
	return r
}

// loader returns the flags that the README gives a client which loads.
func (r *reader) loader() string {
	r.Helper()
	text, _, _ := readme(r.T)
	m := regexp.MustCompile(`--name Loader (--all --clearance '\*' --role [a-z,-]+)`).FindStringSubmatch(text)
	if m == nil {
		r.Fatal("the README does not say what a client that loads needs")
	}
	return m[1]
}

// real is where the data of /srv/openconsult are.
func (r *reader) real() string { return filepath.Join(r.dir, "openconsult") }

func (r *reader) make(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// table says how everything is run. Commands that need another machine get one of their own.
func (r *reader) table(cert, key string) {
	const public = "https://fhir.example.org/fhir"
	here := []string{"--addr :443", "--addr 127.0.0.1:0", "/srv/", r.dir + "/", "/backup/today", r.dir + "/backup"}
	data := "--data-dir " + r.real()
	as := func(scope string) string {
		return fmt.Sprintf(`--base %s --token-command "openconsult token --data-dir %s/.data --client loader --scope %s"`, r.base, r.dir, scope)
	}
	more := func(replace ...string) []string {
		return append([]string{"serve …", "serve --base-url " + public + " --addr 127.0.0.1:0 " + data}, replace...)
	}
	dsn := pgtest.Cluster(r).DSN()
	r.ways = []*way{
		{begins: "make ", run: r.target},
		{begins: "ADDR=127.0.0.1:8090 make run", run: r.target},
		{begins: ".ci/run", run: r.script},
		{begins: "docker compose", run: r.compose},
		{begins: ".bin/openconsult demo", also: "--base " + r.base, says: "All was as it should be.", run: r.plain},
		{begins: ".bin/openconsult serve --auth=none", also: "--addr 127.0.0.1:0", run: r.browse},
		{begins: "openconsult serve --base-url " + public, replace: append([]string{"cert FILE", "cert " + cert, "key FILE", "key " + key}, here...), run: r.serve},
		{begins: "openconsult serve --base-url … --dsn", replace: []string{"--base-url …", "--base-url " + public, "host=db dbname=openconsult", dsn}, also: "--addr 127.0.0.1:0", run: r.serve},
		{begins: "openconsult user add", replace: []string{"--data-dir …", data}, says: "assword", run: r.plain},
		{begins: "openconsult client add", replace: []string{"--data-dir …", data, "https://…", "https://system.example.org/keys"}, says: "client id: ", run: r.plain},
		{begins: "openconsult backup", replace: here, says: "backed up", run: r.meanwhile},
		{begins: "openconsult restore", replace: here, says: "restored", run: r.plain},
		{begins: "openconsult reindex", replace: here, run: r.plain},
		{begins: "openconsult load", replace: []string{"DIR", r.dir + "/lines", "--base https://… --token-command …", as("system/*.cruds")}, also: "|| { cat *.reasons; exit 1; }", says: "loaded\t1", run: r.plain},
		{begins: "openconsult export", replace: []string{"DIR", r.dir + "/fetched", "--base …", as("system/*.rs")}, run: r.plain},
		{begins: "openconsult watch", replace: []string{"--base …", as("system/*.rs")}, also: "--once", says: "Communication/loaded", run: r.plain},
		{begins: "openconsult serve … --package", replace: more("FILE.tgz", r.dir+"/p.tgz", "Patient=URL", "Patient=http://hl7.org/fhir/StructureDefinition/Patient"), run: r.serve},
		{begins: "openconsult serve … --channel sms", replace: more("sms=FILE", "sms="+r.dummy), run: r.serve},
		{begins: "openconsult serve … --channel email", replace: more("FILE", r.dummy), run: r.serve},
		{begins: "openconsult serve … --max-body", replace: more(), run: r.serve},
		{begins: "openconsult config --systemd", says: "ExecStart=", run: r.plain},
		{begins: "openconsult config", says: "data-dir: ", run: r.plain},
	}
}

// command runs one command as the table says. There is none that it does not know.
func (r *reader) command(b block) {
	r.Helper()
	for _, w := range r.ways {
		if b.text == w.begins || strings.HasPrefix(b.text, w.begins) {
			w.used = true
			b.text = strings.TrimSpace(strings.NewReplacer(w.replace...).Replace(b.text) + " " + w.also)
			if strings.Contains(b.text, "…") || strings.Contains(b.text, "FILE") || strings.Contains(b.text, "DIR") {
				r.Errorf("README.md:%d: %s: this test does not know what to put in for what is left open", b.line, b.text)
				return
			}
			began := time.Now()
			w.run(w, b)
			r.Logf("README.md:%d: %.1f s: %s", b.line, time.Since(began).Seconds(), b.text)
			return
		}
	}
	r.Errorf("README.md:%d: this test has no way to run %q: add one to its table", b.line, b.text)
}

// bash runs a script in the reader's directory.
func (r *reader) bash(script string) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", script)
	c.Dir = r.dir
	out, err := c.CombinedOutput()
	return string(out), err
}

// plain runs a command to its end.
func (r *reader) plain(w *way, b block) {
	r.Helper()
	out, err := r.bash(b.text)
	if err != nil || !strings.Contains(out, w.says) {
		r.Errorf("README.md:%d: %s: %v; it is to say %q:\n%s", b.line, b.text, err, w.says, out[:min(len(out), 2000)])
	}
}

// session runs a block as a whole. What is asked in it has the status and the words that stand behind it.
func (r *reader) session(b block) {
	r.Helper()
	const between = "\x1e"
	var script strings.Builder
	var wanted [][]string
	asked := 0
	for line := range strings.Lines(b.text) {
		line = strings.TrimSuffix(line, "\n")
		script.WriteString(line + "\n")
		if strings.HasPrefix(line, "ask ") {
			asked++
		}
		if m := expected.FindStringSubmatch(line); m != nil {
			wanted = append(wanted, append(m, line))
			script.WriteString("printf '\\036'\n")
		}
	}
	if asked == 0 || asked != len(wanted) {
		r.Errorf("README.md:%d: %d requests and %d answers: put # STATUS, \"WORDS\" behind each request", b.line, asked, len(wanted))
	}
	if !strings.Contains(script.String(), demoBase+"\n") {
		r.Errorf("README.md:%d: the requests go elsewhere than to %s", b.line, demoBase)
	}
	out, err := r.bash(strings.ReplaceAll(script.String(), demoBase, r.base))
	answers := strings.Split(out, between)
	if err != nil || len(answers) != len(wanted)+1 {
		r.Fatalf("README.md:%d: %v:\n%s", b.line, err, out)
	}
	for i, want := range wanted {
		words := strings.Fields(answers[i])
		if len(words) == 0 || words[len(words)-1] != want[1] || !strings.Contains(answers[i], want[2]) {
			r.Errorf("README.md:%d: %s is answered:\n%s", b.line, want[3], answers[i])
		}
	}
}

// target has make say what it would do.
func (r *reader) target(_ *way, b block) {
	r.Helper()
	c := exec.CommandContext(r.Context(), "bash", "-c", strings.Replace(b.text, "make ", "make --dry-run ", 1))
	c.Dir = top
	if out, err := c.CombinedOutput(); err != nil || len(out) == 0 {
		r.Errorf("README.md:%d: %s: %v:\n%s", b.line, b.text, err, out)
	}
}

// script looks whether a script is there.
func (r *reader) script(_ *way, b block) {
	r.Helper()
	if info, err := os.Stat(filepath.Join(top, b.text)); err != nil || info.Mode()&0o111 == 0 {
		r.Errorf("README.md:%d: %s is no program: %v", b.line, b.text, err)
	}
}

// compose looks whether there is what docker would be given.
func (r *reader) compose(_ *way, b block) {
	r.Helper()
	m := regexp.MustCompile(`-f (\S+) .*--profile (\w+)`).FindStringSubmatch(b.text)
	if m == nil {
		r.Errorf("README.md:%d: %s names no file and profile", b.line, b.text)
		return
	}
	text, err := os.ReadFile(filepath.Join(top, m[1]))
	if err != nil || !strings.Contains(string(text), "profiles: ["+m[2]+"]") {
		r.Errorf("README.md:%d: %s has no profile %s: %v", b.line, m[1], m[2], err)
	}
}

// serveScript returns the command by which .ci/serve serves, which is make run without what it installs.
func (r *reader) serveScript() []string {
	r.Helper()
	text, err := os.ReadFile(filepath.Join(top, ".ci", "serve"))
	if err != nil {
		r.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^exec (\.bin/openconsult serve .*)$`).FindStringSubmatch(string(text))
	if m == nil || !strings.Contains(string(text), "${ADDR:-127.0.0.1:8080}") || !strings.Contains(string(text), "data=$PWD/.data\n") {
		r.Fatal(".ci/serve does not serve on ADDR, 127.0.0.1:8080 by default, with the data in .data")
	}
	return strings.Fields(strings.NewReplacer(`"$addr"`, "127.0.0.1:0", `"$data"`, filepath.Join(r.dir, ".data")).Replace(m[1]))
}

// A shown is a server that was started as the README says.
type shown struct {
	cmd   *exec.Cmd
	at    string // its address
	ended chan error
	said  *bytes.Buffer // to be read when it has ended
}

// start runs a server until it serves.
func (r *reader) start(t *testing.T, command ...string) *shown {
	t.Helper()
	s := &shown{cmd: exec.Command(command[0], command[1:]...), ended: make(chan error, 1), said: &bytes.Buffer{}}
	s.cmd.Dir = r.dir
	if strings.HasPrefix(command[0], ".bin") {
		s.cmd.Path = filepath.Join(r.dir, command[0])
	}
	stderr, err := s.cmd.StderrPipe()
	r.make(err)
	r.make(s.cmd.Start())
	where := make(lines, 1)
	go func() {
		for log := bufio.NewScanner(stderr); log.Scan(); {
			s.said.WriteString(log.Text() + "\n")
			_, _ = where.Write(log.Bytes()) // it takes everything
		}
		s.ended <- s.cmd.Wait()
	}()
	t.Cleanup(func() { _ = s.stop() })
	select {
	case at := <-where:
		s.at = at.FHIR
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, s.said)
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s does not serve", strings.Join(command, " "))
	}
	return s
}

// stop ends a server and returns what it ended with.
func (s *shown) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	err := <-s.ended
	s.ended <- err
	return err
}

func (s *shown) port(t *testing.T) string {
	t.Helper()
	_, port, ok := strings.Cut(s.at, ":")
	if _, err := strconv.Atoi(port); !ok || err != nil {
		t.Fatalf("the server serves at %q", s.at)
	}
	return port
}

// words returns a command as bash splits it.
func (r *reader) words(b block) []string {
	r.Helper()
	out, err := r.bash(`printf '%s\036' ` + b.text)
	if err != nil {
		r.Fatalf("README.md:%d: %s: %v", b.line, b.text, err)
	}
	return strings.Split(strings.TrimSuffix(out, "\x1e"), "\x1e")
}

// serve runs a server that is not the demo, and asks it without a token.
func (r *reader) serve(_ *way, b block) {
	r.Helper()
	s := r.start(r.T, r.words(b)...)
	address := "http://" + s.at
	if strings.Contains(b.text, "--tls-cert") {
		address = "https://" + s.at
	}
	for path, want := range map[string]int{"/fhir/metadata": http.StatusOK, "/fhir/Patient/p": http.StatusUnauthorized} {
		if status, body := r.get(address + path); status != want {
			r.Errorf("README.md:%d: %s: GET %s is answered %d %s", b.line, b.text, path, status, body)
		}
	}
	if err := s.stop(); err != nil {
		r.Errorf("README.md:%d: %s ends: %v\n%s", b.line, b.text, err, s.said)
	}
}

// meanwhile runs a command while a server runs on the same data.
func (r *reader) meanwhile(w *way, b block) {
	r.Helper()
	s := r.start(r.T, "openconsult", "serve", "--addr", "127.0.0.1:0", "--base-url", "https://fhir.example.org/fhir", "--data-dir", r.real())
	r.plain(w, b)
	if err := s.stop(); err != nil {
		r.Error(err)
	}
}

// browse stops the demo and serves its data without sign-in: the page that the README names has links.
func (r *reader) browse(_ *way, b block) {
	r.Helper()
	if err := r.demo.stop(); err != nil {
		r.Errorf("the demo ends: %v\n%s", err, r.demo.said)
	}
	s := r.start(r.T, r.words(b)...)
	text, _, _ := readme(r.T)
	for _, m := range linked.FindAllStringSubmatch(text, -1) {
		page, ours := strings.CutPrefix(m[2], "http://localhost:8080/fhir/")
		if !ours {
			continue
		}
		if status, body := r.get("http://" + s.at + "/fhir/" + page); status != http.StatusOK || !strings.Contains(body, "href=\"") || !strings.Contains(body, "demo-ada") {
			r.Errorf("%s is answered %d %s", m[2], status, body)
		}
	}
	if err := s.stop(); err != nil {
		r.Errorf("%v\n%s", err, s.said)
	}
}

// get asks for an address as a browser does.
func (r *reader) get(address string) (int, string) {
	r.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
	r.make(err)
	q.Header.Set("Accept", "text/html")
	resp, err := client.Do(q)
	r.make(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r.make(err)
	return resp.StatusCode, string(body)
}

// aPackage returns a FHIR package with a code system.
func aPackage(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{
		"package/package.json": `{"name":"example.colours","version":"1.0.0","fhirVersions":["4.0.1"]}`,
		"package/colours.json": `{"resourceType":"CodeSystem","id":"colours","url":"https://example.org/colours","status":"active","content":"complete","concept":[{"code":"red"}]}`,
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestREADMENames holds what the README names against what is there: flags, commands and files. It stays short.
func TestREADMENames(t *testing.T) {
	t.Parallel()
	text, _, _ := readme(t)
	if n := strings.Count(text, "\n"); n >= 200 {
		t.Errorf("the README has %d lines: keep it below 200", n)
	}
	flags, commands := allNames(root())
	// docker has flags of its own.
	for _, m := range flagged.FindAllStringSubmatch(regexp.MustCompile(`(?m)^docker .*$`).ReplaceAllString(text, ""), -1) {
		if !slices.Contains(flags, m[1]) {
			t.Errorf("there is no flag --%s", m[1])
		}
	}
	list := regexp.MustCompile("wiring: `([^`]+)`").FindStringSubmatch(text)
	if list == nil {
		t.Fatal("the README does not list the commands")
	}
	told := strings.Fields(list[1])
	slices.Sort(told)
	slices.Sort(commands)
	if !slices.Equal(told, commands) {
		t.Errorf("the README lists the commands\n%s, and there are\n%s", told, commands)
	}
	for _, m := range linked.FindAllStringSubmatch(text, -1) {
		if path := m[1]; path != "" && !strings.Contains(path, "://") {
			if _, err := os.Stat(filepath.Join(top, path)); err != nil {
				t.Errorf("a link leads nowhere: %v", err)
			}
		}
	}
}

// allNames returns the flags of all commands below c, and the names of those directly below.
func allNames(c *cobra.Command) (flags, commands []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	for _, below := range c.Commands() {
		more, _ := allNames(below)
		flags, commands = append(flags, more...), append(commands, below.Name())
	}
	return flags, commands
}
