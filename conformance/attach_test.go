package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/attachment"
)

// A clamd is a daemon like ClamAV's, that finds the word EICAR harmful.
type clamd struct {
	address string
	mu      sync.Mutex
	stop    func() // nil while it is away
}

// newClamd returns one that is there until the test ends.
func newClamd(t *testing.T) *clamd {
	t.Helper()
	c := &clamd{address: "127.0.0.1:0"}
	c.back(t)
	t.Cleanup(c.leave)
	return c
}

// back has it listen, at the address that it had.
func (c *clamd) back(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.address, c.stop = l.Addr().String(), func() { l.Close() }
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go judge(conn)
		}
	}()
}

func (c *clamd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// judge answers one INSTREAM.
func judge(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if command, err := in.ReadString(0); err != nil || command != "zINSTREAM\x00" {
		return
	}
	var all []byte
	for {
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		if size == 0 {
			break
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return
		}
		all = append(all, chunk...)
	}
	says := "stream: OK\x00"
	if bytes.Contains(all, []byte("EICAR")) {
		says = "stream: Test.EICAR FOUND\x00"
	}
	_, _ = io.WriteString(conn, says)
}

// serveScanning starts a server that asks c.
func serveScanning(t *testing.T, c *clamd) *subject {
	t.Helper()
	scanner, err := attachment.NewClamd("tcp:" + c.address)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, scanner: scanner})
		return stop
	})
}

// taken is where the photos of the tests were taken.
const taken = "51 deg 30' 26\" N"

// snapshot returns a photo with EXIF that says where it was taken, and that it lies on its
// side.
func snapshot(t *testing.T) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for x := range 40 {
		for y := range 30 {
			m.Set(x, y, color.RGBA{uint8(6 * x), uint8(8 * y), 90, 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02" + "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" + "\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x26" +
		"\x00\x00\x00\x00" + "\x00\x01\x00\x1B\x00\x02\x00\x00\x00\x10\x00\x00\x00\x38\x00\x00\x00\x00" + taken
	all := append([]byte{0xFF, 0xD8, 0xFF, 0xE1}, binary.BigEndian.AppendUint16(nil, uint16(len(exif)+2))...)
	return append(append(all, exif...), b.Bytes()[2:]...)
}

// drawing returns a PNG with something behind its end.
func drawing(t *testing.T) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 40, 30))
	m.Set(3, 4, color.Gray{200})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), taken...)
}

// ask sends a request to the FHIR endpoint of s.
func (s *subject) ask(t *testing.T, status int, method, path string, rest request) exchange {
	t.Helper()
	rest.method, rest.path = method, "/fhir/"+path
	x, err := rest.send(http.DefaultClient, s.base)
	if err != nil {
		t.Fatal(err)
	}
	if x.status != status {
		t.Errorf("want %d\n%s", status, x)
	}
	return x
}

func raw(contentType, content string) request {
	return request{headers: [][2]string{{"Content-Type", contentType}}, body: content}
}

func TestPhotosTellNothingOverHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for contentType, sent := range map[string][]byte{"image/jpeg": snapshot(t), "image/png": drawing(t)} {
		s.ask(t, http.StatusCreated, "PUT", "Binary/a", raw(contentType, string(sent)))
		x := s.ask(t, http.StatusOK, "GET", "Binary/a", request{})
		if strings.Contains(x.answer, taken) || len(x.answer) >= len(sent) {
			t.Errorf("%s: it is told", contentType)
		}
		if says := strings.Contains(x.answer, "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06"); says != (contentType == "image/jpeg") {
			t.Errorf("%s: which side is up is known: %v", contentType, says)
		}
		if x.header.Get("Content-Type") != contentType || x.header.Get("X-Content-Type-Options") != "nosniff" || x.header.Get("Content-Disposition") != "attachment" {
			t.Errorf("%s: %v", contentType, x.header)
		}
		was, _, err := image.Decode(bytes.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		is, _, err := image.Decode(strings.NewReader(x.answer))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 * 30 {
			if was.At(i%40, i/40) != is.At(i%40, i/40) {
				t.Fatalf("%s: pixel %d is another", contentType, i)
			}
		}
		s.ask(t, http.StatusNoContent, "DELETE", "Binary/a", request{})
	}
}

// stateOf wants a Binary in some state, as it is found by its tag.
func (s *subject) stateOf(t *testing.T, id, state string) {
	t.Helper()
	x := s.ask(t, http.StatusOK, "GET", "Binary?_id="+id+"&_tag=https://fhir.openconsult.example/CodeSystem/scan-state%7C"+state, request{})
	if found, err := find(x.tree, "entry[*].resource.id"); err != nil || len(found) != 1 {
		t.Errorf("Binary/%s is not %s\n%s", id, state, x)
	}
}

// exported returns what an export of a type has.
func (s *subject) exported(t *testing.T, typ string) string {
	t.Helper()
	begun := s.ask(t, http.StatusAccepted, "GET", "$export?_type="+typ, request{headers: [][2]string{{"Accept", "application/fhir+json"}, {"Prefer", "respond-async"}}})
	status := request{method: "GET", path: begun.header.Get("Content-Location")}
	var manifest exchange
	await(t, "the export is done", func() (done bool) {
		var err error
		manifest, err = status.send(http.DefaultClient, s.base)
		return err == nil && manifest.status == http.StatusOK
	})
	files, err := find(manifest.tree, "output[*].url")
	if err != nil || len(files) != 1 {
		t.Fatalf("%v\n%s", err, manifest)
	}
	url, _ := files[0].(string)
	file, err := request{method: "GET", path: url, headers: [][2]string{{"Accept", "application/fhir+ndjson"}}}.send(http.DefaultClient, s.base)
	if err != nil || file.status != http.StatusOK {
		t.Fatalf("%v\n%s", err, file)
	}
	return file.answer
}

func TestScannerOverHTTP(t *testing.T) {
	t.Parallel()
	c := newClamd(t)
	s := serveScanning(t, c)
	s.ask(t, http.StatusCreated, "PUT", "Binary/good", raw("text/plain", "Hello"))
	s.stateOf(t, "good", "AVAILABLE")
	if x := s.ask(t, http.StatusOK, "GET", "Binary/good", request{}); x.answer != "Hello" {
		t.Error(x)
	}
	harmful := "EICAR" + strings.Repeat("!", 100_000)
	x := s.ask(t, http.StatusCreated, "PUT", "Binary/bad", request{headers: [][2]string{{"Content-Type", "text/plain"}, {"Prefer", "return=representation"}}, body: harmful})
	all := x.answer
	s.stateOf(t, "bad", "THREATS_FOUND")
	for _, path := range []string{"Binary/bad", "Binary/bad?_format=json", "Binary/bad/_history/1", "Binary/bad?_summary=false"} {
		x := s.ask(t, http.StatusForbidden, "GET", path, request{})
		if detail, err := find(x.tree, "issue[0].details.coding[0].code"); err != nil || len(detail) != 1 || detail[0] != "attachment-blocked" {
			t.Error(x)
		}
	}
	for _, path := range []string{"Binary/bad/_history", "Binary/_history", "_history", "Binary", "$changes?_type=Binary"} {
		all += s.ask(t, http.StatusOK, "GET", path, request{}).answer
	}
	exported := s.exported(t, "Binary")
	if !strings.Contains(exported, "SGVsbG8=") || strings.Count(exported, `"id":`) != 2 {
		t.Errorf("the export is %.500s", exported)
	}
	all += exported
	if strings.Contains(all, harmful[:50]) || strings.Contains(all, base64.StdEncoding.EncodeToString([]byte(harmful[:30]))) {
		t.Error("what is blocked is shown")
	}
}

// TestScannerAway makes sure that content which came while there was no scanner waits for
// it, also over a restart.
func TestScannerAway(t *testing.T) {
	t.Parallel()
	c := newClamd(t)
	s := serveScanning(t, c)
	c.leave()
	s.ask(t, http.StatusCreated, "PUT", "Binary/good", raw("text/plain", "Hello"))
	s.ask(t, http.StatusCreated, "PUT", "Binary/bad", raw("text/plain", "EICAR"))
	s.restart()
	x := s.ask(t, http.StatusConflict, "GET", "Binary/good", request{})
	if x.header.Get("Retry-After") == "" || !strings.Contains(x.answer, "attachment-pending") {
		t.Error(x)
	}
	s.stateOf(t, "bad", "PENDING")
	c.back(t)
	await(t, "what waited is there", func() bool {
		x, err := request{method: "GET", path: "/fhir/Binary/good"}.send(http.DefaultClient, s.base)
		return err == nil && x.status == http.StatusOK && x.answer == "Hello"
	})
	await(t, "what waited is blocked", func() bool {
		x, err := request{method: "GET", path: "/fhir/Binary/bad"}.send(http.DefaultClient, s.base)
		return err == nil && x.status == http.StatusForbidden
	})
}
