package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestCheckFlags(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--validation=full":               "",
		"--validation=structure":          "",
		"--validation=some":               "--validation is full or structure",
		"--unknown-questionnaire=store":   "",
		"--unknown-questionnaire=maybe":   "--unknown-questionnaire is refuse or store",
		"--require-profile=Patient=a:b":   "",
		"--require-profile=Patient":       "--require-profile",
		"--require-profile=Patent=a:b":    "--require-profile",
		"--require-profile=Patient=nice":  "--require-profile",
		"--require-profile=https://x.y/z": "--require-profile",
	} {
		s, err := completed(t, []string{arg}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		err = s.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}

func TestMandatory(t *testing.T) {
	t.Parallel()
	s, err := completed(t, []string{"--require-profile=Patient=https://a.example/x", "--require-profile=Patient=https://a.example/y,Task=https://a.example/z"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.mandatory()
	if err != nil || strings.Join(all["Patient"], " ") != "https://a.example/x https://a.example/y" || strings.Join(all["Task"], " ") != "https://a.example/z" || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

// TestServeChecks runs a server with everything that says what resources are held
// against: a package, a profile for all patients, forms that may be unknown, and another
// server that knows codes.
func TestServeChecks(t *testing.T) {
	t.Parallel()
	const profile = "https://practice.example/StructureDefinition/nice"
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("package.json", `{"name":"practice.example","version":"1"}`)
	write("nice.json", `{"resourceType":"StructureDefinition","url":"`+profile+`","name":"Nice","status":"active","kind":"resource","abstract":false,"type":"Patient",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`)
	asked := make(chan string, 100)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization") + " " + r.URL.Path
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":true},{"name":"display","valueString":"Asthma"}]}`))
	}))
	defer elsewhere.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := withChecks(t, "--package="+folder, "--require-profile=Patient="+profile, "--unknown-questionnaire=store", "--terminology-server="+elsewhere.URL+"/", "--terminology-token-file="+token)
	client := &http.Client{Timeout: 20 * time.Second}
	for _, test := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/Patient", `{"resourceType":"Patient"}`, 422, profile + "#Patient.birthDate"},
		{"/Patient", `{"resourceType":"Patient","birthDate":"2000-01-01"}`, 201, ""},
		{"/Patient", `{"resourceType":"Patient","birthDate":"2000-01-01","contact":[{"gender":"male"}]}`, 422, "pat-1"},
		{"/QuestionnaireResponse", `{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"https://practice.example/unknown"}`, 201, ""},
		{"/CodeSystem/$validate-code?" + url.Values{"url": {"http://snomed.info/sct"}, "code": {"195967001"}}.Encode(), `{"resourceType":"Parameters"}`, 200, `"valueBoolean":true`},
	} {
		a, err := client.Post(base+test.path, "application/fhir+json", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if err := a.Write(&body); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != test.status || !strings.Contains(body.String(), test.says) {
			t.Errorf("%s %s: %s, want %d %s", test.path, test.body, body.String(), test.status, test.says)
		}
	}
	select {
	case got := <-asked:
		if !strings.HasPrefix(got, "Bearer open sesame /") {
			t.Errorf("the other server was asked with %q", got)
		}
	default:
		t.Error("the other server was not asked")
	}
}

// TestServeStructureOnly runs a server that looks at nothing but the structure of what is
// stored, and still says what else is wrong when it is asked.
func TestServeStructureOnly(t *testing.T) {
	t.Parallel()
	base := withChecks(t, "--validation=structure")
	client := &http.Client{Timeout: 20 * time.Second}
	for path, want := range map[string]int{"/Patient": 201, "/Patient/$validate": 200} {
		a, err := client.Post(base+path, "application/fhir+json", strings.NewReader(`{"resourceType":"Patient","contact":[{"gender":"male"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if err := a.Write(&body); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != want || (want == 200) != strings.Contains(body.String(), "pat-1") {
			t.Errorf("%s: %s", path, body.String())
		}
	}
}

// TestServeWithoutPackage wants a server that is told of a package that is not there, or
// is none, not to start.
func TestServeWithoutPackage(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--package=/nowhere.tgz", "--package=" + writeFile(t, "p.tgz", "no package"), "--terminology-token-file=/nowhere"} {
		s, err := completed(t, []string{"--auth=none", "--addr=127.0.0.1:0", "--unsafe", "--dsn=" + pgtest.New(t).DSN, arg}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		if err := serve(ctx, s, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: it serves", arg)
		}
		stop()
	}
}

// withChecks runs a server without sign-in until the test ends, and returns its base.
func withChecks(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	where, done := make(lines, 1), make(chan error, 1)
	s, err := completed(t, append([]string{"--auth=none", "--addr=127.0.0.1:0", "--unsafe", "--dsn=" + pgtest.New(t).DSN}, args...), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve(ctx, s, slog.New(slog.NewJSONHandler(where, nil))) }()
	select {
	case at := <-where:
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return "http://" + at.FHIR + "/fhir"
	case err := <-done:
		stop()
		t.Fatal(err)
	case <-time.After(time.Minute):
		stop()
		t.Fatal("it does not begin to serve")
	}
	return ""
}
