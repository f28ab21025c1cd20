package interaction

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Changes is what a Grant is asked about for the feed: who may search some type gets
// the changes of such types.
const Changes access.Interaction = "changes"

// feedRetention is how old a cursor of the feed may become.
const feedRetention = 30 * 24 * time.Hour

// A Feed asks for changes, and may wait for some.
type Feed struct {
	store.Feed
	NotSelf bool          // leaves out what the caller has written
	Wait    time.Duration // how long to wait at most while there is nothing

	// Idle runs something that waits without what the request holds meanwhile. Nil
	// just runs it.
	Idle func(wait func()) error
}

// Changes returns a page of the feed, as far as the caller sees it. If there is
// nothing it waits as long as f says, or until the server stops, and then returns an
// empty page. A first page always comes at once.
func (s *Session) Changes(ctx context.Context, f Feed) (store.FeedPage, error) {
	if err := s.mayFollowFeed(f.Types); err != nil {
		return store.FeedPage{}, err
	}
	if f.NotSelf {
		f.NotOrigin = s.grant.Client()
	}
	if f.Retention == 0 {
		f.Retention = feedRetention
	}
	p, err := s.awaited(ctx, f)
	if p, err = s.followed(ctx, f, p, err); err != nil {
		return store.FeedPage{}, err
	}
	for i := range p.Entries {
		if v, _ := s.shown(&p.Entries[i].Version, nil); v != &p.Entries[i].Version {
			p.Entries[i].Version = *v
		}
	}
	return p, nil
}

// mayFollowFeed returns an Outcome unless the caller may search each of some types,
// or some type at all without any.
func (s *Session) mayFollowFeed(types []string) error {
	for _, typ := range types {
		if s.keepsAudit(typ) {
			return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http._type", "AuditEvents are kept apart from resources, and are not in the feed; search for them with date and _sort=date.")
		}
		if err := s.Allow(Changes, fhir.Key{Type: typ}); err != nil {
			return err
		}
	}
	if len(types) > 0 {
		return nil
	}
	return s.Allow(Changes, fhir.Key{})
}

// unwatched is how often it is looked for changes while nobody watches for them.
const unwatched = 500 * time.Millisecond

// awaited returns the first page that has something, or the last one when it is time.
func (s *Session) awaited(ctx context.Context, f Feed) (store.FeedPage, error) {
	end := time.Now().Add(f.Wait)
	for {
		f.Now = s.clock()
		var watch *store.Watch
		if f.Wait > 0 {
			watch = s.store.Watch(s.grant, f.Feed)
		}
		p, err := s.store.Changes(ctx, s.grant, f.Feed)
		left := time.Until(end)
		if err != nil || f.Wait == 0 || len(p.Entries) > 0 || p.More || p.Snapshot || left <= 0 || watch.Ended() {
			watch.Stop()
			return p, err
		}
		err = idle(f, func() { s.await(ctx, watch, left) })
		watch.Stop()
		if err != nil || ctx.Err() != nil {
			return p, err
		}
		f.After = p.Next
	}
}

func idle(f Feed, wait func()) error {
	if f.Idle == nil {
		wait()
		return nil
	}
	return f.Idle(wait)
}

// await waits for a change, but not for ever.
func (s *Session) await(ctx context.Context, watch *store.Watch, left time.Duration) {
	if !s.store.Pulses() {
		left = min(left, unwatched)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-watch.Change():
	case <-timer.C:
	}
}

// followed records that the caller has read a page of the feed, unless it goes on from
// one before and has nothing.
func (s *Session) followed(ctx context.Context, f Feed, p store.FeedPage, err error) (store.FeedPage, error) {
	k := fhir.Key{}
	if len(f.Types) == 1 {
		k.Type = f.Types[0]
	}
	t := s.trail(Changes, k)
	if t == nil || err == nil && f.After != "" && len(p.Entries) == 0 {
		return p, err
	}
	t.Detail = map[string]string{queryDetail: "$changes"}
	if len(f.Types) > 0 {
		t.Detail[queryDetail] += "?_type=" + url.QueryEscape(strings.Join(f.Types, ","))
	}
	versions := make([]store.Version, len(p.Entries))
	for i := range p.Entries {
		versions[i] = p.Entries[i].Version
	}
	var failed error
	if t.Patients, failed = s.patientsIn(ctx, s.store, nil, versions); failed == nil {
		failed = s.record(ctx, t, err)
	}
	if failed != nil {
		return store.FeedPage{}, failed
	}
	return p, err
}
