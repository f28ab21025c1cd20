package store

import (
	"fmt"

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

// bodies packs and unpacks stored forms.
type bodies struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// newBodies keeps the windows small: bodies are a few kilobytes, and each
// encoder holds its window for good.
func newBodies() *bodies {
	// The options are constants and valid, so neither call can fail.
	encoder, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	decoder, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBody))
	return &bodies{encoder, decoder}
}

func (b *bodies) pack(stored []byte) (codec int16, packed []byte) {
	if len(stored) <= smallBody {
		return codecRaw, stored
	}
	return codecZstd, b.encoder.EncodeAll(stored, make([]byte, 0, len(stored)/2))
}

func (b *bodies) unpack(codec int16, packed []byte) ([]byte, error) {
	switch codec {
	case codecRaw:
		return packed, nil
	case codecZstd:
		if len(packed) > largeBody {
			return unpackAlone(packed)
		}
		return b.decoder.DecodeAll(packed, nil)
	}
	return nil, fmt.Errorf("body has the unknown codec %d", codec)
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
