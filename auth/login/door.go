package login

import (
	"net/netip"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// Bounds of what is kept for those who begin to sign in, which anybody may.
const (
	maxBegun    = 200    // by one network in a minute; there may be a whole practice behind one address
	maxNetworks = 10_000 // in a minute
	maxAway     = 10_000 // browsers that have left for a provider and not come back
)

// A door counts who begins to sign in, by network and minute. It is this server's
// alone: what it bounds is work, and not guesses.
type door struct {
	mu     sync.Mutex
	minute time.Time
	begun  map[string]int
}

// enter reports whether one more of a network may begin.
func (d *door) enter(network string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if minute := now.Truncate(time.Minute); d.begun == nil || !minute.Equal(d.minute) {
		d.minute, d.begun = minute, map[string]int{}
	}
	n, known := d.begun[network]
	if n >= maxBegun || !known && len(d.begun) >= maxNetworks {
		return false
	}
	d.begun[network] = n + 1
	return true
}

// Enter counts somebody at the address from who begins to sign in, for whom
// something will be kept. It returns an Outcome of class Busy when there are too
// many of them in a minute.
func (l *Login) Enter(from netip.Addr) error {
	if l.door.enter(network(from), l.now()) {
		return nil
	}
	return fhir.Errorf(fhir.Busy, fhir.Throttled, "", "Too many people begin to sign in from where you are. Wait a minute and try again.")
}
