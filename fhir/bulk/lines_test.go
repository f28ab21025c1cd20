package bulk

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// cut is a source that gives so many bytes at a time.
type cutSource struct {
	text string
	size int
}

func (c cutSource) from(_ context.Context, at int64) ([]byte, error) {
	at = min(at, int64(len(c.text)))
	return []byte(c.text[at:min(int(at)+c.size, len(c.text))]), nil
}

// read returns all lines of a text, and checks that reading can begin anew behind
// each.
func read(t *testing.T, text string, size int) (all []string) {
	t.Helper()
	l := lines{source: cutSource{text, size}}
	for {
		line, long, err := l.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if line == nil {
			return all
		}
		if long {
			line = []byte("long")
		}
		all = append(all, string(line))
		resumed := lines{source: cutSource{text, size + 1}, at: l.at}
		next, _, err := resumed.next(t.Context())
		want, _, found := strings.Cut(text[l.at:], "\n")
		if err != nil || (found || want != "") != (next != nil) || len(want) <= maxLine && string(next) != want {
			t.Fatalf("behind %d of %q is %q: %v", l.at, text, next, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine+1)
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a", []string{"a"}},
		{"a\nb\n", []string{"a", "b"}},
		{"\n\nb", []string{"", "", "b"}},
		{"a\n" + long + "\nb", []string{"a", "long", "b"}},
		{long, []string{"long"}},
		{strings.Repeat("y", 3*maxLine) + "\nb\n", []string{"long", "b"}},
	} {
		for _, size := range []int{1 << 20, 1000, maxLine, 1} {
			if size == 1 && len(tt.text) > 1000 {
				continue
			}
			if got := read(t, tt.text, size); !slices.Equal(got, tt.want) {
				t.Errorf("%d bytes by %d: %q, want %q", len(tt.text), size, got, tt.want)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb", 1)
	f.Add("\n\n", 2)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > 1000 || len(text) > 10_000 {
			t.Skip()
		}
		want := strings.Split(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if got := read(t, text, size); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
