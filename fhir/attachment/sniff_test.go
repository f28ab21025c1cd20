package attachment_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/attachment"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"": attachment.Text, "Hello, wörld\r\n": attachment.Text, "<html><script>": attachment.Text, "BMI 27": attachment.Text,
		"\x89PNG\r\n\x1a\n": attachment.PNG, "\xFF\xD8\xFF\xE0": attachment.JPEG, "\xFF\xD8": attachment.Unknown,
		"GIF89a": attachment.GIF, "RIFF\x00\x00\x00\x00WEBPVP8 ": attachment.WebP, "RIFF\x00\x00\x00\x00WAVEfmt ": attachment.WAV,
		"%PDF-1.7": attachment.PDF, " %PDF-1.7": attachment.Text, "GIF89a%PDF-1.7": attachment.GIF,
		"II*\x00": attachment.TIFF, "PK\x03\x04": attachment.ZIP, "{\\rtf1": attachment.RTF, "ID3\x04": attachment.MPEG, "\xFF\xFB\x90": attachment.MPEG,
		"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom": attachment.MP4, "\x00\x00\x00\x18ftypheix\x00\x00\x00\x00mif1heic": attachment.HEIC,
		"\x00\x00\x00\x08ftyp": attachment.Unknown, "OggS": attachment.Ogg, "\x1A\x45\xDF\xA3": attachment.WebM,
		strings.Repeat("\x00", 128) + "DICM": attachment.DICOM, "BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00": attachment.BMP,
		"\x00\x01\x02": attachment.Unknown, "caf\xE9": attachment.Unknown, strings.Repeat("é", 300): attachment.Text, "x" + strings.Repeat("é", 300): attachment.Text,
	} {
		if got := attachment.Sniff([]byte(content)); got != want {
			t.Errorf("%.30q is %s, want %s", content, got, want)
		}
	}
}

func TestContradicts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		declared, found string
		want            bool
	}{
		{"image/jpeg", attachment.JPEG, false}, {"IMAGE/JPG; q=1", attachment.JPEG, false}, {"image/png", attachment.JPEG, true},
		{"application/octet-stream", attachment.JPEG, false}, {"", attachment.JPEG, false}, {"text/plain", attachment.JPEG, true},
		{"text/plain", attachment.PDF, true}, {"image/png", attachment.Text, true}, {"image/jpeg", attachment.Unknown, true},
		{"application/pdf", attachment.Text, false}, {"application/pdf", attachment.PNG, true}, {"application/pdf", attachment.ZIP, true},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", attachment.ZIP, false}, {"text/plain", attachment.ZIP, true},
		{"audio/mp4", attachment.MP4, false}, {"text/html", attachment.MP4, true}, {"application/dicom", attachment.TIFF, false}, {"image/heif", attachment.HEIC, false},
		{"text/csv", attachment.Text, false}, {"text/plain", attachment.Unknown, false}, {"application/json", attachment.Text, false}, {"not a type", attachment.PNG, true},
	} {
		if got := attachment.Contradicts(tt.declared, tt.found); got != tt.want {
			t.Errorf("%s found in %q: %v", tt.found, tt.declared, got)
		}
	}
}

func FuzzSniff(f *testing.F) {
	seeds(f)
	f.Add([]byte("\x00\x00\xFF\xFFftyp"))
	f.Fuzz(func(t *testing.T, b []byte) {
		is := attachment.Sniff(b)
		if is == "" || attachment.Contradicts(is, is) {
			t.Fatalf("%q", is)
		}
		if len(b) > attachment.SniffBytes && attachment.Sniff(b[:attachment.SniffBytes+1]) != is {
			t.Fatal("more than the beginning matters")
		}
	})
}
