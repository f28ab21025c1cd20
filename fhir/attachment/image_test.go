package attachment_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// picture is one with some of everything in it.
func picture() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 37, 23))
	for y := range 23 {
		for x := range 37 {
			m.Set(x, y, color.NRGBA{uint8(x * 7), uint8(y * 11), uint8(x * y), uint8(255 - x)})
		}
	}
	return m
}

func jpegOf(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(), &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// place is what the metadata of the tests tell, in every form that they have.
const place = "51 deg 30' 26.5\" N, ward 7"

// exif returns EXIF with an orientation, a camera and a GPS directory.
func exif(order binary.AppendByteOrder, orientation uint16) []byte {
	var b []byte
	entry := func(tag, typ uint16, count, value uint32) {
		b = order.AppendUint16(order.AppendUint16(b, tag), typ)
		b = order.AppendUint32(b, count)
		if typ == 3 {
			b = order.AppendUint16(order.AppendUint16(b, uint16(value)), 0)
		} else {
			b = order.AppendUint32(b, value)
		}
	}
	b = append(b, "MM"...)
	if order.String() == "LittleEndian" {
		b = []byte("II")
	}
	b = order.AppendUint32(order.AppendUint16(b, 42), 8)
	text := uint32(8 + 2 + 3*12 + 4 + 2 + 12 + 4)
	b = order.AppendUint16(b, 3)
	entry(0x0110, 2, uint32(len(place)+1), text) // model
	entry(0x0112, 3, 1, uint32(orientation))
	entry(0x8825, 4, 1, 8+2+3*12+4) // GPS directory
	b = order.AppendUint32(b, 0)
	b = order.AppendUint16(b, 1)
	entry(0x001B, 2, uint32(len(place)+1), text)
	b = order.AppendUint32(b, 0)
	return append(b, place+"\x00"...)
}

// segment returns a segment of JPEG.
func segment(marker byte, body string) []byte {
	b := []byte{0xFF, marker}
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)+2))
	return append(b, body...)
}

// profile is a colour profile, as far as anybody here looks at it.
func profile() string { return strings.Repeat("\x00", 36) + "acsp" + strings.Repeat("\x00", 100) }

// telling returns a JPEG that tells everything that one can tell, in some orientation.
func telling(t testing.TB, order binary.AppendByteOrder, orientation uint16) []byte {
	t.Helper()
	plain := jpegOf(t)
	all := []byte{0xFF, 0xD8}
	for _, s := range [][]byte{
		segment(0xE0, "JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x01\x01"+"abc"),
		segment(0xE0, "JFXX\x00"+place),
		segment(0xE1, "Exif\x00\x00"+string(exif(order, orientation))),
		segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>"+place),
		segment(0xE2, "ICC_PROFILE\x00\x01\x01"+profile()),
		segment(0xE2, "MPF\x00"+place),
		segment(0xED, "Photoshop 3.0\x00"+place),
		segment(0xEB, place),
		segment(0xFE, place),
	} {
		all = append(all, s...)
	}
	all = append(all, plain[2:]...)
	return append(all, "PK\x03\x04 "+place...)
}

// chunk returns a chunk of PNG.
func chunk(name, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(b, name+body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// tellingPNG does so as a PNG.
func tellingPNG(t testing.TB) []byte {
	t.Helper()
	plain := pngOf(t)
	head := 8 + 12 + 13
	all := bytes.Clone(plain[:head])
	for _, c := range [][]byte{
		chunk("eXIf", string(exif(binary.BigEndian, 6))), chunk("tEXt", "Comment\x00"+place), chunk("zTXt", "Author\x00\x00"+place),
		chunk("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"+place), chunk("tIME", "\x07\xEA\x0B\x16\x0C\x00\x00"), chunk("prVt", place),
		chunk("gAMA", "\x00\x00\xB1\x8F"), chunk("pHYs", "\x00\x00\x0B\x13\x00\x00\x0B\x13\x01"),
	} {
		all = append(all, c...)
	}
	all = append(all, plain[head:]...)
	return append(all, "<script>"+place...)
}

// samePixels wants two images to show the same.
func samePixels(t *testing.T, a, b []byte) {
	t.Helper()
	was, _, err := image.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	is, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("what is left cannot be shown: %v", err)
	}
	if was.Bounds() != is.Bounds() {
		t.Fatalf("bounds %v became %v", was.Bounds(), is.Bounds())
	}
	for y := range was.Bounds().Dy() {
		for x := range was.Bounds().Dx() {
			if was.At(x, y) != is.At(x, y) {
				t.Fatalf("pixel %d,%d is %v and was %v", x, y, is.At(x, y), was.At(x, y))
			}
		}
	}
}
