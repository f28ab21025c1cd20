package attachment

import (
	"bytes"
	"encoding/binary"

	"github.com/openconsult/openconsult/fhir"
)

// The markers of JPEG that are asked for by name. https://www.w3.org/Graphics/JPEG/itu-t81.pdf
const (
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDQT   = 0xDB
	markerDNL   = 0xDC
	markerDRI   = 0xDD
	markerDHT   = 0xC4
	markerDAC   = 0xCC
	markerAPP0  = 0xE0
	markerAPP1  = 0xE1
	markerAPP2  = 0xE2
	markerAPP14 = 0xEE
	markerAPP15 = 0xEF
	markerCOM   = 0xFE
)

// maxScans is more than any encoder makes. Each costs a viewer a whole picture.
const maxScans = 500

// A jpegReader takes a JPEG apart.
type jpegReader struct {
	in  []byte
	at  int
	out []byte // what stays, behind SOI and what goes before

	jfif        []byte // the segment; nil without one
	orientation byte   // of EXIF, 1 to 8; 0 is not known
	icc         bool   // the segments of a colour profile stay
	framed      bool
	scans       int
}

// cleanJPEG returns b with what is needed to show it.
func cleanJPEG(b []byte) ([]byte, error) {
	r := jpegReader{in: b, at: 2, out: make([]byte, 0, len(b))}
	for {
		marker, err := r.marker()
		if err != nil {
			return nil, err
		}
		if marker == markerEOI {
			break
		}
		if err := r.segment(marker); err != nil {
			return nil, err
		}
	}
	if r.scans == 0 {
		return nil, broken("JPEG", "there is no picture in it")
	}
	all := make([]byte, 0, len(r.out)+64)
	all = append(all, 0xFF, markerSOI)
	all = append(all, r.jfif...)
	if r.orientation > 1 {
		all = appendOrientation(all, r.orientation)
	}
	all = append(append(all, r.out...), 0xFF, markerEOI)
	if bytes.Equal(all, b) {
		return b, nil
	}
	return all, nil
}

// marker returns the next marker. What stands between segments belongs to none and is
// left out, as every decoder does.
func (r *jpegReader) marker() (byte, error) {
	for {
		n := bytes.IndexByte(r.in[r.at:], 0xFF)
		if n < 0 {
			return 0, truncated("JPEG")
		}
		r.at += n
		for r.at < len(r.in) && r.in[r.at] == 0xFF {
			r.at++
		}
		if r.at == len(r.in) {
			return 0, truncated("JPEG")
		}
		r.at++
		if m := r.in[r.at-1]; m != 0 && (m < 0xD0 || m > 0xD7) {
			return m, nil
		}
	}
}

// segment takes the segment of a marker.
func (r *jpegReader) segment(marker byte) error {
	if marker < 0xC0 || marker == markerSOI {
		return broken("JPEG", "it has a marker where none can be")
	}
	if len(r.in)-r.at < 2 {
		return truncated("JPEG")
	}
	size := int(binary.BigEndian.Uint16(r.in[r.at:]))
	if size < 2 {
		return broken("JPEG", "a segment has no length")
	}
	if len(r.in)-r.at < size {
		return truncated("JPEG")
	}
	body := r.in[r.at+2 : r.at+size]
	r.at += size
	switch {
	case marker == markerSOS:
		return r.scan(body)
	case marker == markerDHT || marker == markerDAC || marker == markerDQT || marker == markerDRI:
		r.keep(marker, body)
	case isFrame(marker):
		return r.frame(marker, body)
	case marker >= markerAPP0 && marker <= markerAPP15:
		r.application(marker, body)
	case marker == markerCOM || marker == markerDNL:
	default:
		return broken("JPEG", "it is made in a way that viewers do not know")
	}
	return nil
}

// isFrame reports whether a marker begins a picture that is by itself.
func isFrame(marker byte) bool {
	switch marker {
	case 0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB:
		return true
	}
	return false
}

func (r *jpegReader) keep(marker byte, body []byte) {
	r.out = appendSegment(r.out, marker, body)
}

func appendSegment(dst []byte, marker byte, body []byte) []byte {
	dst = append(dst, 0xFF, marker)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(body)+2))
	return append(dst, body...)
}

func (r *jpegReader) frame(marker byte, body []byte) error {
	if r.framed {
		return broken("JPEG", "it has more than one picture")
	}
	if len(body) < 6 || len(body) != 6+3*int(body[5]) || body[5] == 0 || body[5] > 4 {
		return broken("JPEG", "it does not say what its picture is like")
	}
	r.framed = true
	r.keep(marker, body)
	return sized("JPEG", uint64(binary.BigEndian.Uint16(body[3:])), uint64(binary.BigEndian.Uint16(body[1:])))
}

// scan takes the head of a scan and the data behind it, up to the next marker.
func (r *jpegReader) scan(body []byte) error {
	if r.scans++; r.scans > maxScans {
		return refuse(fhir.TooLong, DetailLarge, "The JPEG comes in more than %d steps; save it anew without them.", maxScans)
	}
	if !r.framed || len(body) < 4 || len(body) != 4+2*int(body[0]) {
		return broken("JPEG", "a part of the picture has no beginning")
	}
	r.keep(markerSOS, body)
	from := r.at
	for {
		n := bytes.IndexByte(r.in[r.at:], 0xFF)
		if n < 0 || r.at+n+1 == len(r.in) {
			return truncated("JPEG")
		}
		r.at += n
		if m := r.in[r.at+1]; m != 0 && (m < 0xD0 || m > 0xD7) {
			break
		}
		r.at += 2
	}
	r.out = append(r.out, r.in[from:r.at]...)
	return nil
}

// application keeps of a segment that an application has put in what the colours and
// the right way up depend on.
func (r *jpegReader) application(marker byte, body []byte) {
	switch {
	case marker == markerAPP0 && len(body) >= 14 && string(body[:5]) == "JFIF\x00":
		head := append(body[:12:12], 0, 0) // no thumbnail
		r.jfif = appendSegment(nil, marker, head)
	case marker == markerAPP1 && r.orientation == 0 && bytes.HasPrefix(body, []byte("Exif\x00")) && len(body) > 6:
		r.orientation = orientation(body[6:])
	case marker == markerAPP2 && len(body) > 14 && string(body[:12]) == "ICC_PROFILE\x00":
		if body[12] == 1 {
			r.icc = isProfile(body[14:])
		}
		if r.icc {
			r.keep(marker, body)
		}
	case marker == markerAPP14 && len(body) >= 12 && string(body[:5]) == "Adobe":
		r.keep(marker, body[:12])
	}
}

// isProfile reports whether b begins a colour profile.
func isProfile(b []byte) bool { return len(b) >= 128 && string(b[36:40]) == "acsp" }
