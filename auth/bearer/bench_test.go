package bearer

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCached asks about a token that is known.
func BenchmarkCached(b *testing.B) {
	w := newWorld()
	v := New(w.config())
	header := []string{"Bearer " + signES(b, goodHeader, w.clock.claims(b, nil))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Grant(context.Background(), header); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNew asks about a token that is not known yet, where what is asked
// about it takes no time.
func BenchmarkNew(b *testing.B) {
	w := newWorld()
	v := New(w.config())
	header := []string{"Bearer " + signES(b, goodHeader, w.clock.claims(b, nil))}
	b.ReportAllocs()
	for b.Loop() {
		v.Forget("g1")
		if _, err := v.Grant(context.Background(), header); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkForged asks about a token whose signature is not good, each time
// another one.
func BenchmarkForged(b *testing.B) {
	w := newWorld()
	v := New(w.config())
	good := signES(b, goodHeader, w.clock.claims(b, nil))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		forged := fmt.Sprintf("Bearer %s%020d%s", good[:len(good)-40], i, good[len(good)-20:])
		if _, err := v.Grant(context.Background(), []string{forged}); err == nil {
			b.Fatal("a forged token is accepted")
		}
	}
}

// BenchmarkForget revokes a grant while the cache is full.
func BenchmarkForget(b *testing.B) {
	c := newCache()
	for i := range maxGood {
		c.keep(digest{byte(i), byte(i >> 8)}, kept{id: "other"}, 0)
	}
	for b.Loop() {
		c.forget("g1")
	}
}
