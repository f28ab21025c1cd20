package conformance_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A request is what a script sends.
type request struct {
	method, path string
	headers      [][2]string
	body         string
}

// An exchange is a request and its answer.
type exchange struct {
	request
	status int
	header http.Header
	answer string // decoded, if it was compressed
	tree   any    // the answer as JSON; nil if it is none
}

// send sends r. A path that begins with a slash is one on the server of base.
func (r request) send(client *http.Client, base string) (exchange, error) {
	url := r.path
	if strings.HasPrefix(url, "/") {
		url = strings.TrimSuffix(base, "/fhir") + url
	}
	req, err := http.NewRequest(r.method, url, strings.NewReader(r.body))
	if err != nil {
		return exchange{}, fmt.Errorf("make request: %w", err)
	}
	for _, h := range r.headers {
		if h[1] != "" {
			req.Header.Add(h[0], h[1])
		}
	}
	if r.body != "" && !slices.ContainsFunc(r.headers, func(h [2]string) bool { return h[0] == "Content-Type" }) {
		req.Header.Set("Content-Type", r.contentType())
	}
	resp, err := client.Do(req)
	if err != nil {
		return exchange{}, fmt.Errorf("send request: %w", err)
	}
	return r.answered(resp)
}

// contentType guesses what the body of r is when the script does not say.
func (r request) contentType() string {
	switch {
	case strings.HasPrefix(r.body, "<"):
		return "application/fhir+xml"
	case r.method == http.MethodPatch:
		return "application/json-patch+json"
	}
	return "application/fhir+json"
}

func (r request) answered(resp *http.Response) (exchange, error) {
	defer resp.Body.Close()
	x := exchange{request: r, status: resp.StatusCode, header: resp.Header}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return x, fmt.Errorf("read answer: %w", err)
	}
	if resp.Header.Get("Content-Encoding") == "gzip" && len(raw) > 0 {
		if raw, err = gunzip(raw); err != nil {
			return x, fmt.Errorf("decompress answer: %w", err)
		}
	}
	x.answer = string(raw)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&x.tree); err != nil {
		x.tree = nil
	}
	return x, nil
}

func gunzip(raw []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// always checks what must be true of any answer: no fault of the server, every
// refusal explained, every body labelled.
func (x exchange) always() error {
	refused := x.status >= 400 && x.method != http.MethodHead
	issues, err := find(x.tree, "issue[*].severity")
	switch {
	case err != nil:
		return err
	case x.status == http.StatusInternalServerError:
		return errors.New("the server is at fault")
	case x.answer != "" && x.header.Get("Content-Type") == "":
		return errors.New("the answer has a body and no Content-Type")
	case refused && x.tree != nil && len(issues) == 0, refused && !strings.Contains(x.answer, "OperationOutcome"):
		return errors.New("the refusal is not explained by an OperationOutcome")
	}
	return nil
}

const shownBytes = 2048 // of a body, in a failure

// String shows the exchange, long bodies cut.
func (x exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\t> %s %s\n", x.method, x.path)
	for _, h := range x.headers {
		if h[0] == "Authorization" {
			h[1] = fmt.Sprintf("%.20s…", h[1])
		}
		fmt.Fprintf(&b, "\t> %s: %s\n", h[0], h[1])
	}
	showBody(&b, ">", x.body)
	fmt.Fprintf(&b, "\t< %d %s\n", x.status, http.StatusText(x.status))
	for _, name := range slices.Sorted(maps.Keys(x.header)) {
		fmt.Fprintf(&b, "\t< %s: %s\n", name, strings.Join(x.header[name], ", "))
	}
	showBody(&b, "<", x.answer)
	return b.String()
}

func showBody(b *strings.Builder, mark, body string) {
	cut := ""
	if len(body) > shownBytes {
		body, cut = body[:shownBytes], fmt.Sprintf(" … (%d bytes)", len(body))
	}
	if body == "" {
		return
	}
	for line := range strings.Lines(body + cut) {
		fmt.Fprintf(b, "\t%s %s\n", mark, strings.TrimSuffix(line, "\n"))
	}
}
