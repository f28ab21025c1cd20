package spec

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

//go:generate go run ./gen

//go:embed data/r4.bin
var r4Digest []byte

// R4 returns the definitions of FHIR R4 (4.0.1). The first call unpacks the
// digest, which takes some milliseconds; later calls return the same value. It
// panics if the embedded digest is damaged, which only a broken build can cause.
var R4 = sync.OnceValue(func() *Definitions {
	d, err := load(r4Digest)
	if err != nil {
		panic(err)
	}
	return d
})

func load(digest []byte) (*Definitions, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("open zstd decoder: %w", err)
	}
	defer z.Close()
	payload, err := z.DecodeAll(digest, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress R4 digest: %w", err)
	}
	d, err := decode(payload)
	if err != nil {
		return nil, fmt.Errorf("decode R4 digest: %w", err)
	}
	return d, nil
}
