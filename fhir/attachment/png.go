package attachment

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// maxProfile is how many bytes a colour profile has at most: some that turn out to have
// many more are made to fill the memory of who looks at the picture.
const maxProfile = 4 << 20

// A pngReader takes a PNG apart. https://www.w3.org/TR/png-3/
type pngReader struct {
	in   []byte
	out  []byte
	seen bool // the first chunk
	data bool // some of the picture
	over bool // the picture, since another chunk came
}

// cleanPNG returns b with what is needed to show it.
func cleanPNG(b []byte) ([]byte, error) {
	r := pngReader{in: b[len(pngSignature):], out: append(make([]byte, 0, len(b)), pngSignature...)}
	for {
		name, body, err := r.chunk()
		if err != nil {
			return nil, err
		}
		if err := r.take(name, body); err != nil {
			return nil, err
		}
		if name == "IEND" {
			break
		}
	}
	if bytes.Equal(r.out, b) {
		return b, nil
	}
	return r.out, nil
}

// chunk returns the next chunk.
func (r *pngReader) chunk() (name string, body []byte, err error) {
	if len(r.in) < 12 {
		return "", nil, truncated("PNG")
	}
	size := uint64(binary.BigEndian.Uint32(r.in))
	if size > 1<<31-1 {
		return "", nil, broken("PNG", "a part of it says that it has an impossible length")
	}
	if uint64(len(r.in)) < size+12 {
		return "", nil, truncated("PNG")
	}
	name, body = string(r.in[4:8]), r.in[8:8+size]
	sum := binary.BigEndian.Uint32(r.in[8+size:])
	if keepsChunk(name) && crc32.ChecksumIEEE(r.in[4:8+size]) != sum {
		return "", nil, broken("PNG", "the checksum of a part is wrong")
	}
	r.in = r.in[size+12:]
	return name, body, nil
}

// keepsChunk reports whether a chunk is needed to show the picture.
func keepsChunk(name string) bool {
	switch name {
	case "IHDR", "PLTE", "IDAT", "IEND", // the picture
		"tRNS", "bKGD", "hIST", // its palette and transparency
		"cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI", // its colours
		"pHYs",                 // the shape of its pixels
		"acTL", "fcTL", "fdAT": // its animation
		return true
	}
	return false
}

// take keeps a chunk or leaves it out.
func (r *pngReader) take(name string, body []byte) error {
	if !r.seen && name != "IHDR" || r.seen && name == "IHDR" {
		return broken("PNG", "it does not begin with its size")
	}
	r.seen = true
	isData := name == "IDAT"
	if isData && r.over {
		return broken("PNG", "its picture is in pieces")
	}
	r.over = r.over || r.data && !isData
	r.data = r.data || isData
	switch {
	case name == "IHDR":
		if err := header(body); err != nil {
			return err
		}
	case name == "IEND" && !r.data:
		return broken("PNG", "there is no picture in it")
	case name == "IEND":
		body = nil
	case name == "iCCP":
		if body = profile(body); body == nil {
			return nil
		}
	case !keepsChunk(name) && name[0]&0x20 == 0:
		return broken("PNG", "it has a part that viewers do not know")
	case !keepsChunk(name):
		return nil
	}
	r.out = appendChunk(r.out, name, body)
	return nil
}

func appendChunk(dst []byte, name string, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	from := len(dst)
	dst = append(append(dst, name...), body...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[from:]))
}

// header looks at the first chunk.
func header(body []byte) error {
	if len(body) != 13 {
		return broken("PNG", "it does not begin with its size")
	}
	depth, colour := body[8], body[9]
	known := false
	switch depth {
	case 1, 2, 4:
		known = colour == 0 || colour == 3
	case 8:
		known = colour == 0 || colour == 2 || colour == 3 || colour == 4 || colour == 6
	case 16:
		known = colour == 0 || colour == 2 || colour == 4 || colour == 6
	}
	if !known || body[10] != 0 || body[11] != 0 || body[12] > 1 {
		return broken("PNG", "its colours are coded in a way that there is not")
	}
	return sized("PNG", uint64(binary.BigEndian.Uint32(body)), uint64(binary.BigEndian.Uint32(body[4:])))
}

// profile returns the chunk of a colour profile under a name that says nothing; nil
// when it is none, or too large.
func profile(body []byte) []byte {
	name, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(name) > 79 || len(rest) < 2 || rest[0] != 0 {
		return nil
	}
	unpacked, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(unpacked, maxProfile+1))
	if err != nil || len(b) > maxProfile || !isProfile(b) {
		return nil
	}
	return append([]byte("ICC\x00"), rest...)
}
