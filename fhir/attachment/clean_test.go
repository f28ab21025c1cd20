package attachment_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/attachment"
)

func clean(t *testing.T, b []byte) []byte {
	t.Helper()
	out, err := attachment.Clean(attachment.Sniff(b), b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNothingIsToldByAJPEG(t *testing.T) {
	t.Parallel()
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		for orientation := range uint16(9) {
			sent := telling(t, order, orientation)
			got := clean(t, sent)
			samePixels(t, sent, got)
			for _, told := range []string{place, "ward", "xmp", "Photoshop", "MPF", "JFXX", "abc\xFF", "PK\x03\x04", "\x88\x25", "\x25\x88"} {
				if bytes.Contains(got[:min(len(got), 600)], []byte(told)) || bytes.Contains(got, []byte(place)) {
					t.Errorf("orientation %d: %q is still there", orientation, told)
				}
			}
			if !bytes.Contains(got, []byte("acsp")) {
				t.Error("the colour profile is gone")
			}
			says := bytes.Contains(got, []byte("\x01\x12\x00\x03\x00\x00\x00\x01\x00"+string([]byte{byte(orientation)})))
			if says != (orientation > 1) || bytes.Contains(got, []byte("Exif")) != says {
				t.Errorf("orientation %d: EXIF says so: %v", orientation, says)
			}
			if again := clean(t, got); &again[0] != &got[0] {
				t.Error("what is clean was made anew")
			}
		}
	}
}

func TestNothingIsToldByAPNG(t *testing.T) {
	t.Parallel()
	sent := tellingPNG(t)
	got := clean(t, sent)
	samePixels(t, sent, got)
	for _, told := range []string{place, "eXIf", "tEXt", "zTXt", "iTXt", "tIME", "prVt", "<script>"} {
		if bytes.Contains(got, []byte(told)) {
			t.Errorf("%q is still there", told)
		}
	}
	for _, needed := range []string{"gAMA", "pHYs"} {
		if !bytes.Contains(got, []byte(needed)) {
			t.Errorf("%s is gone", needed)
		}
	}
	if again := clean(t, got); &again[0] != &got[0] {
		t.Error("what is clean was made anew")
	}
}

// webP returns a WebP of chunks, without a picture that could be shown.
func webP(chunks ...string) []byte {
	var body []byte
	for i := 0; i < len(chunks); i += 2 {
		body = append(body, chunks[i]...)
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(chunks[i+1]))), chunks[i+1]...)
		if len(chunks[i+1])%2 == 1 {
			body = append(body, 0)
		}
	}
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4))
	return append(append(b, "WEBP"...), body...)
}

func TestNothingIsToldByAWebP(t *testing.T) {
	t.Parallel()
	size := "\x1C\x00\x00\x00\x24\x00\x00\x16\x00\x00"
	sent := append(webP("VP8X", size, "VP8 ", "pixels!", "EXIF", place, "XMP ", place, "what", place), place...)
	want := webP("VP8X", "\x10"+size[1:], "VP8 ", "pixels!")
	if got := clean(t, sent); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if again := clean(t, want); &again[0] != &want[0] {
		t.Error("what is clean was made anew")
	}
}

// refusals are images that are not taken: the content, and the detail of why.
func refusals(t testing.TB) map[string]struct {
	content []byte
	detail  string
} {
	j, p := jpegOf(t), pngOf(t)
	at := func(b []byte, i int, with string) []byte {
		b = bytes.Clone(b)
		copy(b[i:], with)
		return b
	}
	frame := bytes.Index(j, []byte{0xFF, 0xC0})
	scan := bytes.Index(j, []byte{0xFF, 0xDA})
	header := func(width, height string) []byte {
		return append(append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", width+height+"\x08\x02\x00\x00\x00")...), p[33:]...)
	}
	type refusal = struct {
		content []byte
		detail  string
	}
	return map[string]refusal{
		"jpeg of a head":              {j[:3], attachment.DetailBroken},
		"jpeg without its end":        {j[:len(j)-2], attachment.DetailBroken},
		"jpeg cut in its picture":     {j[:len(j)-30], attachment.DetailBroken},
		"jpeg cut in a segment":       {j[:frame+5], attachment.DetailBroken},
		"jpeg without a picture":      {append(bytes.Clone(j[:frame]), 0xFF, 0xD9), attachment.DetailBroken},
		"jpeg scan without frame":     {append(bytes.Clone(j[:frame]), j[scan:]...), attachment.DetailBroken},
		"jpeg with two pictures":      {append(bytes.Clone(j[:scan]), j[frame:]...), attachment.DetailBroken},
		"jpeg segment of length 1":    {at(j, 4, "\x00\x01"), attachment.DetailBroken},
		"jpeg without height":         {at(j, frame+5, "\x00\x00"), attachment.DetailBroken},
		"jpeg bomb":                   {at(j, frame+5, "\xFF\xFF\xFF\xFF"), attachment.DetailLarge},
		"jpeg of many steps":          {append(append(bytes.Clone(j[:scan]), bytes.Repeat(append(segment(0xDA, "\x01\x01\x00\x00\x3F\x00"), 0), 501)...), 0xFF, 0xD9), attachment.DetailLarge},
		"jpeg of layers":              {append(append(bytes.Clone(j[:frame]), segment(0xDE, "\x08\x00\x01\x00\x01\x01\x01\x11\x00")...), j[frame:]...), attachment.DetailBroken},
		"png of a head":               {p[:8], attachment.DetailBroken},
		"png without its end":         {p[:len(p)-12], attachment.DetailBroken},
		"png cut in its picture":      {p[:len(p)-40], attachment.DetailBroken},
		"png with a wrong sum":        {at(p, 40, "?"), attachment.DetailBroken},
		"png of an absurd length":     {at(p, 33, "\xFF\xFF\xFF\xFF"), attachment.DetailBroken},
		"png of a long length":        {at(p, 33, "\x7F\xFF\xFF\xFF"), attachment.DetailBroken},
		"png without width":           {header("\x00\x00\x00\x00", "\x00\x00\x00\x01"), attachment.DetailBroken},
		"png bomb":                    {header("\x00\x00\xFF\xFF", "\x00\x00\xFF\xFF"), attachment.DetailLarge},
		"png wider than there is":     {header("\xFF\xFF\xFF\xFF", "\x00\x00\x00\x01"), attachment.DetailLarge},
		"png with an unknown part":    {append(append(bytes.Clone(p[:33]), chunk("NEWS", "")...), p[33:]...), attachment.DetailBroken},
		"png that begins otherwise":   {append([]byte("\x89PNG\r\n\x1a\n"), p[33:]...), attachment.DetailBroken},
		"png without a picture":       {append(bytes.Clone(p[:33]), chunk("IEND", "")...), attachment.DetailBroken},
		"png whose picture is broken": {append(append(bytes.Clone(p[:len(p)-12]), chunk("gAMA", "abcd")...), append(chunk("IDAT", "x"), chunk("IEND", "")...)...), attachment.DetailBroken},
		"webp cut":                    {webP("VP8 ", "pixels")[:20], attachment.DetailBroken},
		"webp without a picture":      {webP("EXIF", "x"), attachment.DetailBroken},
		"webp bomb":                   {webP("VP8X", "\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF", "VP8 ", "x"), attachment.DetailLarge},
		"heic":                        {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), attachment.DetailType},
		"heif":                        {[]byte("\x00\x00\x00\x10ftypmif1\x00\x00\x00\x00"), attachment.DetailType},
		"avif":                        {[]byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif"), attachment.DetailType},
	}
}

func TestImagesThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, r := range refusals(t) {
		_, err := attachment.Clean(attachment.Sniff(r.content), r.content)
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.Unprocessable || o.Issues[0].Detail != r.detail {
			t.Errorf("%s: %v, want %s", name, err, r.detail)
		}
	}
}

func TestOthersPassAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "Hello", "%PDF-1.7\n" + place, "GIF89a" + place, "II*\x00" + place, "\x00\x01"} {
		b := []byte(s)
		got, err := attachment.Clean(attachment.Sniff(b), b)
		if err != nil || string(got) != s {
			t.Errorf("%q became %q, %v", s, got, err)
		}
		if attachment.Cleans(attachment.Sniff(b)) {
			t.Errorf("%q is said to be cleaned", s)
		}
	}
}

func TestRefusalsRepeatNothing(t *testing.T) {
	t.Parallel()
	for declared, want := range map[string]string{"image/png": "image/png", "image/jpg; x=y": "image/jpeg", "Jane <b>Doe": "such type", "a/" + strings.Repeat("b", 99): "such type"} {
		o := attachment.Contradiction(declared, attachment.PDF)
		if text := o.Issues[0].Text; !strings.Contains(text, "no "+want+";") {
			t.Errorf("%s: %s", declared, text)
		}
	}
}

// seeds are inputs for the fuzz targets.
func seeds(f *testing.F) {
	f.Add(telling(f, binary.LittleEndian, 6))
	f.Add(tellingPNG(f))
	f.Add(webP("VP8X", "\x1C\x00\x00\x00\x24\x00\x00\x16\x00\x00", "VP8 ", "pixels", "EXIF", place))
	for _, r := range refusals(f) {
		f.Add(r.content)
	}
}

func fuzz(f *testing.F, is string) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if attachment.Sniff(b) != is {
			return
		}
		sent := bytes.Clone(b)
		got, err := attachment.Clean(is, b)
		if !bytes.Equal(sent, b) {
			t.Fatal("what was given was changed")
		}
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Fatal(err)
			}
			return
		}
		if attachment.Sniff(got) != is {
			t.Fatalf("it is %s now", attachment.Sniff(got))
		}
		again, err := attachment.Clean(is, got)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("what is clean is cleaned again: %v", err)
		}
		if len(got) > len(b)+64 {
			t.Fatalf("%d bytes became %d", len(b), len(got))
		}
	})
}

func FuzzJPEG(f *testing.F) { fuzz(f, attachment.JPEG) }
func FuzzPNG(f *testing.F)  { fuzz(f, attachment.PNG) }
func FuzzWebP(f *testing.F) { fuzz(f, attachment.WebP) }

func BenchmarkClean(b *testing.B) {
	for name, content := range map[string][]byte{"jpeg": telling(b, binary.BigEndian, 6), "png": tellingPNG(b)} {
		found := attachment.Sniff(content)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := attachment.Clean(found, content); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
