package definition

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a Catalog. The texts of what comes with the server are not counted.
const (
	maxFound    = 4096      // names that something was found for
	maxMissing  = 4096      // names that nothing was found for
	maxWeight   = 256 << 20 // bytes of what was found
	maxNothing  = 4 << 20   // bytes of the names that nothing was found for
	entryWeight = 512       // bytes of an entry or definition without its text
	treeFactor  = 6         // bytes in memory of a byte of text that was decoded and compiled
	touchEvery  = 100 * time.Millisecond
)

// An entry is what a Catalog keeps of one name.
type entry struct {
	name   name
	known  atomic.Pointer[known] // nil before it was looked up first
	own    atomic.Uint64         // how often it was to be looked up again
	ofType *atomic.Uint64        // how often its type was
	used   atomic.Int64          // when, in nanoseconds from the start of the Catalog

	mu     sync.Mutex
	flight *flight // the look-up that is under way, or nil

	missing bool // the rest belongs to the cache that it is in, and its lock
	weight  int
}

// A known is what a look-up has found. It does not change.
type known struct {
	at     time.Duration // when it began, from the start of the Catalog
	epoch  uint64        // of the entry, when it began
	all    []*Definition
	newest *Definition // what is meant without a version; nil for none
}

// epoch grows by every Forget.
func (e *entry) epoch() uint64 { return e.own.Load() + e.ofType.Load() }

// touch notes that e was used, roughly: a line of memory that everybody writes is slow.
func (e *entry) touch(now time.Duration) {
	if now-time.Duration(e.used.Load()) > touchEvery {
		e.used.Store(int64(now))
	}
}

// weigh returns the bytes that e keeps in memory.
func (e *entry) weigh() int {
	weight := entryWeight + len(e.name.url)
	k := e.known.Load()
	if k == nil {
		return weight
	}
	for _, d := range k.all {
		weight += entryWeight
		if t, ok := d.source.(*text); ok {
			weight += t.size() * treeFactor
		}
	}
	return weight
}

// isMissing reports whether nothing is known to be there.
func (e *entry) isMissing() bool {
	k := e.known.Load()
	return k == nil || len(k.all) == 0
}

// A cache holds entries. Those that were not used for longest go when there are too
// many. Names without a definition, which anybody can make up, cannot drive the others
// out: they are counted by themselves.
type cache struct {
	entries map[name]*entry
	found   share
	missing share
}

// A share counts entries of one sort.
type share struct{ count, weight int }

func newCache() cache { return cache{entries: make(map[name]*entry)} }

func (c *cache) share(missing bool) *share {
	if missing {
		return &c.missing
	}
	return &c.found
}

func (c *cache) add(e *entry) {
	e.missing, e.weight = true, e.weigh()
	c.entries[e.name] = e
	c.count(e, 1)
	c.shrink(e)
}

// update counts e as it is now, if it is still in c.
func (c *cache) update(e *entry) {
	if c.entries[e.name] != e {
		return
	}
	c.count(e, -1)
	e.missing, e.weight = e.isMissing(), e.weigh()
	c.count(e, 1)
	c.shrink(e)
}

func (c *cache) count(e *entry, n int) {
	s := c.share(e.missing)
	s.count += n
	s.weight += n * e.weight
}

// shrink makes room in the share of e, which stays.
func (c *cache) shrink(e *entry) {
	s := c.share(e.missing)
	count, weight := maxFound, maxWeight
	if e.missing {
		count, weight = maxMissing, maxNothing
	}
	if s.count <= count && s.weight <= weight {
		return
	}
	var old []*entry
	for _, x := range c.entries {
		if x.missing == e.missing && x != e {
			old = append(old, x)
		}
	}
	slices.SortFunc(old, func(a, b *entry) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	for _, x := range old {
		// A little more goes than has to, so that this is not done each time.
		if s.count <= count/8*7 && s.weight <= weight/8*7 {
			return
		}
		delete(c.entries, x.name)
		c.count(x, -1)
	}
}
