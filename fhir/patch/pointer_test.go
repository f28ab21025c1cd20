package patch

import (
	"slices"
	"strings"
	"testing"
)

func TestPointer(t *testing.T) {
	t.Parallel()
	// https://www.rfc-editor.org/rfc/rfc6901#section-5
	cases := []struct {
		text string
		want []string
	}{
		{"", nil},
		{"/", []string{""}},
		{"/foo/0", []string{"foo", "0"}},
		{"/a~1b", []string{"a/b"}},
		{"/c%d", []string{"c%d"}},
		{`/k"l`, []string{`k"l`}},
		{"/m~0n", []string{"m~n"}},
		{"/~01", []string{"~1"}},
		{"/~10", []string{"/0"}},
		{"//a/", []string{"", "a", ""}},
	}
	for _, c := range cases {
		p, err := parsePointer(c.text)
		if err != nil || !slices.Equal(p, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.text, p, err, c.want)
		}
	}
}

func TestPointerRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "#/a", " /a", "~0", "/~", "/a~", "/~/0", "/~2", "/~~0", "/~0~"} {
		if p, err := parsePointer(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, p)
		}
	}
}

func FuzzPointer(f *testing.F) {
	for _, text := range []string{"", "/", "/name/0/given/-", "/~01~10//", "~", "/é\x00\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePointer(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %q, which prints as %q", text, p, p)
		}
		want := pointer(strings.Split(text, "\n"))
		got, err := parsePointer(want.String())
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q prints as %q, which is read as %q, %v", []string(want), want, []string(got), err)
		}
	})
}
