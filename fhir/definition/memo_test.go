package definition

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemo(t *testing.T) {
	t.Parallel()
	var numbers, others Memo[int]
	var texts Memo[string]
	d, e := &Definition{}, &Definition{}
	made := 0
	next := func() (int, error) {
		made++
		return made, nil
	}
	for _, tt := range []struct {
		memo *Memo[int]
		d    *Definition
		want int
	}{{&numbers, d, 1}, {&numbers, d, 1}, {&numbers, e, 2}, {&others, d, 3}, {&numbers, d, 1}, {&numbers, e, 2}} {
		if got, err := tt.memo.Get(tt.d, next); got != tt.want || err != nil {
			t.Errorf("%d, %v instead of %d", got, err, tt.want)
		}
	}
	if s, err := texts.Get(d, func() (string, error) { return "x", nil }); s != "x" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
}

func TestMemoForgetsErrors(t *testing.T) {
	t.Parallel()
	var m Memo[int]
	d := &Definition{}
	broken := errors.New("broken")
	if _, err := m.Get(d, func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = m.Get(d, func() (int, error) { panic("a fault") })
		t.Error("the panic is swallowed")
	}()
	if n, err := m.Get(d, func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestMemoMakesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m Memo[*int]
		d := &Definition{}
		release := make(chan struct{})
		got := make([]*int, 10)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				got[i], _ = m.Get(d, func() (*int, error) {
					<-release
					return &i, nil
				})
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		for _, p := range got {
			if p == nil || p != got[0] {
				t.Errorf("%p beside %p", p, got[0])
			}
		}
	})
}

// TestMemoCircle lets two wait for each other.
func TestMemoCircle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m Memo[int]
		d, e := &Definition{}, &Definition{}
		get := func(outer, inner *Definition) {
			n, err := m.Get(outer, func() (int, error) {
				time.Sleep(time.Millisecond)
				return m.Get(inner, func() (int, error) { return 1, nil })
			})
			if n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { get(d, e) })
		wg.Go(func() { get(e, d) })
		wg.Wait()
	})
}

// TestMemoLetsGo wants what was made to go with its definition, also when it refers
// to it.
func TestMemoLetsGo(t *testing.T) {
	t.Parallel()
	var m Memo[*Definition]
	gone := make(chan struct{})
	func() {
		d := &Definition{URL: "x"}
		runtime.AddCleanup(d, func(c chan struct{}) { close(c) }, gone)
		if _, err := m.Get(d, func() (*Definition, error) { return d, nil }); err != nil {
			t.Error(err)
		}
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-gone:
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the definition is still kept")
}

func BenchmarkMemo(b *testing.B) {
	var m Memo[int]
	d := &Definition{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Get(d, func() (int, error) { return 1, nil }); err != nil {
			b.Fatal(err)
		}
	}
}
