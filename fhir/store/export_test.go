package store

import (
	"slices"
	"testing"
)

func FuzzList(f *testing.F) {
	f.Add(List{{-9, 1}, {4, 1 << 30}, {4 << 60, 7}}.Append(nil))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseList(text)
		if err != nil {
			return
		}
		again, err := ParseList(l.Append(nil))
		if err != nil || !slices.Equal(l, again) {
			t.Errorf("%v, %v, want %v", again, err, l)
		}
	})
}

func TestListSorted(t *testing.T) {
	t.Parallel()
	l := List{{5, 1}, {-5, 2}, {5, 1}, {0, 3}}.sort()
	if want := (List{{-5, 2}, {0, 3}, {5, 1}}); !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	if back, err := ParseList(l.Append(nil)); err != nil || !slices.Equal(back, l) {
		t.Errorf("%v, %v", back, err)
	}
}
