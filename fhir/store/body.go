package store

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// The codecs of ver.body.
const (
	codecRaw  = 0
	codecZstd = 1
)

// smallBody is the size up to which compression does not pay.
const smallBody = 200

// largeBody is the packed size from which a body is not worth keeping a decoder
// for.
const largeBody = 1 << 20

// maxBody bounds what one stored body may unpack to.
const maxBody = 512 << 20

// The bounds of what is kept unpacked: at most 16 MiB.
const (
	keptBodies = 1 << 11
	keptSize   = 8 << 10 // of a body, packed and unpacked together
)

// bodies packs and unpacks stored forms. It keeps some that it has unpacked, each
// beside the packed bytes that it is of, so that it can never be that of others.
type bodies struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	seed    maphash.Seed
	kept    [keptBodies]atomic.Pointer[keptBody]
}

// A keptBody is what some packed bytes unpack to.
type keptBody struct{ packed, stored []byte }

// newBodies keeps the windows small: bodies are a few kilobytes, and each
// encoder holds its window for good.
func newBodies() *bodies {
	// The options are constants and valid, so neither call can fail.
	encoder, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	decoder, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBody))
	return &bodies{encoder: encoder, decoder: decoder, seed: maphash.MakeSeed()}
}

func (b *bodies) pack(stored []byte) (codec int16, packed []byte) {
	if len(stored) <= smallBody {
		return codecRaw, stored
	}
	return codecZstd, b.encoder.EncodeAll(stored, make([]byte, 0, len(stored)/2))
}

// An unpacking is a column that is unpacked while it is scanned, without a copy
// of what the driver has read. Its codec is the column before.
type unpacking struct {
	bodies *bodies
	codec  *int16
	stored []byte // nil for NULL
}

// Scan unpacks src, which is the driver's own.
func (u *unpacking) Scan(src any) error {
	packed, ok := src.([]byte)
	if !ok {
		return nil
	}
	var err error
	u.stored, err = u.bodies.unpack(*u.codec, packed)
	return err
}

// unpack returns what packed is of, in memory that others may read as well. It
// does not keep packed.
func (b *bodies) unpack(codec int16, packed []byte) ([]byte, error) {
	switch codec {
	case codecRaw:
		return bytes.Clone(packed), nil
	case codecZstd:
		if len(packed) > largeBody {
			return unpackAlone(packed)
		}
		return b.unpackKept(packed)
	}
	return nil, fmt.Errorf("body has the unknown codec %d", codec)
}

// unpackKept unpacks, unless it has kept what packed is of.
func (b *bodies) unpackKept(packed []byte) ([]byte, error) {
	place := &b.kept[maphash.Bytes(b.seed, packed)%keptBodies]
	if k := place.Load(); k != nil && bytes.Equal(k.packed, packed) {
		return k.stored, nil
	}
	stored, err := b.decoder.DecodeAll(packed, nil)
	if err == nil && len(packed)+len(stored) <= keptSize {
		place.Store(&keptBody{bytes.Clone(packed), stored})
	}
	return stored, err
}

// unpackAlone unpacks with a decoder of its own: one that is kept holds on to
// what it has read last.
func unpackAlone(packed []byte) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	return decoder.DecodeAll(packed, nil)
}
