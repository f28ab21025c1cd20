package interaction_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// ward is what the images of the tests tell beside the picture.
const ward = "51.5 N, ward 7"

// photo returns a JPEG that tells where it was taken, and the same without that.
func photo(t testing.TB) (tells, clean []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 9, 7)), nil); err != nil {
		t.Fatal(err)
	}
	comment := append([]byte{0xFF, 0xFE, 0, byte(len(ward) + 2)}, ward...)
	return append(append(bytes.Clone(b.Bytes()[:2]), comment...), b.Bytes()[2:]...), b.Bytes()
}

// drawing returns a PNG with something behind it, and the same without that.
func drawing(t testing.TB) (tells, clean []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 9, 7))); err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(b.Bytes()), ward...), b.Bytes()
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func hashOf(b []byte) string {
	sum := sha1.Sum(b)
	return b64(sum[:])
}

// A gate is a scanner that may be away. It finds the word EICAR harmful, and cannot judge
// what is sealed.
type gate struct {
	away  atomic.Bool
	asked atomic.Int64
}

func (g *gate) Scan(_ context.Context, content []byte) (attachment.Verdict, error) {
	g.asked.Add(1)
	switch {
	case g.away.Load():
		return attachment.Unjudged, errors.New("nobody is there")
	case bytes.Contains(content, []byte("EICAR")):
		return attachment.Harmful, nil
	case bytes.Contains(content, []byte("sealed")):
		return attachment.Unjudged, nil
	}
	return attachment.Harmless, nil
}

// scanning returns a session on a server with a scanner, and another server on the same
// database.
func scanning(t *testing.T) (*gate, *interaction.Session, *interaction.Engine) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: pgtest.New(t).DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	g := &gate{}
	c := interaction.Config{Store: db, Scanner: g}
	return g, interaction.New(c).For(access.Trusted("test"), interaction.Origin{}), interaction.New(c)
}

// put stores a resource and returns what was answered.
func put(t *testing.T, s *interaction.Session, body string) string {
	t.Helper()
	r := decode(t, body)
	done, err := s.Update(t.Context(), r.ID(), r, store.Anything)
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return string(done.Stored)
}

// detail wants err to be an Outcome of a class with a detail, which may stand behind the
// element that it is about.
func detail(t *testing.T, what string, err error, class fhir.Class, want string) {
	t.Helper()
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != class || strings.TrimSpace(o.Issues[0].Expression+" "+o.Issues[0].Detail) != want {
		t.Errorf("%s: %+v, want %s", what, err, want)
	}
}

const stateTag = `{"system":"` + interaction.ScanSystem + `","code":"%s"}`

// tagged reports whether a resource has exactly one tag of ours, of that state.
func tagged(doc, state string) bool {
	return strings.Count(doc, interaction.ScanSystem) == 1 && strings.Contains(doc, fmt.Sprintf(stateTag, state))
}

func TestImagesAreCleanedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	for _, image := range []func(testing.TB) ([]byte, []byte){photo, drawing} {
		tells, clean := image(t)
		typ := attachment.Sniff(tells)
		data := `"contentType":"` + typ + `","data":"` + b64(tells) + `"`
		attached := `{` + data + `}`
		for _, body := range []string{
			`{"resourceType":"Binary","id":"a",` + data + `}`,
			`{ "resourceType" : "Binary" , "id" : "a" , "meta" : { "profile" : [ "http://a" ] } , ` + data + ` }`,
			`{"resourceType":"Binary","id":"a","contentType":"application\/octet-stream","data":"` + strings.ReplaceAll(b64(tells), "/", `\/`) + `"}`,
			`{"resourceType":"Communication","id":"a","status":"completed","payload":[{"contentString":"x"},{"contentAttachment":` + attached + `}]}`,
			`{"resourceType":"Media","id":"a","status":"completed","content":` + attached + `}`,
			`{"resourceType":"DocumentReference","id":"a","status":"current","content":[{"attachment":` + attached + `}]}`,
			`{"resourceType":"QuestionnaireResponse","id":"a","status":"completed","item":[{"linkId":"1","answer":[{"valueAttachment":` + attached + `,"item":[{"linkId":"2","answer":[{"valueAttachment":` + attached + `}]}]}]}]}`,
			`{"resourceType":"Patient","id":"a","photo":[` + attached + `]}`,
			`{"resourceType":"List","id":"a","status":"current","mode":"working","contained":[{"resourceType":"Binary","id":"b",` + data + `}]}`,
			`{"resourceType":"Bundle","id":"a","type":"collection","entry":[{"resource":{"resourceType":"Binary","id":"b",` + data + `}}]}`,
			`{"resourceType":"Basic","id":"a","code":{"text":"x"},"extension":[{"url":"http://a","valueAttachment":` + attached + `}]}`,
		} {
			got := put(t, s, body)
			if strings.Contains(got, b64(tells)) || !strings.Contains(got, `"`+b64(clean)+`"`) {
				t.Errorf("%.60s: %s", body, got)
			}
			r := decode(t, got)
			if again := put(t, s, string(r.Stored(r.ID()))); again != got {
				t.Errorf("what is clean became other: %s", again)
			}
			fills := r.Type() == "Communication" || r.Type() == "Media" || r.Type() == "DocumentReference" || r.Type() == "QuestionnaireResponse"
			if fills != strings.Contains(got, fmt.Sprintf(`,"size":%d,"hash":%q`, len(clean), hashOf(clean))) {
				t.Errorf("size and hash: %s", got)
			}
			if tagged(got, "NOT_SCANNED") != (r.Type() == "Binary") {
				t.Errorf("tags: %s", got)
			}
		}
	}
}

func TestContentIsWhatItSays(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	tells, clean := photo(t)
	media := func(rest string) string {
		return `{"resourceType":"Media","id":"a","status":"completed","content":{"contentType":"image/jpeg","data":"` + b64(tells) + `"` + rest + `}}`
	}
	for body, want := range map[string]string{
		`{"resourceType":"Binary","id":"a","contentType":"image/png","data":"` + b64(tells) + `"}`:                                                       "Binary.contentType attachment-type",
		`{"resourceType":"Binary","id":"a","contentType":"text/plain","data":"` + b64([]byte("%PDF-1.7")) + `"}`:                                         "Binary.contentType attachment-type",
		`{"resourceType":"Binary","id":"a","contentType":"image/jpeg","data":"` + b64(tells[:len(tells)-9]) + `"}`:                                       "Binary.data attachment-broken",
		`{"resourceType":"Binary","id":"a","contentType":"image/heic","data":"` + b64([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")) + `"}`: "Binary.data attachment-type",
		`{"resourceType":"Patient","id":"a","photo":[{"contentType":"image/png","data":"` + b64([]byte("Hello")) + `"}]}`:                                "Patient.photo[0].contentType attachment-type",
		media(`,"size":1`): "Media.content.size attachment-size",
		media(`,"hash":"` + hashOf([]byte("x")) + `"`): "Media.content.hash attachment-hash",
	} {
		_, err := s.Update(t.Context(), "a", decode(t, body), store.Anything)
		detail(t, fmt.Sprintf("%.60s", body), err, fhir.Unprocessable, want)
	}
	for _, body := range []string{media(fmt.Sprintf(`,"size":%d,"hash":%q`, len(tells), hashOf(tells))), media(fmt.Sprintf(`,"size":%d,"hash":%q`, len(clean), hashOf(clean)))} {
		if got := put(t, s, body); !strings.Contains(got, fmt.Sprintf(`,"size":%d,"hash":%q`, len(clean), hashOf(clean))) {
			t.Errorf("%s", got)
		}
	}
	for _, body := range []string{
		`{"resourceType":"Binary","id":"a","meta":{"tag":[` + fmt.Sprintf(stateTag, "NOT_SCANNED") + `]},"contentType":"text/plain","data":"SGVs bG8="}`,
		`{"resourceType":"Media","id":"a","status":"completed","content":{"contentType":"audio/mpeg","data":"dG9v"}}`,
	} {
		if got := put(t, s, body); got != body {
			t.Errorf("%s became %s", body, got)
		}
	}
}

func TestOnlyTheServerSaysWhatWasScanned(t *testing.T) {
	t.Parallel()
	_, s, _ := scanning(t)
	clean := engine(t).For(access.Trusted("test"), interaction.Origin{})
	claim := func(rest string) string {
		return `{"resourceType":"Binary","id":"a","meta":{"tag":[{"code":"own"},` + fmt.Sprintf(stateTag, "AVAILABLE") + `]},"contentType":"text/plain"` + rest + `}`
	}
	if got := put(t, clean, claim(`,"data":"SGVsbG8="`)); !tagged(got, "NOT_SCANNED") || !strings.Contains(got, `"own"`) {
		t.Error(got)
	}
	if got := put(t, s, claim(`,"data":"`+b64([]byte("EICAR"))+`"`)); !tagged(got, "THREATS_FOUND") {
		t.Error(got)
	}
	if got := put(t, clean, `{"resourceType":"Patient","id":"a","meta":{"tag":[`+fmt.Sprintf(stateTag, "PENDING")+`]}}`); got != `{"resourceType":"Patient","id":"a"}` {
		t.Error(got)
	}
	if got := put(t, clean, `{"resourceType":"Patient","id":"a","meta":{"source":"http://a","tag":[`+strings.ReplaceAll(fmt.Sprintf(stateTag, "PENDING"), "/", `\/`)+`]}}`); got != `{"resourceType":"Patient","id":"a","meta":{"source":"http://a"}}` {
		t.Error(got)
	}
	meta := decode(t, `{"resourceType":"Basic","meta":{"tag":[`+fmt.Sprintf(stateTag, "AVAILABLE")+`]},"code":{"text":"x"}}`).Root().Child("meta")
	_, err := s.MetaAdd(t.Context(), key("Binary/a"), meta, store.Anything)
	refused(t, "$meta-add", err, fhir.Unprocessable)
	_, err = s.MetaDelete(t.Context(), key("Binary/a"), meta, store.Anything)
	refused(t, "$meta-delete", err, fhir.Unprocessable)
	if _, err = s.Patch(t.Context(), key("Binary/a"), interaction.Change{JSON: []byte(`[{"op":"remove","path":"/meta"}]`)}, store.Anything); err != nil {
		t.Error(err)
	}
	_, err = s.Read(t.Context(), key("Binary/a"))
	detail(t, "a patch of the tag", err, fhir.Denied, "attachment-blocked")
}

// secret is what nobody may get.
const secret = "EICAR, and more of it"

// nowhere wants content to be in nothing that s gets of Binary/a, which has some versions.
func nowhere(t *testing.T, s *interaction.Session, content string, versions int) {
	t.Helper()
	var all []store.Version
	params, err := search.Parameters("_id=a")
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Search(t.Context(), interaction.Page{Request: search.Request{Types: []string{"Binary"}, Params: params}})
	done(t, "search", err)
	all = append(all, found.Versions...)
	history, err := s.History(t.Context(), store.History{Type: "Binary", ID: "a", Count: 10})
	done(t, "history", err)
	all = append(all, history.Versions...)
	feed, err := s.Changes(t.Context(), interaction.Feed{Feed: store.Feed{Types: []string{"Binary"}, Count: 10}})
	done(t, "feed", err)
	for _, e := range feed.Entries {
		all = append(all, e.Version)
	}
	patched, err := s.Patch(t.Context(), key("Binary/a"), interaction.Change{JSON: []byte(`[{"op":"add","path":"/language","value":"en"}]`)}, store.Anything)
	done(t, "patch", err)
	all = append(all, patched.Version)
	replies, err := s.Transaction(t.Context(), interaction.Bundle{Entries: []interaction.Entry{{Method: "GET", Key: key("Binary/a"), Reading: &interaction.Reading{}}}})
	done(t, "transaction", err)
	for _, r := range replies {
		all = append(all, r.Version)
	}
	if len(all) != 4+versions {
		t.Errorf("%d versions were looked at", len(all))
	}
	for _, v := range all {
		if bytes.Contains(v.Stored, []byte(b64([]byte(content)))) || !bytes.Contains(v.Stored, []byte("text/plain")) {
			t.Errorf("version %d: %s", v.Number, v.Stored)
		}
		if _, err := fhir.Decode("Binary", v.Stored); err != nil {
			t.Errorf("what is left is no FHIR: %v: %s", err, v.Stored)
		}
	}
}

func TestBlockedContentIsNowhere(t *testing.T) {
	t.Parallel()
	for content, state := range map[string]string{secret: "THREATS_FOUND", "sealed with a password": "VALIDATION_FAILED"} {
		_, s, _ := scanning(t)
		if got := put(t, s, `{"resourceType":"Binary","id":"a","contentType":"text/plain","data":"`+b64([]byte(content))+`"}`); !tagged(got, state) {
			t.Error(got)
		}
		_, err := s.Read(t.Context(), key("Binary/a"))
		detail(t, "read", err, fhir.Denied, "attachment-blocked")
		_, err = s.VRead(t.Context(), key("Binary/a"), 1)
		detail(t, "vread", err, fhir.Denied, "attachment-blocked")
		nowhere(t, s, content, 1)
		put(t, s, `{"resourceType":"Binary","id":"a","contentType":"text/plain","data":"`+b64([]byte("Hello"))+`"}`)
		v, err := s.Read(t.Context(), key("Binary/a"))
		if err != nil || !tagged(string(v.Stored), "AVAILABLE") {
			t.Errorf("another content: %v", err)
		}
		_, err = s.VRead(t.Context(), key("Binary/a"), 1)
		detail(t, "an earlier version", err, fhir.Denied, "attachment-blocked")
		if got := put(t, s, `{"resourceType":"Patient","id":"p","photo":[{"title":"x","contentType":"text/plain","data":"`+b64([]byte(content))+`"},{"contentType":"text/plain","data":"SGVsbG8=","title":"y"}]}`); strings.Contains(got, `"data"`) || !tagged(got, state) {
			t.Errorf("in a resource: %s", got)
		}
	}
}

func TestContentWaitsForTheScanner(t *testing.T) {
	t.Parallel()
	g, s, other := scanning(t)
	g.away.Store(true)
	if got := put(t, s, `{"resourceType":"Binary","id":"a","contentType":"text/plain","data":"`+b64([]byte(secret))+`"}`); !tagged(got, "PENDING") {
		t.Error(got)
	}
	if got := put(t, s, `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"SGVsbG8="}`); !tagged(got, "PENDING") {
		t.Error(got)
	}
	if g.asked.Load() != 1 {
		t.Errorf("a scanner that does not answer was asked %d times", g.asked.Load())
	}
	_, err := s.Read(t.Context(), key("Binary/b"))
	detail(t, "read", err, fhir.Clash, "attachment-pending")
	nowhere(t, s, secret, 2)
	if left, err := other.Rescan(t.Context()); !left || err == nil {
		t.Errorf("scanned by nobody: %v, %v", left, err)
	}
	g.away.Store(false)
	if left, err := other.Rescan(t.Context()); left || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	v, err := s.Read(t.Context(), key("Binary/b"))
	if err != nil || !tagged(string(v.Stored), "AVAILABLE") || v.Number != 2 || !bytes.Contains(v.Stored, []byte("SGVsbG8=")) {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = s.VRead(t.Context(), key("Binary/b"), 1)
	detail(t, "the version that was not scanned", err, fhir.Clash, "attachment-pending")
	_, err = s.Read(t.Context(), key("Binary/a"))
	detail(t, "what was found", err, fhir.Denied, "attachment-blocked")
	asked := g.asked.Load()
	if left, err := other.Rescan(t.Context()); left || err != nil || g.asked.Load() != asked {
		t.Errorf("once more: %v, %v", left, err)
	}
}

func TestScansGoOnByThemselves(t *testing.T) {
	t.Parallel()
	g, s, other := scanning(t)
	g.away.Store(true)
	put(t, s, `{"resourceType":"Patient","id":"a","photo":[{"contentType":"text/plain","data":"SGVsbG8="}]}`)
	g.away.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		other.RunScans(ctx, func(err error) { t.Error(err) })
	}()
	for {
		v, err := s.Read(t.Context(), key("Patient/a"))
		if err != nil {
			t.Fatal(err)
		}
		if v.Number == 2 {
			if !tagged(string(v.Stored), "AVAILABLE") || !bytes.Contains(v.Stored, []byte("SGVsbG8=")) {
				t.Errorf("%s", v.Stored)
			}
			break
		}
	}
	cancel()
	<-ended
}

// TestScannedBeforeTheTransaction makes sure that nobody waits for the scanner with locks in
// hand, however often the transaction is tried.
func TestScannedBeforeTheTransaction(t *testing.T) {
	t.Parallel()
	g, s, _ := scanning(t)
	entries := []interaction.Entry{
		{Method: "PUT", Key: key("Binary/a"), Resource: decode(t, `{"resourceType":"Binary","id":"a","contentType":"text/plain","data":"SGVsbG8="}`)},
		{Method: "GET", Key: key("Binary/a"), Reading: &interaction.Reading{}},
	}
	replies, err := s.Transaction(t.Context(), interaction.Bundle{Entries: entries})
	if err != nil || !tagged(string(replies[0].Stored), "AVAILABLE") || !tagged(string(replies[1].Stored), "AVAILABLE") {
		t.Fatalf("%+v, %v", replies, err)
	}
	if g.asked.Load() != 1 {
		t.Errorf("the same content was scanned %d times", g.asked.Load())
	}
}

func BenchmarkCleaned(b *testing.B) {
	e := engine(b)
	tells, _ := photo(b)
	tells = append(tells[:len(tells)-2:len(tells)-2], append(bytes.Repeat([]byte{1}, 2<<20), 0xFF, 0xD9)...)
	s := e.For(access.Trusted("test"), interaction.Origin{})
	for name, r := range map[string]*fhir.Resource{
		"photo of 2 MB": decode(b, `{"resourceType":"Binary","contentType":"image/jpeg","data":"`+b64(tells)+`"}`),
		"none":          decode(b, `{"resourceType":"Patient","name":[{"family":"a"}]}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := interaction.Cleaned(b.Context(), s, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
