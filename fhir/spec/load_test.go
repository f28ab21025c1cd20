package spec

import (
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestDigestSize(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	if n := len(r4Digest); n > limit {
		t.Errorf("digest has %d bytes, want at most %d", n, limit)
	}
}

func BenchmarkR4Load(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := load(r4Digest); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkR4Heap reports what one set of definitions keeps alive.
func BenchmarkR4Heap(b *testing.B) {
	const copies = 8
	for b.Loop() {
		var before, after runtime.MemStats
		var kept [copies]*Definitions
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range kept {
			d, err := load(r4Digest)
			if err != nil {
				b.Fatal(err)
			}
			kept[i] = d
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/copies, "heap-B")
		runtime.KeepAlive(kept)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	t.Parallel()
	if _, err := load(nil); err == nil {
		t.Error("an empty digest loads")
	}
	if _, err := load(r4Digest[:len(r4Digest)/2]); err == nil {
		t.Error("half a digest loads")
	}
	for n, payload := 0, unpack(t); n < len(payload); n += 1 + len(payload)/20 {
		if _, err := decode(payload[:n]); err == nil {
			t.Errorf("the first %d bytes of the digest decode", n)
		}
	}
}

func unpack(t *testing.T) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	payload, err := z.DecodeAll(r4Digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// smallest is an unpacked digest of version "1" with the one type A, the one
// element of which is another A.
const smallest = Magic +
	"\x05\x00\x01\x03\x02\x01" + "AA.b_b1" + // string table
	"\x04\x00\x00\x00\x00\x01\x00\x01\x00" + // version to target lists
	"\x01\x01\x01\x00\x00\x01" + // type count to element count
	"\x01\x02\x00\x00\x00\x00\x01" + // A
	"\x02\x00\x02\x00\x00\x00\x00\x01\x03" + // A.b
	"\x00\x00\x00" // aliases, search, compartments

func TestDecodeSmallest(t *testing.T) {
	t.Parallel()
	d, err := decode([]byte(smallest))
	if err != nil {
		t.Fatal(err)
	}
	a := d.Type("A")
	p := a.Property([]byte("b"))
	if d.Version != "1" || p == nil || p.Type != a || p.Element.Path != "A.b" || p.Element.Max != 1 {
		t.Errorf("version %q, property %+v", d.Version, p)
	}
	if _, err := decode([]byte(smallest + "\x00")); err == nil {
		t.Error("a digest with a byte too many decodes")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(Magic))
	f.Add([]byte(smallest))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, err := decode(payload)
		if err != nil {
			return
		}
		for _, typ := range d.Types() {
			for _, e := range typ.Elements {
				if len(e.Types) == 0 || e.Types[0].Type == nil {
					t.Fatalf("%s of %s has no type", e.Name, typ.Name)
				}
			}
		}
	})
}
