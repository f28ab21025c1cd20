package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// serveDemo runs a server of the demo as a process with a database of its own, and returns its
// data directory and the address of its API.
func serveDemo(t *testing.T) (dir, base string) {
	t.Helper()
	parent, err := filepath.EvalSymlinks(pgtest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(parent, "data")
	ctx, stop := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "openconsult", "serve", "--demo", "--addr", "127.0.0.1:0", "--data-dir", dir)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	where := make(lines, 1)
	var said bytes.Buffer
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for log := bufio.NewScanner(stderr); log.Scan(); {
			said.WriteString(log.Text() + "\n")
			_, _ = where.Write(log.Bytes()) // it takes everything
		}
		ended <- c.Wait()
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil || t.Failed() {
			t.Logf("the server has ended: %v\n%s", err, said.Bytes()[max(0, said.Len()-4000):])
		}
	})
	select {
	case at := <-where:
		_, port, _ := strings.Cut(at.FHIR, ":")
		return dir, "http://localhost:" + port + "/fhir"
	case err := <-ended:
		ended <- err
		t.Fatalf("the server ended: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("the server does not start")
	}
	return "", ""
}

// TestDemo plays the demo twice on one server: all of it goes as it should.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir, base := serveDemo(t)
	for range 2 {
		out, err := exec.CommandContext(t.Context(), "openconsult", "demo", "--base", base, "--data-dir", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, f := range demoFlows() {
			if strings.Count(string(out), "\n"+f.title+"\n") != 1 {
				t.Errorf("%q is not played once", f.title)
			}
		}
		if strings.Count(string(out), "NOT AS IT SHOULD BE") != 1 { // it is explained once
			t.Errorf("%s", out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "openconsult", "demo", "--base", base+"/elsewhere", "--data-dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "give that as --base") {
		t.Errorf("another --base: %v %s", err, out)
	}
}

// TestDemoWithoutServer refuses a directory in which no demo has run.
func TestDemoWithoutServer(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "openconsult", "demo", "--data-dir", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no server has run with --demo") {
		t.Errorf("%v %s", err, out)
	}
}

// TestDemoFails plays steps whose answers are not as they should be: each is said, none that
// stands on a change that was refused is tried, and the flow has failed.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	ear, err := listenLocally([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer ear.close()
	var out bytes.Buffer
	st := &stage{out: &out, base: ear.base, client: http.DefaultClient, ear: ear}
	failed := st.perform(t.Context(), flow{"A flow", func(c *scene) {
		c.play(step{does: "reads", ask: "GET nothing"}, status(200))
		c.play(step{does: "writes", ask: "POST nothing"}, status(201))
		c.play(step{does: "writes again", ask: "POST nothing"}, status(404))
	}})
	if len(failed) != 1 || failed[0] != "A flow: 2 wrong, and 1 steps not tried after that" {
		t.Errorf("%q", failed)
	}
	if n := strings.Count(out.String(), "NOT AS IT SHOULD BE: the status should be 20"); n != 2 || strings.Contains(out.String(), "writes again") {
		t.Errorf("%s", out.String())
	}
}

// TestChecks holds what the demo expects against answers that are as expected, and not.
func TestChecks(t *testing.T) {
	t.Parallel()
	task := newHeard(&http.Response{StatusCode: 200, Header: http.Header{"Etag": {`W/"1"`}}},
		[]byte(`{"resourceType":"Task","id":"1","status":"requested","intent":"order","authoredOn":"2026-01-31T09:00:00Z"}`))
	refusal := newHeard(&http.Response{StatusCode: 422},
		[]byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"business-rule","details":{"coding":[{"code":"already-replied"}]}}]}`))
	nothing := newHeard(&http.Response{StatusCode: 204}, nil)
	when := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		answer heard
		want   []check
		wrong  int
	}{
		"as it should be":           {task, []check{status(200), gives("status", "requested"), holds("x", "id = '1'"), has("ETag", "1"), lacks("x", "completed"), at("authoredOn", when)}, 0},
		"another status":            {task, []check{status(201)}, 1},
		"another value":             {task, []check{gives("status", "completed")}, 1},
		"nothing is known":          {task, []check{gives("priority", "")}, 1},
		"no value":                  {task, []check{gives("priority", "stat")}, 1},
		"not true":                  {task, []check{holds("x", "id = '2'")}, 1},
		"not known":                 {task, []check{holds("x", "priority = 'stat'")}, 1},
		"no expression":             {task, []check{holds("x", "id ="), gives("id =", "1")}, 2},
		"another header":            {task, []check{has("ETag", "2")}, 1},
		"what should not be there":  {task, []check{lacks("x", "requested")}, 1},
		"another time":              {task, []check{at("authoredOn", when.Add(time.Second)), at("lastModified", when)}, 2},
		"refused as it should be":   {refusal, refused(422, "already-replied"), 0},
		"refused for another cause": {refusal, refused(422, "conversation-closed"), 1},
		"refused otherwise":         {refusal, refused(409, "already-replied"), 1},
		"no body":                   {nothing, []check{status(204), gives("status", "requested"), holds("x", "id = '1'")}, 2},
	} {
		if _, wrong := judge(c.answer, nil, c.want); len(wrong) != c.wrong {
			t.Errorf("%s: %q", name, wrong)
		}
	}
}

// TestEar takes notifications and messages that are signed, each once, and no others.
func TestEar(t *testing.T) {
	t.Parallel()
	e, err := listenLocally([]byte("the secret of the gateway"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if !e.signed([]byte("x"), "t=1,v1="+macOf(e.secret, "1.x")) || e.signed([]byte("y"), "t=1,v1="+macOf(e.secret, "1.x")) || e.signed([]byte("x"), "") {
		t.Error("signatures are not told apart")
	}
	r, err := http.Post(e.base+gatewayPath, "application/json", strings.NewReader(`{"key":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusForbidden || len(e.letters) > 0 {
		t.Errorf("%d %v", r.StatusCode, e.letters)
	}
	told, err := readNotices([]byte(`{"resourceType":"Bundle","type":"history","entry":[{"fullUrl":"urn:uuid:9c3c4c1e-5b68-4a21-8f7b-0d2f8c7e6a10","resource":{"resourceType":"Parameters","parameter":[
 {"name":"topic","valueCanonical":"https://fhir.openconsult.example/SubscriptionTopic/task-changed"},
 {"name":"notification-event","part":[{"name":"focus","valueReference":{"reference":"Task/1"}}]},
 {"name":"notification-event","part":[{"name":"focus","valueReference":{"reference":"Task/2"}}]}]},"request":{"method":"GET","url":"Subscription/1"},"response":{"status":"200"}}]}`))
	if err != nil || len(told) != 2 || told[1] != (notice{topic: "task-changed", focus: "Task/2"}) {
		t.Errorf("%v %v", told, err)
	}
}

// TestNHSNumber makes numbers whose check digit is right.
func TestNHSNumber(t *testing.T) {
	t.Parallel()
	for range 100 {
		n, sum := nhsNumber(), 0
		for i, digit := range n {
			sum += int(digit-'0') * (10 - i)
		}
		if len(n) != 10 || !strings.HasPrefix(n, "999") || sum%11 != 0 {
			t.Errorf("%s", n)
		}
	}
}

// TestDemoWorld has only resources with ids of the run.
func TestDemoWorld(t *testing.T) {
	t.Parallel()
	for line := range bytes.Lines(demoWorld) {
		var r struct{ ID string }
		if err := json.Unmarshal(line, &r); err != nil || !strings.HasPrefix(r.ID, "{run}") {
			t.Errorf("%v %s", err, line)
		}
	}
}
