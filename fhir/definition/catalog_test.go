package definition

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A shelf is a layer in memory.
type shelf struct {
	mu      sync.Mutex
	bodies  map[Stamp]string
	current map[fhir.Key]int
	err     error
	asked   atomic.Int64
	loaded  atomic.Int64
	onAsk   func(context.Context) error
}

func newShelf() *shelf {
	return &shelf{bodies: make(map[Stamp]string), current: make(map[fhir.Key]int)}
}

// put stores a value set under an id, as its next version.
func (s *shelf) put(id, version, status string) {
	s.store(id, fmt.Sprintf(`{"resourceType":"ValueSet","id":%q,"url":"http://example.org/v","version":%q,"status":%q}`, id, version, status))
}

func (s *shelf) store(id, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := fhir.Key{Type: "ValueSet", ID: id}
	s.current[k]++
	s.bodies[Stamp{k, s.current[k]}] = body
}

func (s *shelf) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.current, fhir.Key{Type: "ValueSet", ID: id})
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) Current(ctx context.Context, typ, url string) ([]Stamp, error) {
	s.asked.Add(1)
	s.mu.Lock()
	var all []Stamp
	for k, n := range s.current {
		// Some of them are large.
		head := s.bodies[Stamp{k, n}]
		if k.Type == typ && strings.Contains(head[:min(len(head), 200)], `"url":"`+url+`"`) {
			all = append(all, Stamp{k, n})
		}
	}
	err, then := s.err, s.onAsk
	s.mu.Unlock()
	if then != nil && err == nil {
		err = then(ctx)
	}
	return all, err
}

func (s *shelf) Load(_ context.Context, at Stamp) ([]byte, error) {
	s.loaded.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte(s.bodies[at]), s.err
}

func find(t *testing.T, c *Catalog, canonical string) *Definition {
	t.Helper()
	d, err := c.Find(t.Context(), "ValueSet", canonical)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// id returns the id of what is found, "core" for what comes with the server.
func id(d *Definition) string {
	switch {
	case d == nil:
		return "none"
	case d.Number == 0:
		return "core"
	}
	return d.Key.ID
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const url = "http://example.org/v"
	tests := []struct {
		name   string
		stored string // id version status, …
		ask    string
		want   string
	}{
		{"nothing", "", "", "none"},
		{"one", "a 1 draft", "", "a"},
		{"newest", "a 1 active, b 1.10 active, c 1.9 active", "", "b"},
		{"active before newest", "a 1 active, b 2 draft", "", "a"},
		{"none active", "a 1 retired, b 2 draft", "", "b"},
		{"exact", "a 1 active, b 2 draft", "|2", "b"},
		{"exact before part", "a 4.0 retired, b 4.0.1 active", "|4.0", "a"},
		{"part", "a 4.0.1 active, b 4.0.2 retired, c 4.1 active, d 40.1 active", "|4.0", "b"},
		{"part of major", "a 4.0.1 active, b 4.3 active, c 5 active", "|4", "b"},
		{"no such version", "a 1 active, b 12 active", "|1.1", "none"},
		{"no part of a number", "a 12.1 active", "|1", "none"},
		{"empty version", "a 1 active", "|", "a"},
		{"same version twice", "b 1 active, a 1 active, c 1 draft", "", "a"},
		{"same version twice, by version", "b 1 draft, c 1 active", "|1", "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf()
			for _, x := range strings.Split(tt.stored, ", ") {
				if f := strings.Fields(x); len(f) == 3 {
					s.put(f[0], f[1], f[2])
				}
			}
			if got := id(find(t, NewCatalog(s), url+tt.ask)); got != tt.want {
				t.Errorf("%s is found, want %s", got, tt.want)
			}
		})
	}
}

func TestCoreAndStored(t *testing.T) {
	t.Parallel()
	const url = "http://hl7.org/fhir/ValueSet/administrative-gender"
	s := newShelf()
	c := NewCatalog(s)
	for _, version := range []string{"", "|4.0.1", "|4.0", "|4"} {
		d := find(t, c, url+version)
		if id(d) != "core" || d.URL != url || d.Version != "4.0.1" || d.Canonical() != url+"|4.0.1" {
			t.Fatalf("%s is %+v", version, d)
		}
		if root, err := d.Root(); err != nil || root.Child("url").Text() != url {
			t.Errorf("its root is %v, %v", root, err)
		}
	}
	s.store("mine", `{"resourceType":"ValueSet","url":"`+url+`","version":"3","status":"draft"}`)
	c.Forget("ValueSet", url)
	for version, want := range map[string]string{"": "mine", "|4.0.1": "core", "|4": "core", "|3": "mine", "|5": "none"} {
		if got := id(find(t, c, url+version)); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
}

func TestBaseTypesAreNotFound(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.current[fhir.Key{Type: "StructureDefinition", ID: "p"}] = 1
	s.bodies[Stamp{fhir.Key{Type: "StructureDefinition", ID: "p"}, 1}] = `{"resourceType":"StructureDefinition","url":"http://hl7.org/fhir/StructureDefinition/Patient"}`
	c := NewCatalog(s)
	for tail, want := range map[string]bool{"Patient": false, "Extension": false, "string": false, "Element": false, "SimpleQuantity": true, "MoneyQuantity": true, "bmi": true} {
		d, err := c.Find(t.Context(), "StructureDefinition", "http://hl7.org/fhir/StructureDefinition/"+tail)
		if err != nil || (d != nil) != want {
			t.Errorf("%s is %v, %v", tail, d, err)
		}
	}
	if d, err := c.Find(t.Context(), "ValueSet", ""); d != nil || err != nil {
		t.Errorf("no URL is %v, %v", d, err)
	}
}

func TestKeepsWhatDoesNotChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const url = "http://example.org/v"
		s := newShelf()
		s.put("a", "1", "active")
		c := NewCatalog(s)
		first := find(t, c, url)
		root, err := first.Root()
		if err != nil || root.Child("version").Text() != "1" {
			t.Fatalf("%v, %v", root, err)
		}
		for range 5 {
			if find(t, c, url) != first || find(t, c, url+"|1") != first {
				t.Error("another definition stands for the same")
			}
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("the layer was asked %d times within a second", n)
		}
		time.Sleep(staleAfter)
		if find(t, c, url) != first || s.asked.Load() != 2 || s.loaded.Load() != 1 {
			t.Errorf("asked %d times, loaded %d times", s.asked.Load(), s.loaded.Load())
		}
		s.put("a", "2", "active")
		if find(t, c, url) != first {
			t.Error("asked again within a second")
		}
		time.Sleep(staleAfter)
		if d := find(t, c, url); d == first || d.Version != "2" || d.Number != 2 {
			t.Errorf("a second later it is %+v", d)
		}
		s.remove("a")
		time.Sleep(staleAfter)
		if d := find(t, c, url); d != nil {
			t.Errorf("what was deleted is found: %+v", d)
		}
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	const url = "http://example.org/v"
	for _, forget := range []string{url, ""} {
		s := newShelf()
		c := NewCatalog(s)
		if find(t, c, url) != nil {
			t.Fatal("found what is not there")
		}
		s.put("a", "1", "active")
		if find(t, c, url) != nil {
			t.Fatal("nothing is not kept")
		}
		c.Forget("CodeSystem", forget)
		c.Forget("ValueSet", url+"x")
		if find(t, c, url) != nil {
			t.Error("forgot something else")
		}
		c.Forget("ValueSet", forget)
		if find(t, c, url) == nil {
			t.Error("still not found")
		}
	}
}

// TestForgetWhileLookingUp stores a version between what a look-up has read and its
// end.
func TestForgetWhileLookingUp(t *testing.T) {
	t.Parallel()
	for _, forget := range []string{"http://example.org/v", ""} {
		s := newShelf()
		c := NewCatalog(s)
		write := sync.OnceFunc(func() {
			s.put("a", "1", "active")
			c.Forget("ValueSet", forget)
		})
		s.onAsk = func(context.Context) error {
			write()
			return nil
		}
		if d := find(t, c, "http://example.org/v"); d != nil {
			t.Fatalf("%+v is found too early", d)
		}
		if find(t, c, "http://example.org/v") == nil {
			t.Error("what was known before is found after Forget")
		}
	}
}

// TestForgetFromManySides lets writers and readers race: what is found by who begins
// after Forget is never older than what was stored before it.
func TestForgetFromManySides(t *testing.T) {
	t.Parallel()
	s := newShelf()
	c := NewCatalog(s)
	var stored atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range int64(300) {
			s.put("a", fmt.Sprint(i+1), "active")
			c.Forget("ValueSet", "http://example.org/v")
			stored.Store(i + 1)
		}
	})
	for range 4 {
		wg.Go(func() {
			for stored.Load() < 300 {
				before := stored.Load()
				d, err := c.Find(t.Context(), "ValueSet", "http://example.org/v")
				if err != nil || before > 0 && (d == nil || int64(d.Number) < before) {
					t.Errorf("after version %d it is %+v, %v", before, d, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestOneLookUpForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", "1", "active")
		release := make(chan struct{})
		s.onAsk = func(context.Context) error {
			<-release
			return nil
		}
		c := NewCatalog(s)
		found := make([]*Definition, 20)
		var wg sync.WaitGroup
		for i := range found {
			wg.Go(func() { found[i], _ = c.Find(t.Context(), "ValueSet", "http://example.org/v") })
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		for _, d := range found {
			if d == nil || d != found[0] {
				t.Errorf("%p is found beside %p", d, found[0])
			}
		}
		if s.asked.Load() != 1 || s.loaded.Load() != 1 {
			t.Errorf("asked %d times, loaded %d times", s.asked.Load(), s.loaded.Load())
		}
	})
}

// TestCancelled gives up the one who looks up and one who waits for it; a third goes
// on.
func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", "1", "active")
		s.onAsk = func(ctx context.Context) error {
			if s.asked.Load() == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		c := NewCatalog(s)
		ctx, cancel := context.WithCancel(t.Context())
		errs, found := make(chan error, 2), make(chan *Definition, 1)
		for range 2 {
			go func() {
				_, err := c.Find(ctx, "ValueSet", "http://example.org/v")
				errs <- err
			}()
			synctest.Wait()
		}
		go func() {
			d, err := c.Find(t.Context(), "ValueSet", "http://example.org/v")
			if err != nil {
				t.Error(err)
			}
			found <- d
		}()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up has the error %v", err)
			}
		}
		if d := <-found; d == nil || s.asked.Load() != 2 {
			t.Errorf("who waited finds %+v, asked %d times", d, s.asked.Load())
		}
	})
}

// TestSharedFailure hands the failure of one look-up to all who wait for it, and does
// not try again for each.
func TestSharedFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		release, broken := make(chan struct{}), errors.New("connection lost")
		s.onAsk = func(context.Context) error {
			<-release
			return broken
		}
		c := NewCatalog(s)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := c.Find(t.Context(), "ValueSet", "http://example.org/v"); !errors.Is(err, broken) {
					t.Errorf("the error is %v", err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if s.asked.Load() != 1 {
			t.Errorf("asked %d times", s.asked.Load())
		}
	})
}

func TestPanicReleasesOthers(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("a", "1", "active")
	s.onAsk = func(context.Context) error {
		if s.asked.Load() == 1 {
			panic("a fault")
		}
		return nil
	}
	c := NewCatalog(s)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		find(t, c, "http://example.org/v")
	}()
	if find(t, c, "http://example.org/v") == nil {
		t.Error("nothing is found after a panic")
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("a", "1", "active")
	c := NewCatalog(s)
	broken := errors.New("connection lost")
	s.fail(broken)
	if d, err := c.Find(t.Context(), "ValueSet", "http://example.org/v"); d != nil || !errors.Is(err, broken) {
		t.Fatalf("%v, %v", d, err)
	}
	s.fail(nil)
	if find(t, c, "http://example.org/v") == nil {
		t.Error("the error is kept")
	}
}

func TestBrokenText(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.store("head", `{"url":"http://example.org/head",`)
	s.store("body", `{"resourceType":"ValueSet","url":"http://example.org/body","status":"active","nonsense":1}`)
	c := NewCatalog(s)
	if _, err := c.Find(t.Context(), "ValueSet", "http://example.org/head"); err == nil || !strings.Contains(err.Error(), "ValueSet/head") {
		t.Errorf("the error of a broken head is %v", err)
	}
	d := find(t, c, "http://example.org/body")
	if _, err := d.Root(); err == nil || !strings.Contains(err.Error(), "ValueSet/body") {
		t.Errorf("the error of a broken body is %v", err)
	}
}

// TestTextsOfOldVersions loads what is asked for when it is asked for.
func TestTextsOfOldVersions(t *testing.T) {
	t.Parallel()
	s := newShelf()
	for i := range 9 {
		s.put(fmt.Sprint("v", i), fmt.Sprint(i), "active")
	}
	c := NewCatalog(s)
	newest := find(t, c, "http://example.org/v")
	if newest.Version != "8" || s.loaded.Load() != 9 {
		t.Fatalf("%+v, loaded %d", newest, s.loaded.Load())
	}
	kept := 0
	for _, d := range c.cache.entries[name{"ValueSet", "http://example.org/v"}].known.Load().all {
		if d.source.(*text).size() > 0 {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d texts are kept", kept)
	}
	d := find(t, c, "http://example.org/v|3")
	if root, err := d.Root(); err != nil || root.Child("version").Text() != "3" {
		t.Errorf("%v, %v", root, err)
	}
	if find(t, c, "http://example.org/v|3") != d || s.loaded.Load() != 10 {
		t.Errorf("loaded %d times", s.loaded.Load())
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("a", "1", "active")
	c := NewCatalog(s)
	d := find(t, c, "http://example.org/v")
	for i := range 3 * maxMissing {
		find(t, c, fmt.Sprint("http://example.org/none/", i))
	}
	if n := c.cache.missing.count; n > maxMissing || n < maxMissing/2 {
		t.Errorf("%d names of nothing are kept", n)
	}
	find(t, c, "http://example.org/"+strings.Repeat("x", 2*maxNothing))
	find(t, c, "http://example.org/y")
	if n := c.cache.missing.weight; n > maxNothing {
		t.Errorf("the names of nothing weigh %d", n)
	}
	if find(t, c, "http://example.org/v") != d {
		t.Error("names of nothing drove a definition out")
	}
	if n := c.cache.found.count + c.cache.missing.count; n != len(c.cache.entries) {
		t.Errorf("%d are counted, %d are there", n, len(c.cache.entries))
	}
}

func TestRoomForTexts(t *testing.T) {
	t.Parallel()
	s := newShelf()
	const size = maxWeight / treeFactor / 8
	pad := strings.Repeat("x", size)
	c := NewCatalog(s)
	for i := range 20 {
		url := fmt.Sprint("http://example.org/", i)
		s.store(fmt.Sprint("v", i), `{"resourceType":"ValueSet","url":"`+url+`","version":"1","status":"active","title":"`+pad+`"}`)
		if find(t, c, url) == nil {
			t.Fatal("not found")
		}
	}
	if c.cache.found.weight > maxWeight || c.cache.found.count < 4 {
		t.Errorf("%d texts are kept, %d bytes", c.cache.found.count, c.cache.found.weight)
	}
}

func TestBeside(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("a", "5", "active")
	c := NewCatalog(s)
	near := func(version string) *Definition {
		r, err := fhir.Decode("ValueSet", []byte(`{"resourceType":"ValueSet","url":"http://example.org/v","version":"`+version+`","status":"draft"}`))
		if err != nil {
			t.Fatal(err)
		}
		return Of(r.Root())
	}
	one, two := near("1"), near("2")
	ctx := Beside(Beside(t.Context(), []*Definition{one}), []*Definition{two})
	for ask, want := range map[string]*Definition{"": two, "|1": one, "|2": two, "|5": find(t, c, "http://example.org/v"), "|7": nil} {
		d, err := c.Find(ctx, "ValueSet", "http://example.org/v"+ask)
		if err != nil || d != want {
			t.Errorf("%q is %+v, %v", ask, d, err)
		}
	}
	if d := find(t, c, "http://example.org/v"); d.Number != 1 {
		t.Errorf("outside of the context it is %+v", d)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	s := newShelf()
	s.put("a", "1", "active")
	c := NewCatalog(s)
	for _, canonical := range []string{"http://example.org/v", "http://example.org/v|1", "http://example.org/none", "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"} {
		find(t, c, canonical)
		if n := testing.AllocsPerRun(100, func() { find(t, c, canonical) }); n >= 1 {
			t.Errorf("%s takes %v allocations", canonical, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	s := newShelf()
	s.put("a", "1", "active")
	c := NewCatalog(s)
	for _, canonical := range []string{"http://example.org/v", "http://example.org/v|1", "http://example.org/none", "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"} {
		b.Run(canonical, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Find(b.Context(), "ValueSet", canonical); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestFindBar finds the code systems of v2 whose URL has a bar in it.
func TestFindBar(t *testing.T) {
	t.Parallel()
	const url = "http://terminology.hl7.org/CodeSystem/v2-0006|2.4"
	d, err := NewCatalog(nil).Find(t.Context(), "CodeSystem", url)
	if err != nil || d == nil || d.URL != url {
		t.Errorf("%s is %v, %v", url, d, err)
	}
}
