package attachment

import (
	"bytes"
	"encoding/binary"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// The types that are told by content, and Unknown for all others.
const (
	PNG     = "image/png"
	JPEG    = "image/jpeg"
	GIF     = "image/gif"
	WebP    = "image/webp"
	HEIC    = "image/heic"
	AVIF    = "image/avif"
	TIFF    = "image/tiff"
	BMP     = "image/bmp"
	PDF     = "application/pdf"
	ZIP     = "application/zip" // also what is made of it, such as .docx
	RTF     = "application/rtf"
	DICOM   = "application/dicom"
	MP4     = "video/mp4" // also sound alone, and QuickTime
	WebM    = "video/webm"
	Ogg     = "audio/ogg"
	WAV     = "audio/wav"
	MPEG    = "audio/mpeg"
	Text    = "text/plain" // also what is written as text, such as XML
	Unknown = "application/octet-stream"
)

// SniffBytes is how much of a content Sniff looks at, at most.
const SniffBytes = 512

// Sniff returns the type of a content by its first bytes, whatever it is called and
// whatever else it may be to somebody who looks at its end. Empty content is text.
func Sniff(content []byte) string {
	head := content[:min(len(content), SniffBytes)]
	for _, s := range signatures() {
		if bytes.HasPrefix(head, []byte(s.prefix)) {
			return s.is
		}
	}
	at := func(offset int, s string) bool {
		return len(head) >= offset+len(s) && string(head[offset:offset+len(s)]) == s
	}
	switch {
	case at(0, "RIFF") && at(8, "WEBP"):
		return WebP
	case at(0, "RIFF") && at(8, "WAVE"):
		return WAV
	case at(4, "ftyp"):
		return brand(head)
	case at(128, "DICM"):
		return DICOM
	case isBMP(head):
		return BMP
	case len(head) > 2 && head[0] == 0xFF && head[1]&0xE6 == 0xE2:
		return MPEG
	case isText(head, len(content) > len(head)):
		return Text
	}
	return Unknown
}

// A signature is how content of a type begins.
type signature struct{ prefix, is string }

func signatures() []signature {
	return []signature{
		{"\x89PNG\r\n\x1a\n", PNG}, {"\xFF\xD8\xFF", JPEG}, {"GIF87a", GIF}, {"GIF89a", GIF}, {"%PDF-", PDF},
		{"II*\x00", TIFF}, {"MM\x00*", TIFF}, {"II+\x00", TIFF}, {"MM\x00+", TIFF}, {"PK\x03\x04", ZIP}, {"PK\x05\x06", ZIP},
		{"{\\rtf", RTF}, {"OggS", Ogg}, {"ID3", MPEG}, {"\x1A\x45\xDF\xA3", WebM},
	}
}

// brand tells what is in a container of ISO media by its major brand, or for the
// general ones by those that it is compatible with.
func brand(head []byte) string {
	size := min(uint64(binary.BigEndian.Uint32(head)), uint64(len(head)))
	if size < 12 {
		return Unknown
	}
	brands := head[8:size]
	for i := 0; i+4 <= len(brands); i += 4 {
		switch string(brands[i : i+4]) {
		case "avif", "avis":
			return AVIF
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
			return HEIC
		}
	}
	if b := string(head[8:12]); b == "mif1" || b == "msf1" || b == "mif2" {
		return HEIC
	}
	return MP4
}

// isBMP looks behind the two letters, which a text may begin with, too.
func isBMP(head []byte) bool {
	if len(head) < 18 || string(head[:2]) != "BM" || !bytes.Equal(head[6:10], make([]byte, 4)) {
		return false
	}
	return slices.Contains([]uint32{12, 40, 52, 56, 64, 108, 124}, binary.LittleEndian.Uint32(head[14:]))
}

// isText reports whether head is UTF-8 without control characters. What is cut may
// end within a character.
func isText(head []byte, cut bool) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n == 1:
			return cut && !utf8.FullRune(head)
		case r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r), r == 0x7F:
			return false
		}
		head = head[n:]
	}
	return true
}

// Contradicts reports whether content that is found to be of one type cannot be what
// it is declared to be. Nothing contradicts no declaration, and application/octet-stream.
// Text, and content of no known beginning, contradict images only.
func Contradicts(declared, found string) bool {
	is := plain(declared)
	switch {
	case is == "" || is == Unknown || is == found:
		return false
	case found == TIFF && is == DICOM:
		return false // the 128 bytes before a DICOM file are free
	case is == PDF && (found == Text || found == Unknown):
		return false // it may begin within the first kilobyte
	case hasSignature(is) || hasSignature(found):
		return true
	}
	kind, _, _ := strings.Cut(is, "/")
	switch found {
	case ZIP, RTF, DICOM:
		return kind != "application"
	case MP4, WebM, Ogg, WAV, MPEG:
		return kind != "audio" && kind != "video" && kind != "application"
	}
	return false
}

// hasSignature reports whether all content of a type begins in a way that Sniff knows,
// and nothing else does.
func hasSignature(is string) bool {
	return slices.Contains([]string{PNG, JPEG, GIF, WebP, HEIC, AVIF, TIFF, BMP, PDF}, is)
}

// plain returns a content type without parameters, and by its own name where it has
// several.
func plain(declared string) string {
	is, _, err := mime.ParseMediaType(declared)
	if err != nil {
		is = strings.ToLower(strings.TrimSpace(declared))
	}
	switch is {
	case "image/jpg", "image/pjpeg":
		return JPEG
	case "image/x-png", "image/apng":
		return PNG
	case "image/heif", "image/heic-sequence", "image/heif-sequence":
		return HEIC
	case "image/x-ms-bmp", "image/x-bmp":
		return BMP
	case "application/x-pdf":
		return PDF
	}
	return is
}
