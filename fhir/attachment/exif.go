package attachment

import "encoding/binary"

// orientationTag is that of the first directory of EXIF.
const orientationTag = 0x0112

// orientation returns what EXIF, a TIFF, says of how a picture is to be turned, 1 to 8;
// 0 when it does not say.
func orientation(tiff []byte) byte {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
	default:
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 0
		}
		const short = 3
		if order.Uint16(entries) == orientationTag && order.Uint16(entries[2:]) == short {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return byte(v)
			}
			return 0
		}
		entries = entries[12:]
	}
	return 0
}

// appendOrientation appends a segment of EXIF that says nothing else.
func appendOrientation(dst []byte, value byte) []byte {
	return appendSegment(dst, markerAPP1, []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"+string([]byte{value})+"\x00\x00\x00\x00\x00\x00"))
}
