package definition

import (
	"cmp"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/openconsult/openconsult/fhir"
)

//go:embed data/core.bin
var coreArchive []byte

// core returns what comes with the server: code systems, value sets, concept maps,
// profiles and extensions of R4 (4.0.1) without what only people read, profiles by
// their differentials. It panics if the embedded archive is damaged, which only a
// broken build can cause.
var core = sync.OnceValue(func() *archive {
	a, err := openArchive(coreArchive)
	if err != nil {
		panic(err)
	}
	return a
})

// An archive is a list of definitions, in the order of type and URL, with their texts in
// compressed chunks; the generator in fhir/spec/gen writes it and says how.
type archive struct {
	entries []*archived
	chunks  [][]byte

	mu       sync.Mutex
	unpacked int    // which chunk is text, -1 for none
	text     []byte // the last chunk that was needed: definitions that are used together stand together often
}

// An archived is one definition of an archive.
type archived struct {
	typ, url, version, status string

	archive               *archive
	chunk, offset, length int

	once sync.Once
	node fhir.Node
	err  error
}

func openArchive(b []byte) (*archive, error) {
	r := newReader(b)
	sizes := make([]int, r.count())
	for i := range sizes {
		sizes[i] = r.uint()
	}
	a := &archive{unpacked: -1}
	for _, n := range sizes {
		a.chunks = append(a.chunks, r.bytes(n))
	}
	if r.bad || len(a.chunks) == 0 || len(r.rest) > 0 {
		return nil, errors.New("open archive of definitions: it is damaged")
	}
	index, err := decompress(a.chunks[0])
	if err != nil {
		return nil, fmt.Errorf("read index of definitions: %w", err)
	}
	a.chunks = a.chunks[1:]
	return a, a.readIndex(newReader(index))
}

func (a *archive) readIndex(r *reader) error {
	a.entries = make([]*archived, r.count())
	for i := range a.entries {
		e := &archived{archive: a}
		a.entries[i] = e
		e.typ, e.url, e.version, e.status = r.common(), r.string(), r.common(), r.common()
		e.chunk, e.offset, e.length = r.uint(), r.uint(), r.uint()
		if e.chunk >= len(a.chunks) {
			r.bad = true
		}
	}
	if r.bad || len(r.rest) > 0 {
		return errors.New("read index of definitions: it is damaged")
	}
	return nil
}

// find returns the entries of a type with a URL.
func (a *archive) find(typ, url string) []*archived {
	order := func(e *archived, typ string) int { return cmp.Or(cmp.Compare(e.typ, typ), cmp.Compare(e.url, url)) }
	first, found := slices.BinarySearchFunc(a.entries, typ, order)
	if !found {
		return nil
	}
	last := first + 1
	for last < len(a.entries) && order(a.entries[last], typ) == 0 {
		last++
	}
	return a.entries[first:last]
}

// root returns the resource, which is decoded once for all catalogs.
func (e *archived) root() (fhir.Node, error) {
	e.once.Do(func() {
		text, err := e.archive.cut(e.chunk, e.offset, e.length)
		if err != nil {
			e.err = fmt.Errorf("unpack %s %s: %w", e.typ, e.url, err)
			return
		}
		res, err := fhir.Decode(e.typ, text)
		if err != nil {
			e.err = fmt.Errorf("decode %s %s: %w", e.typ, e.url, err)
			return
		}
		e.node = res.Root()
	})
	return e.node, e.err
}

// cut returns a copy of a part of a chunk.
func (a *archive) cut(chunk, offset, length int) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unpacked != chunk {
		text, err := decompress(a.chunks[chunk])
		if err != nil {
			return nil, err
		}
		a.unpacked, a.text = chunk, text
	}
	if offset > len(a.text) || length > len(a.text)-offset {
		return nil, errors.New("it is outside of its chunk")
	}
	return slices.Clone(a.text[offset : offset+length]), nil
}

func decompress(frame []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, fmt.Errorf("open zstd decoder: %w", err)
	}
	defer z.Close()
	return z.DecodeAll(frame, nil)
}

// A reader reads varints and strings. It notes when there are none.
type reader struct {
	rest  []byte
	bad   bool
	words map[string]string
}

func newReader(b []byte) *reader { return &reader{rest: b, words: make(map[string]string)} }

func (r *reader) uint() int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > 1<<31 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

// count reads the number of things that take a byte at least.
func (r *reader) count() int {
	n := r.uint()
	if n > len(r.rest) {
		r.bad = true
		return 0
	}
	return n
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes(r.uint())) }

// common reads a string that is likely to be read often, and keeps it once.
func (r *reader) common() string {
	b := r.bytes(r.uint())
	s, ok := r.words[string(b)]
	if !ok {
		s = string(b)
		r.words[s] = s
	}
	return s
}
