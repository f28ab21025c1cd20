package conformance_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A window is a browser in which somebody uses an app.
type window struct {
	t   *testing.T
	ctx context.Context
}

// newWindow opens a browser that knows nothing of what others have done.
func newWindow(t *testing.T) *window {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("there is no Chromium on this machine: install the package chromium to try the server with a browser app")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closed := chromedp.NewContext(ctx)
	t.Cleanup(closed)
	return &window{t, ctx}
}

func (w *window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, actions...); err != nil {
		w.t.Fatalf("%v at %s", err, w.where())
	}
}

// where says which page there is, for a test that fails.
func (w *window) where() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 5*time.Second)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	body, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	return at + "\n" + body
}

func (w *window) open(address string) {
	w.t.Helper()
	w.do(chromedp.Navigate(address))
}

// sees waits for an element.
func (w *window) sees(id string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience/3)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.ID(id))); err != nil {
		w.t.Fatalf("there is no #%s: %v at %s", id, err, w.where())
	}
}

func (w *window) click(id string) {
	w.t.Helper()
	w.sees(id)
	w.do(chromedp.Click(chromedp.ID(id)))
}

func (w *window) types(id, text string) {
	w.t.Helper()
	w.sees(id)
	w.do(chromedp.SendKeys(chromedp.ID(id), text))
}

func (w *window) signIn(name string) {
	w.t.Helper()
	w.types("name", name)
	w.types("password", "demo-password")
	w.click("sign-in")
}

// shoot takes pictures of the page, where there is a directory for them.
func (w *window) shoot(name string) {
	w.t.Helper()
	dir := os.Getenv("OPENCONSULT_TEST_SHOTS")
	if dir == "" {
		return
	}
	for label, size := range map[string][2]int64{"phone": {360, 740}, "desk": {1280, 900}} {
		w.do(chromedp.EmulateViewport(size[0], size[1]))
		picture, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+label+".png"), picture, 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := chromedp.Call(w.ctx, emulation.ClearDeviceMetricsOverride, cdp.Empty{}); err != nil {
		w.t.Fatal(err)
	}
}

// script returns what a script of the page comes to, as text.
func (w *window) script(expression string) string {
	w.t.Helper()
	text, err := w.try(expression)
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// try is script for one that may fail.
func (w *window) try(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => String(`+expression+`))()`, chromedp.EvalAwaitPromise))
}

// An app is a static site of another origin than the server.
type app struct {
	*httptest.Server
	id      string
	station *station
}

// newApp serves a browser app and registers it.
func newApp(t *testing.T, s *station) *app {
	t.Helper()
	script := fhirclient(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fhir-client.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script) // the browser may be gone
	})
	mux.HandleFunc("GET /app.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/app.html") })
	a := &app{Server: httptest.NewServer(mux), id: "chart-viewer", station: s}
	t.Cleanup(a.Close)
	s.command("client", "add", "--id", a.id, "--name", "Chart viewer", "--public", "--redirect", a.URL+"/app.html", "--launch-url", a.URL+"/app.html",
		"--scope", "openid fhirUser launch launch/patient offline_access patient/*.cruds user/*.cruds")
	return a
}

// address is what opens the app for somebody, from an EHR if there is a handle.
func (a *app) address(scope, handle string) string {
	q := url.Values{"iss": {a.station.base}, "client": {a.id}, "scope": {scope}}
	if handle != "" {
		q.Set("launch", handle)
	}
	return a.URL + "/app.html?" + q.Encode()
}
