package attachment

import (
	"bytes"
	"encoding/binary"
)

// The flags of the first chunk of a WebP with more than a picture.
const (
	webpXMP  = 0x04
	webpEXIF = 0x08
)

// cleanWebP returns b with what is needed to show it.
// https://developers.google.com/speed/webp/docs/riff_container
func cleanWebP(b []byte) ([]byte, error) {
	size := uint64(binary.LittleEndian.Uint32(b[4:])) + 8
	if size < 12 || uint64(len(b)) < size {
		return nil, truncated("WebP")
	}
	out, picture := append(make([]byte, 0, size), b[:12]...), false
	for rest := b[12:size]; len(rest) > 0; {
		if len(rest) < 8 {
			return nil, truncated("WebP")
		}
		name, n := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:]))
		whole := 8 + n + n&1
		if uint64(len(rest)) < whole {
			return nil, truncated("WebP")
		}
		chunk := rest[:whole]
		rest = rest[whole:]
		switch name {
		case "VP8X":
			if n < 10 {
				return nil, broken("WebP", "it does not say how large it is")
			}
			if err := sized("WebP", uint24(chunk[12:])+1, uint24(chunk[15:])+1); err != nil {
				return nil, err
			}
			out = append(out, chunk...)
			out[len(out)-len(chunk)+8] &^= webpXMP | webpEXIF
		case "VP8 ", "VP8L", "ANMF":
			picture = true
			out = append(out, chunk...)
		case "ALPH", "ANIM", "ICCP":
			out = append(out, chunk...)
		}
	}
	if !picture {
		return nil, broken("WebP", "there is no picture in it")
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	if bytes.Equal(out, b) {
		return b, nil
	}
	return out, nil
}

func uint24(b []byte) uint64 { return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 }
