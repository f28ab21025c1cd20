package bulk_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// patience bounds the wait for a job.
const patience = time.Minute

// A world is a database with an engine on it.
type world struct {
	testing.TB
	dsn      string
	database *pgtest.Database
	store    *store.DB
	engine   *interaction.Engine
	bulk     *bulk.Engine

	mu     sync.Mutex
	grants map[string]access.Grant
}

// newWorld starts an engine.
func newWorld(t testing.TB, c bulk.Config) *world {
	t.Helper()
	w := open(t, pgtest.New(t), c)
	w.run(w.bulk)
	return w
}

// open opens a database without working on jobs.
func open(t testing.TB, database *pgtest.Database, c bulk.Config) *world {
	t.Helper()
	w := &world{TB: t, dsn: database.DSN, database: database, grants: map[string]access.Grant{}}
	db, err := store.Open(t.Context(), store.Config{DSN: w.dsn, Conns: 6, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w.store, w.engine = db, interaction.New(interaction.Config{Store: db})
	w.bulk = w.server(c)
	return w
}

// server returns a further engine on the database of w.
func (w *world) server(c bulk.Config) *bulk.Engine {
	w.Helper()
	c.Store, c.Engine, c.DSN, c.Grants = w.store, w.engine, w.dsn, w.grantOf
	if c.Lease == 0 {
		c.Lease = time.Second
	}
	c.Log = slog.New(slog.NewTextHandler(w.Output(), nil))
	e, err := bulk.New(c)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { e.Close() })
	return e
}

// run has e work until the test ends, or stop is called.
func (w *world) run(e *bulk.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return stop
}

func (w *world) grantOf(_ context.Context, holder string) (access.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if holder == access.LocalHolder {
		return access.Trusted("test"), nil
	}
	g, ok := w.grants[holder]
	if !ok {
		return g, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "This has ended.")
	}
	return g, nil
}

// backend returns the grant of a client for some scopes; it sees everything but what
// has one of some labels, or with parties only what has one of these.
func (w *world) backend(client string, scopes []access.Scope, at access.Standing) access.Grant {
	g := access.NewGrant(access.Terms{Client: client, Holder: client, Scopes: scopes, Standings: map[access.Context]access.Standing{access.ForSystem: at}})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants[client] = g
	return g
}

func (w *world) trusted() access.Grant { return access.Trusted("test") }

func (w *world) session() *interaction.Session {
	return w.engine.For(w.trusted(), interaction.Origin{Request: "test"})
}

// put stores a resource.
func (w *world) put(body string) interaction.Result {
	w.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		w.Fatal(err)
	}
	done, err := w.session().Update(w.Context(), r.ID(), r, store.Anything)
	if err != nil {
		w.Fatal(err)
	}
	return done
}

func (w *world) delete(typ, id string) {
	w.Helper()
	if _, err := w.session().Delete(w.Context(), fhir.Key{Type: typ, ID: id}, store.Anything); err != nil {
		w.Fatal(err)
	}
}

// export begins an export, and fails the test if it is refused.
func (w *world) export(g access.Grant, x bulk.Export) string {
	w.Helper()
	id, err := w.bulk.Export(w.Context(), g, interaction.Origin{Request: "test"}, x)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// await returns a job when it is done.
func (w *world) await(g access.Grant, id string) *bulk.Job {
	w.Helper()
	j := w.ended(g, id)
	if j.Failed != nil {
		w.Fatalf("the job has failed: %s", j.Failed)
	}
	return j
}

// ended returns a job when it has ended.
func (w *world) ended(g access.Grant, id string) *bulk.Job {
	w.Helper()
	late := time.After(patience)
	for {
		j, err := w.bulk.Find(w.Context(), g, id)
		if o := fhir.AsOutcome(err); err != nil && (o == nil || o.Class != fhir.Busy) && !isAway(err) {
			w.Fatal(err)
		}
		if err == nil && j.Wait == 0 {
			return j
		}
		select {
		case <-late:
			w.Fatalf("the job does not end: %v, %v", j, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fetch returns the content of a file.
func (w *world) fetch(g access.Grant, id, name string) string {
	w.Helper()
	f, err := w.bulk.Open(w.Context(), g, interaction.Origin{Request: "test"}, id, name)
	if err != nil {
		w.Fatal(err)
	}
	var text strings.Builder
	if err := f.Each(w.Context(), func(b []byte) error { text.Write(b); return nil }); err != nil {
		w.Fatal(err)
	}
	if n := strings.Count(text.String(), "\n"); int64(n) != f.Count {
		w.Errorf("%s has %d lines, not %d", name, n, f.Count)
	}
	return text.String()
}

// A content is what an export has: versions by Type/id, and what was deleted.
type content struct {
	versions map[string]string
	deleted  []string
	names    []string
	sum      string // of all files
}

// content fetches all files of an export. It fails if anything is there twice.
func (w *world) content(g access.Grant, j *bulk.Job) content {
	w.Helper()
	c := content{versions: map[string]string{}}
	sum := sha256.New()
	for _, f := range j.Files {
		text := w.fetch(g, j.ID, f.Name)
		fmt.Fprintf(sum, "%s %s %d\n%s", f.Name, f.Kind, f.Count, text)
		c.names = append(c.names, f.Name)
		for line := range strings.Lines(text) {
			var r struct {
				ResourceType, ID string
				Meta             struct{ VersionID, LastUpdated string }
				Entry            []struct{ Request struct{ Method, URL string } }
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				w.Fatalf("%s: %v: %s", f.Name, err, line)
			}
			if f.Kind == "deleted" {
				c.deleted = append(c.deleted, r.Entry[0].Request.URL)
				continue
			}
			name := r.ResourceType + "/" + r.ID
			if _, twice := c.versions[name]; twice || r.Meta.LastUpdated == "" {
				w.Errorf("%s is there twice, or has no meta: %s", name, line)
			}
			c.versions[name] = r.Meta.VersionID
		}
	}
	slices.Sort(c.deleted)
	c.sum = hex.EncodeToString(sum.Sum(nil))
	return c
}

// exported exports x and returns what it has.
func (w *world) exported(g access.Grant, x bulk.Export) content {
	w.Helper()
	return w.content(g, w.await(g, w.export(g, x)))
}

func (c content) String() string {
	list := slices.Sorted(maps.Keys(c.versions))
	for _, d := range c.deleted {
		list = append(list, "-"+d)
	}
	return strings.Join(list, " ")
}

func isAway(err error) bool {
	_, away := err.(*store.Unavailable)
	return away
}

func refused(t *testing.T, err error, class fhir.Class, says string) {
	t.Helper()
	if o := fhir.AsOutcome(err); o == nil || o.Class != class || !strings.Contains(o.Error(), says) {
		t.Errorf("%v, want class %d and %q", err, class, says)
	}
}
