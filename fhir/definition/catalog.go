package definition

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// staleAfter is how long what was found is taken for granted: a definition that
// another server has stored is found that much later at most.
const staleAfter = time.Second

// A Stamp names one version of a stored resource.
type Stamp struct {
	Key    fhir.Key
	Number int // from 1
}

// A Layer is where definitions are stored. Everybody is told the same by it: it must
// not speak of what a transaction has written before that is committed.
type Layer interface {
	// Current names the current versions of all resources of a type that have a
	// canonical URL.
	Current(ctx context.Context, typ, url string) ([]Stamp, error)
	// Load returns the stored form of a version.
	Load(ctx context.Context, s Stamp) ([]byte, error)
}

// A Catalog finds definitions. It may be used by several goroutines at once. What it
// has found, or knows not to be there, it keeps as long as there is room, and asks
// every second at most whether it is still current.
type Catalog struct {
	stored Layer
	start  time.Time // times are counted from here

	mu     sync.RWMutex
	cache  cache
	core   map[*archived]*Definition
	epochs map[string]*atomic.Uint64 // by type: how often all of it was to be looked up again
}

// NewCatalog returns a Catalog of what comes with the server and what stored has,
// which may be nil.
func NewCatalog(stored Layer) *Catalog {
	return &Catalog{
		stored: stored,
		start:  time.Now(),
		cache:  newCache(),
		core:   make(map[*archived]*Definition),
		epochs: make(map[string]*atomic.Uint64),
	}
}

// A name is what definitions are found by.
type name struct{ typ, url string }

// Find returns the definition of a type with a canonical URL, "url" or "url|version".
// Without a version it is the newest stored one that is active, if there is one, or
// the newest stored one of all, or what comes with the server. A version is met
// exactly or else by the newest one that begins with it: "url|4.0" by 4.0.1. It is nil
// when there is none, and for the types of FHIR themselves, which package spec has.
// The error is a fault of the layer, or of ours; it is not kept.
func (c *Catalog) Find(ctx context.Context, typ, canonical string) (*Definition, error) {
	url, version := split(canonical)
	if version != "" && typ == "CodeSystem" && len(core().find(typ, canonical)) > 0 {
		url, version = canonical, "" // some of v2 have a bar in their URL
	}
	key := name{typ, url}
	if d := beside(ctx, key, version); d != nil && !isBase(key) {
		return d, nil
	}
	e := c.entry(key)
	k := e.known.Load()
	now := time.Since(c.start)
	if k == nil || c.isStale(e, k, now) {
		var err error
		if k, err = c.refresh(ctx, e); err != nil {
			return nil, err
		}
	}
	e.touch(now)
	d := k.newest
	if version != "" {
		d = choose(k.all, version)
	}
	if d == nil {
		return nil, nil
	}
	if err := c.fetch(ctx, e, d); err != nil {
		return nil, err
	}
	return d, nil
}

// isBase reports whether a StructureDefinition is that of a type.
func isBase(key name) bool {
	typ, ok := strings.CutPrefix(key.url, "http://hl7.org/fhir/StructureDefinition/")
	return ok && key.typ == "StructureDefinition" && spec.R4().Type(typ) != nil && len(core().find(key.typ, key.url)) == 0
}

// isStale reports whether k has to be looked up again.
func (c *Catalog) isStale(e *entry, k *known, now time.Duration) bool {
	return k.epoch != e.epoch() || c.stored != nil && now-k.at >= staleAfter
}

// Forget makes c look a canonical URL up again, or with an empty one all of that type.
// It is called after a resource with that URL was written: every Find that begins
// after Forget has returned finds it.
func (c *Catalog) Forget(typ, url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if url == "" {
		c.typeEpoch(typ).Add(1)
		return
	}
	if e := c.cache.entries[name{typ, url}]; e != nil {
		e.own.Add(1)
	}
}

// typeEpoch returns the counter of a type. c is locked.
func (c *Catalog) typeEpoch(typ string) *atomic.Uint64 {
	if c.epochs[typ] == nil {
		c.epochs[strings.Clone(typ)] = new(atomic.Uint64)
	}
	return c.epochs[typ]
}

// entry returns the entry of a name, a new one if there is none.
func (c *Catalog) entry(key name) *entry {
	c.mu.RLock()
	e := c.cache.entries[key]
	c.mu.RUnlock()
	if e != nil {
		return e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.cache.entries[key]; e != nil {
		return e
	}
	// The text of a canonical may be a small part of a large body.
	key = name{strings.Clone(key.typ), strings.Clone(key.url)}
	e = &entry{name: key, ofType: c.typeEpoch(key.typ)}
	e.used.Store(int64(time.Since(c.start)))
	c.cache.add(e)
	return e
}

// builtIn returns what comes with the server of that name.
func (c *Catalog) builtIn(key name) []*Definition {
	found := comes(key.typ, key.url)
	if len(found) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Definition, len(found))
	for i, a := range found {
		if c.core[a] == nil {
			c.core[a] = &Definition{Type: a.typ, URL: a.url, Version: a.version, Status: a.status, source: a}
		}
		all[i] = c.core[a]
	}
	return all
}
