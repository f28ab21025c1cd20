package web

import (
	"context"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	layout "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A screen drives a headless Chromium that runs no script.
type screen struct {
	t   *testing.T
	ctx context.Context
	dir string // of the pictures
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("there is no Chromium on this machine: install the package chromium to try the pages in a browser")
	}
	dir := os.Getenv("OPENCONSULT_TEST_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.IgnoreCertErrors)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closed := chromedp.NewContext(ctx)
	t.Cleanup(closed)
	s := &screen{t, ctx, dir}
	call(s, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return s
}

// call gives the browser a command.
func call[P, R any](s *screen, command cdp.Command[P, R], params P) R {
	s.t.Helper()
	result, err := chromedp.Call(s.ctx, command, params)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

// ask returns what an action finds out.
func ask[T any](s *screen, action chromedp.Action[T]) T {
	s.t.Helper()
	result, err := chromedp.Run(s.ctx, action)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

func (s *screen) do(actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	if err := chromedp.Do(s.ctx, actions...); err != nil {
		s.t.Fatalf("%v at %s", err, s.where())
	}
}

// where says which page there is, for a test that fails.
func (s *screen) where() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	body, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	return at + "\n" + body
}

// shoot takes pictures of the page on a telephone and on a desk, and of the
// telephone in the dark. None may be wider than its screen.
func (s *screen) shoot(name string) {
	s.t.Helper()
	for _, size := range []struct {
		label         string
		width, height int64
		scheme        string
	}{{"desk", 1280, 900, "light"}, {"dark", 360, 740, "dark"}, {"phone", 360, 740, "light"}} {
		s.do(chromedp.EmulateViewport(size.width, size.height))
		call(s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: size.scheme}}})
		wide := int64(call(s, layout.GetLayoutMetrics, cdp.Empty{}).CSSContentSize.Width)
		picture := ask(s, chromedp.FullScreenshot(100))
		if wide > size.width {
			s.t.Errorf("%s is %d pixels wide on a screen of %d", name, wide, size.width)
		}
		if err := os.WriteFile(filepath.Join(s.dir, name+"-"+size.label+".png"), picture, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	s.do(chromedp.EmulateViewport(1280, 900))
}

func (s *screen) click(id string) {
	s.t.Helper()
	s.do(chromedp.Click(chromedp.ID(id)))
}

// sees waits for an element.
func (s *screen) sees(id string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.ID(id))); err != nil {
		s.t.Fatalf("there is no #%s: %v at %s", id, err, s.where())
	}
}

func (s *screen) types(id, text string) {
	s.t.Helper()
	s.do(chromedp.SendKeys(chromedp.ID(id), text))
}

// keys presses keys wherever the focus is.
func (s *screen) keys(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		s.do(chromedp.KeyEvent(k))
	}
}

// starter is the site of an app whose button #go sends a request by a cross-site
// form, and where people arrive.
func (w *world) starter(t *testing.T, request func() url.Values) *httptest.Server {
	t.Helper()
	form := template.Must(template.New("").Parse(`<!DOCTYPE html><title>Start</title><form method="post" action="{{.To}}">{{range $k, $v := .Form}}<input type="hidden" name="{{$k}}" value="{{index $v 0}}">{{end}}<button id="go">Go</button></form>`))
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/start" {
			io.WriteString(rw, "<title>Arrived</title><h1 id=arrived>Arrived</h1>")
			return
		}
		if err := form.Execute(rw, map[string]any{"To": w.URL + "/auth/authorize", "Form": request()}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// moved is a request that leads back to another site than the world's app.
func (w *world) moved(t *testing.T, scope string) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = w.starter(t, func() url.Values {
		r := w.request(scope)
		r.Set("redirect_uri", s.URL+"/back")
		return r
	})
	w.client.RedirectURIs = append(w.client.RedirectURIs, s.URL+"/back")
	if err := w.oauth.UpdateClient(t.Context(), w.client); err != nil {
		t.Fatal(err)
	}
	return s
}

// arrived returns what the app is sent back with.
func (s *screen) arrived() url.Values {
	s.t.Helper()
	s.sees("arrived")
	u, err := url.Parse(ask(s, chromedp.Location()))
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Query()
}

// C21: Chromium follows the redirect after consent to the app's origin, without
// JavaScript, after the cross-site form of the app.
func TestC21ChromiumClinician(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	w := newWorld(t)
	app := w.moved(t, "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Condition.rs patient/Observation.rs patient/*.crs")
	s.do(chromedp.Navigate(app.URL + "/start"))
	s.click("go")
	s.sees("password")
	s.shoot("1-sign-in")
	s.types("name", "gp")
	s.types("password", "not this")
	s.click("sign-in")
	s.sees("error-summary")
	s.shoot("2-sign-in-wrong")
	s.types("password", password)
	s.click("sign-in")
	s.sees("patient-name")
	s.shoot("3-choose")
	s.click("search")
	s.sees("error-summary")
	s.shoot("4-choose-wrong")
	s.types("patient-name", "nobody")
	s.click("search")
	s.sees("results-title")
	s.shoot("5-choose-none")
	s.types("patient-name", kb.End+strings.Repeat(kb.Backspace, len("nobody")))
	s.types("patient-name", "a")
	s.click("search")
	s.sees("patient-ada")
	s.shoot("6-choose-found")
	s.click("patient-ada")
	s.sees("allow")
	s.shoot("7-consent")
	s.click("scope-3-some")
	s.click("allow")
	s.sees("error-summary")
	s.shoot("8-consent-wrong")
	s.click("scope-3-laboratory")
	s.click("scope-3-vital-signs")
	s.click("scope-4") // that everything may be seen would undo the choice
	s.shoot("9-consent-kinds")
	s.click("allow")
	if q := s.arrived(); q.Get("code") == "" || q.Get("state") != "a state & more" {
		t.Errorf("arrived with %v", q)
	} else if _, err := w.oauth.Token(t.Context(), url.Values{"grant_type": {"authorization_code"}, "code": q["code"], "redirect_uri": {app.URL + "/back"}, "client_id": {w.client.ID}, "code_verifier": {verifier}}, ""); err != nil {
		t.Error(err)
	}
	s.do(chromedp.Navigate(w.URL + "/auth/apps"))
	s.sees("to-sign-out")
	s.do(chromedp.Click(chromedp.CSS("summary")))
	s.shoot("10-apps")
	s.click("to-sign-out")
	s.sees("sign-out")
	s.shoot("11-sign-out")
	s.click("sign-out")
	s.sees("again")
	s.shoot("12-signed-out")
}

// A patient does it all by the keyboard.
func TestChromiumKeyboardOnly(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	w := newWorld(t)
	app := w.moved(t, "launch/patient patient/Patient.rs")
	s.do(chromedp.Navigate(app.URL + "/start"))
	s.keys(kb.Tab, kb.Enter)
	s.sees("password")
	s.keys(kb.Tab, kb.Tab)
	s.keys(strings.Split("carer", "")...)
	s.keys(kb.Tab)
	s.keys(strings.Split(password, "")...)
	s.shoot("20-focus")
	s.keys(kb.Enter)
	s.sees("patient-byron")
	// The skip link, the two of the account, Choose and Choose of the second patient.
	s.keys(kb.Tab, kb.Enter, kb.Tab, kb.Tab)
	s.shoot("21-proxy")
	s.keys(kb.Enter)
	s.sees("allow")
	s.shoot("22-consent-short")
	s.focus("allow")
	s.keys(kb.Enter)
	if q := s.arrived(); q.Get("code") == "" {
		t.Errorf("arrived with %v", q)
	}
}

// focus presses Tab until an element has the focus.
func (s *screen) focus(id string) {
	s.t.Helper()
	for range 30 {
		if ask(s, chromedp.Evaluate[string](`document.activeElement.id`)) == id {
			return
		}
		s.keys(kb.Tab)
	}
	s.t.Fatalf("the keyboard does not reach #%s", id)
}

// The pages that nobody wants to see, and that nothing loads.
func TestChromiumDeadEnds(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	w := newWorld(t)
	var mu sync.Mutex
	loaded := map[string]bool{} // by origin
	if err := chromedp.Listen(s.ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok {
			mu.Lock()
			defer mu.Unlock()
			loaded[origin(e.Request.URL)] = true
		}
	}); err != nil {
		t.Fatal(err)
	}
	call(s, network.Enable, network.EnableParams{})
	s.do(chromedp.Navigate(w.URL + "/auth/authorize?" + w.request(everything).Encode()))
	s.sees("password")
	s.types("name", "lost")
	s.types("password", password)
	s.click("sign-in")
	s.sees("unlinked")
	s.shoot("30-unlinked")
	s.click("refuse")
	if q := s.arrived(); q.Get("error") != "access_denied" {
		t.Errorf("arrived with %v", q)
	}
	s.do(chromedp.Navigate(w.URL + "/auth/apps"))
	s.sees("to-sign-out")
	s.shoot("31-apps-unlinked")
	s.do(chromedp.Navigate(w.URL + "/auth/authorize?client_id=unknown"))
	s.sees("error-code")
	s.shoot("32-bad-request")
	mu.Lock()
	defer mu.Unlock()
	if !loaded[w.URL] || !loaded[w.app.URL] || len(loaded) != 2 {
		t.Errorf("the pages have loaded from %v", loaded)
	}
}
