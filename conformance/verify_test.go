package conformance_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// A kept version is one that the server shows.
type kept struct {
	key     string
	version int
	marker  string
	content string
}

// verify holds everything that the server at base shows against the ledger. It
// returns how many acknowledged writes are lost, and how many of those in doubt
// are there.
func (l *ledger) verify(base string) (lost, appeared int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]kept{} // by marker
	histories := map[string][]kept{}
	for _, typ := range types {
		for _, k := range walk(l.t, base+"/"+typ+"/_history?_count=1000") {
			l.checkKept(k, found)
			histories[k.key] = append(histories[k.key], k)
		}
	}
	for marker, s := range l.sent {
		k, ok := found[marker]
		if s.fate == doubtful && ok {
			appeared++
		}
		if s.fate == stored && (!ok || k.version != s.version || s.key != "" && k.key != s.key) {
			lost++
			l.t.Errorf("write %s was acknowledged as version %d of %s; the server has version %d of %q", marker, s.version, s.key, k.version, k.key)
		}
	}
	checkResources(l.t, base, histories)
	return lost, appeared
}

// checkKept makes sure that a version is one that was sent, wholly and once.
func (l *ledger) checkKept(k kept, found map[string]kept) {
	s := l.sent[k.marker]
	switch other, twice := found[k.marker]; {
	case s == nil:
		l.t.Errorf("version %d of %s was never sent", k.version, k.key)
		return
	case twice:
		l.t.Errorf("write %s made version %d of %s and version %d of %s", k.marker, other.version, other.key, k.version, k.key)
	case s.fate == refused:
		l.t.Errorf("write %s was refused and made version %d of %s", k.marker, k.version, k.key)
	case s.content != k.content:
		l.t.Errorf("version %d of %s is not what was sent\nsent %s\ngot  %s", k.version, k.key, s.content, k.content)
	}
	found[k.marker] = k
}

// checkResources reads every resource in each of the ways there are: now, by
// version, and its history. They must agree, and no version may be missing.
func checkResources(t *testing.T, base string, histories map[string][]kept) {
	var group errgroup.Group
	group.SetLimit(8)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	defer client.CloseIdleConnections()
	for key, list := range histories {
		slices.SortFunc(list, func(a, b kept) int { return a.version - b.version })
		group.Go(func() error {
			for i, k := range list {
				if k.version != i+1 {
					return fmt.Errorf("%s has version %d after %d", key, k.version, i)
				}
				if err := expectRead(client, fmt.Sprintf("%s/%s/_history/%d", base, key, k.version), k); err != nil {
					return err
				}
			}
			if err := expectRead(client, base+"/"+key, list[len(list)-1]); err != nil {
				return err
			}
			own := walk(t, base+"/"+key+"/_history")
			slices.Reverse(own)
			if !slices.Equal(own, list) {
				return fmt.Errorf("the history of %s is %v; that of its type says %v", key, own, list)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// expectRead reads an address and compares it with k.
func expectRead(client *http.Client, url string, k kept) error {
	x, err := request{method: http.MethodGet, path: url}.send(client, "")
	if err != nil {
		return err
	}
	tag := fmt.Sprintf(`W/"%d"`, k.version)
	if x.status != http.StatusOK || x.header.Get("ETag") != tag || contentText(x.tree) != k.content {
		return fmt.Errorf("GET %s is not version %d, %s\n%s", url, k.version, k.content, x)
	}
	return nil
}

// contentText is canonical for a resource that is decoded.
func contentText(tree any) string {
	members, ok := tree.(map[string]any)
	if !ok {
		return ""
	}
	copied := map[string]any{}
	for name, value := range members {
		if name != "id" && name != "meta" {
			copied[name] = value
		}
	}
	text, err := json.Marshal(copied)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// walk returns all versions of a history, page by page.
func walk(t *testing.T, url string) []kept {
	t.Helper()
	var list []kept
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer client.CloseIdleConnections()
	for url != "" {
		x, err := request{method: http.MethodGet, path: url}.send(client, "")
		if err != nil {
			t.Error(err)
			return list
		}
		if x.status != http.StatusOK {
			t.Errorf("GET %s\n%s", url, x)
			return list
		}
		var page historyPage
		if err := json.Unmarshal([]byte(x.answer), &page); err != nil {
			t.Errorf("GET %s: %v", url, err)
			return list
		}
		for _, e := range page.Entry {
			list = append(list, e.kept(t))
		}
		url = page.next()
	}
	return list
}

// A historyPage is a Bundle of versions.
type historyPage struct {
	Link  []struct{ Relation, URL string }
	Entry []historyEntry
}

type historyEntry struct {
	FullURL  string
	Resource json.RawMessage
	Response struct{ ETag string }
}

// next returns the address of the next page, or "".
func (p historyPage) next() string {
	for _, l := range p.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

func (e historyEntry) kept(t *testing.T) kept {
	t.Helper()
	_, key, _ := strings.Cut(e.FullURL, "/fhir/")
	k := kept{key: key, marker: markerOf(e.Resource), content: canonical(t, e.Resource)}
	if _, err := fmt.Sscanf(e.Response.ETag, `W/"%d"`, &k.version); err != nil {
		t.Errorf("history entry of %s has the ETag %q", key, e.Response.ETag)
	}
	return k
}

// invariants are questions to the tables that must have the answer 0.
var invariants = map[string]string{
	"search rows without their version":           `SELECT count(*) FROM res r LEFT JOIN ver v ON v.rid = r.rid AND v.ver = r.ver WHERE v.rid IS NULL`,
	"versions without a search row":               `SELECT count(*) FROM ver v LEFT JOIN res r ON r.rid = v.rid WHERE r.rid IS NULL`,
	"search rows that differ from their version":  `SELECT count(*) FROM res r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver WHERE (r.id, r.type, r.updated, r.hash, r.deleted) IS DISTINCT FROM (v.id, v.type, v.updated, v.hash, v.op = 'D')`,
	"resources with a gap between their versions": `SELECT count(*) FROM (SELECT FROM ver GROUP BY rid HAVING min(ver) <> 1 OR max(ver) <> count(*)) q`,
	"resources with a version after the current":  `SELECT count(*) FROM ver v JOIN res r ON r.rid = v.rid WHERE v.ver > r.ver`,
	"versions that are not newer than the former": `SELECT count(*) FROM ver a JOIN ver b ON b.rid = a.rid AND b.ver = a.ver + 1 WHERE b.updated <= a.updated OR b.seq <= a.seq`,
	"positions in the feed that are given twice":  `SELECT count(*) FROM (SELECT FROM ver GROUP BY seq HAVING count(*) > 1) q`,
}

// checkTables asks the private database in dir for everything that must not be.
func checkTables(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("postgres", privateDSN(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var group sync.WaitGroup
	for what, query := range invariants {
		group.Go(func() {
			var n int
			if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		})
	}
	group.Wait()
}

// privateDSN is how to reach the private database that a server runs in dir.
func privateDSN(dir string) string {
	return fmt.Sprintf("host='%s' user=openconsult dbname=openconsult sslmode=disable", filepath.Join(dir, "run"))
}
