package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/search"
)

// TestB19Poisoning sends what a cache or a proxy may take for a part of the
// address, or not: nobody's answer is kept for another one.
func TestB19Poisoning(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{BaseURL: "https://fhir.example/fhir"})
	plain := by(s, "visible1").ask("GET /fhir/Observation/visible1", "")
	for _, header := range []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Forwarded-Scheme: http", "X-Original-URL: /fhir/Patient/hidden-1", "X-Host: evil.example", "Forwarded: host=evil.example", "X-Forwarded-Port: 1"} {
		if w := by(s, "visible1").ask("GET /fhir/Observation/visible1", "", header); steady(raw(w)) != steady(raw(plain)) {
			t.Errorf("%s changes the answer: %s", header, raw(w))
		}
	}
	for _, request := range []string{"GET /fhir/Observation/visible1?_format=xml", "GET /fhir/Observation/visible1?_format=html", "GET /fhir/Observation/visible1?_format=nonsense", "GET /fhir/Observation/hidden-1", "GET /fhir/Observation?_id=visible1"} {
		for _, accept := range []string{"application/fhir+json", "application/fhir+xml", "text/html", "image/png"} {
			w := by(s, "visible1").ask(request, "", "Accept: "+accept)
			vary := strings.Join(w.Header().Values("Vary"), ",")
			if w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(vary, "Authorization") || !strings.Contains(vary, "Accept") {
				t.Errorf("%s as %s: %d %v", request, accept, w.Code, w.Header())
			}
		}
	}
}

// TestD3Encodings sends bodies that say they are compressed, and would be large.
func TestD3Encodings(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "x-gzip", "identity, gzip"} {
		if w := by(s, "root").ask("POST /fhir/Observation", observationBody("x"), fhirJSON, "Content-Encoding: "+encoding); w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", encoding, w.Code, w.Body)
		}
	}
}

// TestD4Archives sends what would have to be unpacked.
func TestD4Archives(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, kind := range []string{"multipart/form-data; boundary=x", "application/zip", "application/x-tar", "application/gzip", "multipart/mixed; boundary=x", "application/x-ndjson"} {
		for _, path := range []string{"/fhir/Observation", "/fhir", "/fhir/$import"} {
			w := by(s, "root").ask("POST "+path, "--x\r\n\r\n{}\r\n--x--", "Content-Type: "+kind)
			if w.Code != http.StatusUnsupportedMediaType && w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s to %s: %d %s", kind, path, w.Code, w.Body)
			}
		}
	}
}

// TestD5Bounds asks for too much at once.
func TestD5Bounds(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for name, tt := range map[string]struct {
		query  string
		status int
	}{
		"_count":     {"_count=1001", 400},
		"parameters": {strings.TrimSuffix(strings.Repeat("status=final&", search.MaxParameters+1), "&"), 400},
		"values":     {"status=" + strings.Repeat("final,", search.MaxAlternatives) + "final", 400},
		"chain":      {"subject:Patient." + strings.Repeat("link:Patient.", search.MaxChain) + "_id=x", 400},
		"includes":   {strings.TrimSuffix(strings.Repeat("_include=Observation:subject&", search.MaxIncludes+1), "&"), 400},
		"address":    {"code=" + strings.Repeat("a", 9<<10), 414},
	} {
		if w := by(s, "visible1").ask("GET /fhir/Observation?"+tt.query, ""); w.Code != tt.status {
			t.Errorf("%s: %d %.200s", name, w.Code, w.Body)
		}
	}
}

// corpus is what turns into more than text where texts are put together.
var corpus = []string{
	`'`, `''`, `"`, `\`, `\'`, `' OR '1'='1`, `'; DROP TABLE res; --`, `") OR 1=1 --`, `1; SELECT pg_sleep(10)`, `$1`, `$$`, `:x`, `?`, `%`, `%%`, `_`, `%' OR 1=1 --`, `\x00`, "\x00", "\u0000'", `E'\x27'`,
	`'||(SELECT version())||'`, `' UNION SELECT null,null--`, `/**/`, `--`, `#`, "\n--", `ʼ`, `＇`, `{"a":1}`, `(SELECT 1)`, `1e999`, `-1`, `9223372036854775808`, `NaN`, `'::int`, `a\,b`, `|`, `a|'`, `'|b`, `x,'`, `Patient/'`, `http://x'/y|'`, `2024-01-01'`, `gt'`, `1|'|'`,
}

// TestD11Injection puts texts that break statements into every parameter, and into
// every part of the address and of a body. Nothing is found by it, nothing fails.
func TestD11Injection(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	names := []string{"_id", "_lastUpdated", "_tag", "_security", "_profile", "_content", "_text", "_filter", "_has:Observation:subject:code", "subject:Patient.family", "code", "code:text", "code:not", "subject", "subject:identifier", "value-quantity", "value-string", "value-string:contains",
		"value-string:exact", "date", "combo-code-value-quantity", "_sort", "_count", "_include", "_revinclude", "_elements", "_summary", "_total", "_type", "_list", "_cursor", "_since", "_format"}
	for _, text := range corpus {
		var requests []string
		for _, name := range names {
			requests = append(requests, "GET /fhir/Observation?"+name+"="+url.QueryEscape(text), "GET /fhir/Observation?"+url.QueryEscape(name+text)+"=x")
		}
		segment := url.PathEscape(text)
		requests = append(requests, "GET /fhir/Observation/"+segment, "GET /fhir/"+segment, "GET /fhir/Observation/visible1/_history/"+segment, "GET /fhir/Patient/"+segment+"/Observation", "DELETE /fhir/Observation/"+segment, "GET /fhir/Observation?_cursor="+url.QueryEscape(text))
		for _, request := range requests {
			w := by(s, "visible1").ask(request, "", "Prefer: handling=lenient")
			if w.Code >= 500 || strings.Contains(w.Body.String(), "hidden-1") || strings.Contains(w.Body.String(), "pq:") {
				t.Errorf("%s: %d %s", request, w.Code, w.Body)
			}
		}
		for _, header := range []string{"If-Match", "If-None-Match", "If-None-Exist", "X-Security-Context", "Prefer"} {
			if strings.ContainsAny(text, "\x00\n") {
				continue // no header can hold it
			}
			if w := by(s, "visible1").ask("PUT /fhir/Observation/visible1", observationBody("visible1"), fhirJSON, header+": "+text); w.Code >= 500 {
				t.Errorf("%s %s: %d %s", header, text, w.Code, w.Body)
			}
		}
	}
	for _, id := range []string{"visible1", "hidden-1"} {
		if w := by(s, "root").ask("GET /fhir/Observation/"+id, ""); w.Code != 200 {
			t.Errorf("%s is gone: %d", id, w.Code)
		}
	}
}

// TestD12Names sends ids and texts of odd letters.
func TestD12Names(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, id := range []string{strings.Repeat("a", 65), "a\u202eb", "a\u0000", "а", "a b", "..", "a_b", "ﬁ", "a\u0301", "%00", "a/b"} {
		body := strings.Replace(observationBody("x"), `"id":"x"`, `"id":"`+strings.ReplaceAll(id, "\x00", `\u0000`)+`"`, 1)
		if w := by(s, "root").ask("PUT /fhir/Observation/"+url.PathEscape(id), body, fhirJSON); w.Code < 400 || w.Code >= 500 {
			t.Errorf("id %q: %d %s", id, w.Code, w.Body)
		}
	}
	for _, text := range []string{`a\u0000b`, `\ud800`, "\xff", "\x01", "\xc0\x80"} {
		if w := by(s, "root").ask("POST /fhir/Patient", `{"resourceType":"Patient","name":[{"family":"`+text+`"}]}`, fhirJSON); w.Code != 400 {
			t.Errorf("text %q: %d %s", text, w.Code, w.Body)
		}
	}
}

// TestD16Splitting puts line breaks where they could end a header.
func TestD16Splitting(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	const split = "x\r\nSet-Cookie: a=b\r\n\r\n<script>"
	for _, request := range []string{"GET /fhir/Observation/visible1?_format=" + url.QueryEscape(split), "GET /fhir/Observation/" + url.PathEscape(split), "GET /fhir/Observation?code=" + url.QueryEscape(split), "GET /fhir/Observation/visible1/_history/" + url.PathEscape(split)} {
		w := by(s, "visible1").ask(request, "", "X-Request-Id: x%0d%0aSet-Cookie: a=b")
		for name, values := range w.Header() {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n") || name == "Set-Cookie" {
				t.Errorf("%s: %s %q", request, name, values)
			}
		}
	}
	for _, contentType := range []string{`text/plain\r\nSet-Cookie: a=b`, `text/plain\u0000`, `text/plain; name=\"a\r\nb\"`} {
		w := by(s, "root").ask("PUT /fhir/Binary/b", `{"resourceType":"Binary","id":"b","contentType":"`+contentType+`","data":"YQ=="}`, fhirJSON)
		if w.Code < 300 {
			w = by(s, "root").ask("GET /fhir/Binary/b", "", "Accept: */*")
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") || name == "Set-Cookie" {
				t.Errorf("%s: %d %s %q", contentType, w.Code, name, values)
			}
		}
	}
}

// TestD19Details takes a table away under the server: what fails says nothing of
// how it failed.
func TestD19Details(t *testing.T) {
	t.Parallel()
	s, db := storing(t, Config{Log: slog.New(slog.DiscardHandler)})
	if _, err := db.ExecContext(t.Context(), `ALTER TABLE res RENAME TO gone_res; ALTER TABLE ver RENAME TO gone_ver`); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, r := range s.routes() {
		for _, method := range r.methods() {
			w := answer(s, requestTo(r, method))
			if w.Code < 400 {
				continue
			}
			if w.Code >= 500 {
				failed++
			}
			for _, detail := range []string{"pq:", "gone_", "SELECT", "relation", "goroutine", ".go:", "sql:", "panic"} {
				if strings.Contains(w.Body.String(), detail) {
					t.Errorf("%s %s says %s: %d %s", method, r.path, detail, w.Code, w.Body)
				}
			}
		}
	}
	if failed < 5 {
		t.Errorf("only %d requests have failed", failed)
	}
}

// TestB11ServerFields writes what only the server says of a resource.
func TestB11ServerFields(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	body := strings.Replace(observationBody("x"), `"id":"x"`, `"id":"hidden-1","meta":{"versionId":"99","lastUpdated":"1999-01-01T00:00:00Z","_versionId":{"id":"a"},"tag":[{"code":"kept"}]}`, 1)
	for _, kind := range []string{fhirJSON, "Content-Type: application/fhir+json; charset=utf-8"} {
		w := by(s, "root").ask("POST /fhir/Observation", body, kind)
		text := w.Body.String()
		if w.Code != 201 || strings.Contains(text, "hidden-1") || strings.Contains(text, `"99"`) || strings.Contains(text, "1999-01-01") || !strings.Contains(text, `"versionId":"1"`) || !strings.Contains(text, "kept") {
			t.Errorf("create: %d %s", w.Code, text)
		}
	}
	if w := by(s, "root").ask("PUT /fhir/Observation/visible1", body, fhirJSON); w.Code != 400 {
		t.Errorf("update with another id: %d %s", w.Code, w.Body)
	}
	w := by(s, "root").ask("PUT /fhir/Observation/visible1", strings.Replace(body, "hidden-1", "visible1", 1), fhirJSON)
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, `"99"`) || strings.Contains(text, "1999-01-01") || !strings.Contains(text, `"versionId":"3"`) {
		t.Errorf("update: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/id", "/meta/versionId", "/meta/lastUpdated"} {
		w := by(s, "root").ask("PATCH /fhir/Observation/visible1", `[{"op":"replace","path":"`+path+`","value":"1999-01-01T00:00:00Z"}]`, "Content-Type: application/json-patch+json")
		if strings.Contains(w.Body.String(), "1999-01-01T") && w.Code < 300 {
			t.Errorf("patch of %s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := by(s, "root").ask("GET /fhir/Observation/hidden-1", ""); w.Header().Get("Etag") != `W/"2"` {
		t.Errorf("another one was changed: %v", w.Header())
	}
}

// TestD7Counts: no page has to count all there is, unless it is asked to, or it is
// the history of one resource.
func TestD7Counts(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for path, counts := range map[string]bool{
		"/fhir/_history": false, "/fhir/_history?_count=1": false, "/fhir/Observation/_history": false, "/fhir/Observation/_history?_since=2020-01-01": false, "/fhir/Observation?_count=1": false, "/fhir?_type=Observation&_count=1": false,
		"/fhir/Observation?_total=none": false, "/fhir/Observation?_total=accurate": true, "/fhir/Observation?_summary=count": true, "/fhir/Observation/visible1/_history": true,
	} {
		w := by(s, "root").ask("GET "+path, "")
		if w.Code != 200 || strings.Contains(w.Body.String(), `"total"`) != counts {
			t.Errorf("%s: %d %.300s", path, w.Code, w.Body)
		}
	}
}
