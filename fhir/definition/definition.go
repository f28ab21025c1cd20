// Package definition finds the resources that others name by a canonical URL: value
// sets, code systems, concept maps, profiles, forms. They come with the server (the
// terminology and the profiles of R4, and the server's own), in packages, or were stored
// by somebody.
package definition

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir"
)

// A Definition is one version of such a resource. It does not change, and the same
// pointer stands for it as long as it is current, so that what is compiled from it
// may be kept by it. It must not be copied.
type Definition struct {
	Type    string   // "ValueSet"
	URL     string   // its canonical URL, without a version
	Version string   // its business version; may be empty
	Status  string   // "active"
	Key     fhir.Key // of the stored resource; zero for what comes with the server, and for what is contained
	Number  int      // of the stored version

	source source
	memory memory
}

// A source is where the resource of a Definition comes from.
type source interface {
	root() (fhir.Node, error)
}

// given is a resource that was decoded already.
type given struct{ node fhir.Node }

func (g given) root() (fhir.Node, error) { return g.node, nil }

// Of returns a resource, which may be contained in another one, as a Definition.
func Of(n fhir.Node) *Definition {
	return &Definition{
		Type:    n.Type().Name,
		URL:     n.Child("url").Text(),
		Version: n.Child("version").Text(),
		Status:  n.Child("status").Text(),
		source:  given{n},
	}
}

// Root returns the resource. It is decoded when it is asked for first. The error is
// that of a fault of ours.
func (d *Definition) Root() (fhir.Node, error) { return d.source.root() }

// Canonical returns the URL of d, with its version if it has one.
func (d *Definition) Canonical() string {
	if d.Version == "" {
		return d.URL
	}
	return d.URL + "|" + d.Version
}

// isStored reports whether d is neither contained nor comes with the server.
func (d *Definition) isStored() bool { return d.Number > 0 }

// A text is the stored form of a definition. What is not in use is forgotten until a
// Catalog fetches it.
type text struct {
	stamp Stamp
	bytes atomic.Pointer[[]byte]

	once sync.Once
	node fhir.Node
	err  error
}

// root decodes the text, which must have been fetched.
func (t *text) root() (fhir.Node, error) {
	t.once.Do(func() {
		r, err := fhir.Decode(t.stamp.Key.Type, *t.bytes.Load())
		if err != nil {
			t.err = fmt.Errorf("decode version %d of %s: %w", t.stamp.Number, t.stamp.Key, err)
			return
		}
		t.node = r.Root()
	})
	return t.node, t.err
}
