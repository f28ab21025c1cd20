package bearer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

const (
	// knownFor is how long what was found out about a token is kept.
	knownFor = 5 * time.Second
	// maxGood and maxBad are how many tokens are kept that were accepted, and
	// that were refused.
	maxGood, maxBad = 10_000, 1_000
	// judgeTime is how long finding out may take.
	judgeTime = 10 * time.Second
)

// A verdict is what was found out about a token that is good.
type verdict struct {
	grant   access.Grant
	id      string // of the grant; empty for tokens of others
	expires time.Time
}

// digest stands for a token, so that none is kept.
type digest = [sha256.Size]byte

// kept is a verdict, or the error there is instead, until it must be found out
// anew.
type kept struct {
	grant access.Grant
	id    string
	err   error
	until time.Time
}

// cache keeps verdicts. Tokens that were refused do not drive out those that
// were accepted.
type cache struct {
	flight singleflight.Group

	mu    sync.RWMutex
	good  map[digest]kept
	bad   map[digest]kept
	epoch int // how often something was forgotten
}

func newCache() *cache { return &cache{good: map[digest]kept{}, bad: map[digest]kept{}} }

// get returns the grant of a token, from judge if it is not known.
func (c *cache) get(ctx context.Context, text string, now func() time.Time, judge func(context.Context, string) (verdict, error)) (access.Grant, error) {
	sum := sha256.Sum256([]byte(text))
	k, epoch, ok := c.find(sum, now())
	if ok {
		return k.grant, k.err
	}
	// Who asks after something was forgotten does not get what was found out
	// before.
	flight := string(sum[:]) + strconv.Itoa(epoch)
	done := c.flight.DoChan(flight, func() (any, error) {
		// It is for the others too if this caller leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), judgeTime)
		defer cancel()
		until := now().Add(knownFor)
		v, err := judge(ctx, text)
		k := kept{grant: v.grant, id: v.id, err: err, until: until}
		if err == nil && v.expires.Before(until) {
			k.until = v.expires
		}
		c.keep(sum, k, epoch)
		return k, nil
	})
	select {
	case <-ctx.Done():
		return access.Grant{}, unavailable("wait for the verdict on an access token", ctx.Err())
	case got := <-done:
		k, ok := got.Val.(kept)
		if !ok {
			return access.Grant{}, fmt.Errorf("find out about an access token: %w", got.Err)
		}
		return k.grant, k.err
	}
}

// find returns what is known of a token.
func (c *cache) find(sum digest, now time.Time) (kept, int, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.good[sum]
	if !ok {
		k, ok = c.bad[sum]
	}
	return k, c.epoch, ok && now.Before(k.until)
}

// keep keeps k, unless something was forgotten since epoch or nothing was found
// out.
func (c *cache) keep(sum digest, k kept, epoch int) {
	o := fhir.AsOutcome(k.err)
	if k.err != nil && (o == nil || o.Class != fhir.Unauthorized) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		return
	}
	delete(c.good, sum)
	delete(c.bad, sum)
	into, most := c.good, maxGood
	if k.err != nil {
		into, most = c.bad, maxBad
	}
	makeRoom(into, most)
	into[sum] = k
}

// makeRoom drops an entry of m if there are as many as there may be: any one,
// since each is worth five seconds at most.
func makeRoom(m map[digest]kept, most int) {
	for sum := range m {
		if len(m) < most {
			return
		}
		delete(m, sum)
	}
}

// forget drops what is known of tokens of a grant, also what is being found
// out.
func (c *cache) forget(grant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for sum, k := range c.good {
		if k.id == grant {
			delete(c.good, sum)
		}
	}
}
