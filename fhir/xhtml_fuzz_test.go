package fhir

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func FuzzXHTML(f *testing.F) {
	f.Add([]byte(xhtmlDiv(`<p class="a">x &amp; &nbsp;<a href="Patient/1">y</a><br/></p><!-- c -->`)))
	f.Add([]byte(xhtmlDiv(`<img src="data:image/png;base64,AA=="/><p style="color:rgb(1,2,3)">x</p>`)))
	f.Add([]byte(xhtmlDiv(`<!--><script>alert(1)</script>-->`)))
	f.Add([]byte(xhtmlDiv(`<a href="java&#9;script:alert(1)" onclick='x'>x</a>`)))
	f.Add([]byte(xhtmlDiv(`<p style="background:url(//a.example)">x]]></p>`)))
	f.Fuzz(func(t *testing.T, s []byte) {
		if checkXHTML(s) != "" {
			return
		}
		if err := xhtmlStrict(s); err != nil {
			t.Errorf("checkXHTML accepted %q, which has %v", s, err)
		}
		if bytes.Contains(bytes.ToLower(xhtmlUncommented(s)), []byte("<script")) {
			t.Errorf("checkXHTML accepted a script: %q", s)
		}
	})
}

// xhtmlUncommented cuts the comments out, which may hold any markup.
func xhtmlUncommented(s []byte) []byte {
	var kept []byte
	for {
		before, rest, _ := bytes.Cut(s, []byte("<!--"))
		kept = append(kept, before...)
		_, after, found := bytes.Cut(rest, []byte("-->"))
		if !found {
			return kept
		}
		s = after
	}
}

// xhtmlStrict reads s with another parser and looks for what must not be there.
func xhtmlStrict(s []byte) error {
	d := xml.NewDecoder(bytes.NewReader(s))
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch token := token.(type) {
		case xml.Directive, xml.ProcInst:
			return fmt.Errorf("a %T", token)
		case xml.StartElement:
			if err := xhtmlHarmless(token); err != nil {
				return err
			}
		}
	}
}

func xhtmlHarmless(e xml.StartElement) error {
	switch strings.ToLower(e.Name.Local) {
	case "script", "style", "svg", "math", "iframe", "object", "embed", "form", "input", "link", "base", "meta":
		return fmt.Errorf("an element %v", e.Name)
	}
	if e.Name.Space != xhtmlNamespace {
		return fmt.Errorf("an element %v", e.Name)
	}
	for _, a := range e.Attr {
		name := strings.ToLower(a.Name.Local)
		value := strings.ToLower(strings.Join(strings.Fields(a.Value), ""))
		switch {
		case strings.HasPrefix(name, "on") && a.Name.Space != "xmlns":
			return fmt.Errorf("an event attribute %s", name)
		case (name == "href" || name == "src") && strings.HasPrefix(value, "javascript:"):
			return fmt.Errorf("a script in %s", name)
		case name == "style" && (strings.Contains(value, "expression(") || strings.Contains(value, "url(http") || strings.Contains(value, "url(/")):
			return fmt.Errorf("a style that loads or runs something")
		}
	}
	return nil
}

func xhtmlSample(size int) []byte {
	const row = `<tr><td class="k"><b>Blood pressure</b></td><td style="padding-left: 4px">120/80&nbsp;mmHg &amp; rising <a href="Observation/1">see</a><br/></td></tr>`
	return []byte(xhtmlDiv("<table>" + strings.Repeat(row, size/len(row)+1) + "</table>"))
}

func TestXHTMLAllocations(t *testing.T) {
	s := xhtmlSample(1000)
	if n := testing.AllocsPerRun(100, func() { _ = checkXHTML(s) }); n != 0 {
		t.Errorf("checkXHTML allocates %v times, want none", n)
	}
}

func BenchmarkXHTML(b *testing.B) {
	for _, size := range []int{100, 1000, 100_000} {
		s := xhtmlSample(size)
		b.Run(fmt.Sprintf("%dB", len(s)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if msg := checkXHTML(s); msg != "" {
					b.Fatal(msg)
				}
			}
		})
	}
}
