package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// pageElements is everything that may stand in a page.
var pageElements = strings.Fields(`html head meta title style body header nav main section div h1 h2 h3 h4 h5 h6 p ul ol li a
	bdi span strong code pre table caption colgroup col thead tbody tfoot tr th td time
	abbr acronym address b big blockquote br cite dd dfn dl dt em hr i kbd q samp small sub sup tt var`)

// pageAttributes is every attribute that may stand in a page.
var pageAttributes = strings.Fields(`lang charset name content class id href tabindex role scope aria-label aria-labelledby
	aria-current dir colspan rowspan`)

// inspect fails the test if page could run, load or link to anything it should
// not, or if what a resource says got out of its place.
func inspect(t *testing.T, page []byte) {
	t.Helper()
	if bytes.Contains(bytes.ToLower(page), []byte("<script")) {
		t.Error("the page has a script")
	}
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		if !slices.Contains(pageElements, n.Data) {
			t.Errorf("the page has an element %s", n.Data)
		}
		inspectAttributes(t, n)
		if parent := map[string]string{"main": "body", "header": "body", "section": "main", "h1": "div", "h2": "section", "code": ""}[n.Data]; parent != "" && n.Parent.Data != parent {
			t.Errorf("%s stands in %s, not in %s", n.Data, n.Parent.Data, parent)
		}
	}
	for _, once := range []string{"main", "header", "h1", "title", "style"} {
		if count[once] != 1 {
			t.Errorf("the page has %d elements %s", count[once], once)
		}
	}
	inspectJSON(t, root)
}

func inspectAttributes(t *testing.T, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		if !slices.Contains(pageAttributes, a.Key) {
			t.Errorf("%s has an attribute %s", n.Data, a.Key)
		}
		if a.Key == "href" && !strings.HasPrefix(a.Val, testBase+"/") {
			t.Errorf("the page links to %q", a.Val)
		}
		if a.Key == "href" && (strings.Contains(a.Val, "/../") || strings.HasSuffix(a.Val, "/..")) {
			t.Errorf("the page links out of the API: %q", a.Val)
		}
	}
}

// inspectJSON holds the last section, the JSON, to its place: outside of what a
// narrative could leave open.
func inspectJSON(t *testing.T, root *html.Node) {
	t.Helper()
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "pre" || class(n.Parent) == "narrative" || !labelled(n) {
			continue
		}
		var path []string
		for p := n; p != nil && p.Type == html.ElementNode; p = p.Parent {
			path = append(path, p.Data)
		}
		if got := strings.Join(path, " "); got != "pre section main body html" {
			t.Errorf("the JSON stands in %s", got)
		}
		return
	}
	t.Error("the page has no JSON")
}

func class(n *html.Node) string { return attribute(n, "class") }

func labelled(n *html.Node) bool { return attribute(n, "aria-labelledby") == "json" }

// styleHash returns the hash of the style in page as a policy names it.
func styleHash(t *testing.T, page []byte) string {
	t.Helper()
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	content, _, ok := bytes.Cut(rest, []byte("</style>"))
	if !ok {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256(content)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
