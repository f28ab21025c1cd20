package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A socket is a client that listens to subscriptions.
type socket struct {
	t    *testing.T
	base string
	*websocket.Conn
}

// binding returns a word for subscriptions, and where to say it.
func binding(t *testing.T, base, token string, ids ...string) (word, address string) {
	t.Helper()
	a := askAt(t, base, token, "GET Subscription/$get-ws-binding-token?ids="+strings.Join(ids, ","), "")
	if a.status != http.StatusOK {
		t.Fatalf("ask for a binding token: %d %s", a.status, a.body)
	}
	list, _ := a.tree["parameter"].([]any)
	for _, p := range list {
		p, _ := p.(map[string]any)
		switch p["name"] {
		case "token":
			word, _ = p["valueString"].(string)
		case "websocket-url":
			address, _ = p["valueUrl"].(string)
		}
	}
	return word, address
}

// openSocket connects, and says text.
func openSocket(t *testing.T, base, address, text string) *socket {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() }) // it may have ended
	conn.SetReadLimit(1 << 22)
	s := &socket{t, base, conn}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// listen binds a new socket to subscriptions; after may be empty.
func listen(t *testing.T, base, token, after string, ids ...string) *socket {
	t.Helper()
	word, address := binding(t, base, token, ids...)
	return openSocket(t, base, address, strings.TrimSpace("bind-with-token "+word+" "+after))
}

// next returns the next notification.
func (s *socket) next() notice {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, text, err := s.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := readNotice(string(text), s.base)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// take takes so many notifications after a handshake, and returns what they are
// about with their numbers.
func (s *socket) take(n int) (all []string) {
	s.t.Helper()
	if first := s.next(); first.kind != "handshake" || first.status != "active" {
		s.t.Errorf("it begins with %+v", first)
	}
	for range n {
		for _, x := range s.next().events {
			all = append(all, fmt.Sprintf("%d %s", x.number, x.focus))
		}
	}
	return all
}

// ends waits until the server has closed the socket, and checks how.
func (s *socket) ends(status websocket.StatusCode, says string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		_, text, err := s.Read(ctx)
		if err == nil {
			s.t.Logf("before its end it says %.200s", text)
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != status || !strings.Contains(closed.Reason, says) {
			s.t.Errorf("it ends by %v, want %d %s", err, status, says)
		}
		return
	}
}

// TestSocket has clients listen to subscriptions: to what comes, and to what has
// come after an event that they name.
func TestSocket(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	parties(t, s.base, "")
	work := subscribing{criteria: "task-changed", content: "full-resource"}.subscribe(t, s.base, "")
	all := subscribing{criteria: "Task?owner=Organization/practice"}.subscribe(t, s.base, "")
	live := listen(t, s.base, "", "", work)
	if first := live.next(); first.kind != "handshake" || first.last != 0 || first.subscription != "Subscription/"+work {
		t.Errorf("it begins with %+v", first)
	}
	for _, status := range []string{"requested", "accepted", "in-progress", "completed"} {
		put(t, s.base, "", "Task/a", workItem("a", status))
	}
	for n, status := range []string{"accepted", "in-progress", "completed"} {
		got := live.next()
		if !slices.Equal(got.events, []told{{int64(n + 1), "Task/a"}}) || !slices.Equal(got.resources, []string{"Task/a " + status}) {
			t.Errorf("event %d is %+v", n+1, got)
		}
	}
	if got := listen(t, s.base, "", "1", work).take(2); !slices.Equal(got, []string{"2 Task/a", "3 Task/a"}) {
		t.Errorf("after the first event there is %v", got)
	}
	both := listen(t, s.base, "", "0", work, all)
	numbers := map[string][]int64{}
	for range 2 + 3 + 4 {
		n := both.next()
		for _, x := range n.events {
			numbers[n.subscription] = append(numbers[n.subscription], x.number)
		}
	}
	if !slices.Equal(numbers["Subscription/"+work], []int64{1, 2, 3}) || !slices.Equal(numbers["Subscription/"+all], []int64{1, 2, 3, 4}) {
		t.Errorf("two subscriptions have the events %v", numbers)
	}
	if a := askAt(t, s.base, "", "PATCH Subscription/"+work, ""); a.status < 400 {
		t.Errorf("an empty patch is answered with %d", a.status)
	}
	if a := askAt(t, s.base, "", "DELETE Subscription/"+work, ""); a.status >= 300 {
		t.Errorf("it is not deleted: %d %s", a.status, a.body)
	}
	live.ends(websocket.StatusPolicyViolation, "deleted")
}

// TestSocketRefused says what opens no subscription: a word that was used, or is
// none, and anything else.
func TestSocketRefused(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	id := subscribing{criteria: "task-changed"}.subscribe(t, s.base, "")
	word, address := binding(t, s.base, "", id)
	openSocket(t, s.base, address, "bind-with-token "+word).take(0)
	for text, says := range map[string]string{
		"bind-with-token " + word:        "was used",
		"bind-with-token " + id:          "unknown",
		"bind-with-token":                "Say bind-with-token",
		"bind-with-token " + word + " x": "Say bind-with-token",
		"bind " + id:                     "Say bind-with-token",
	} {
		openSocket(t, s.base, address, text).ends(websocket.StatusPolicyViolation, says)
	}
	openSocket(t, s.base, address, strings.Repeat("x", 2000)).ends(websocket.StatusMessageTooBig, "")
}

// TestSocketAccessEnds takes away what sockets were opened with: they end without
// anything happening, and others stay.
func TestSocketAccessEnds(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	grace, system := c.as("practitioner grace user/*.cruds"), c.as("client practice-system organizations=practice system/*.cruds")
	id := subscribing{criteria: "Observation?status=final"}.subscribe(t, c.base, system)
	hers, theirs := listen(t, c.base, grace, "", id), listen(t, c.base, system, "", id)
	hers.take(0)
	theirs.take(0)
	c.measure("first")
	for _, s := range []*socket{hers, theirs} {
		if n := s.next(); !slices.Equal(n.events, []told{{1, ""}}) {
			t.Errorf("the first event is %+v", n)
		}
	}
	c.role(false)
	hers.ends(websocket.StatusPolicyViolation, "not yours")
	c.measure("second")
	if n := theirs.next(); n.last != 2 {
		t.Errorf("the second event is %+v", n)
	}
	client, err := c.door.authority.Client(t.Context(), "practice-system")
	if err != nil {
		t.Fatal(err)
	}
	client.Active = false
	if err := c.door.authority.UpdateClient(t.Context(), *client); err != nil {
		t.Fatal(err)
	}
	theirs.ends(websocket.StatusPolicyViolation, "has ended")
}

// TestSocketStops stops a server on which sockets are open, bound and not.
func TestSocketStops(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	id := subscribing{criteria: "task-changed"}.subscribe(t, s.base, "")
	bound := listen(t, s.base, "", "", id)
	bound.take(0)
	_, address := binding(t, s.base, "", id)
	conn, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	idle := &socket{t, s.base, conn}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		bound.ends(websocket.StatusGoingAway, "stopping")
		idle.ends(websocket.StatusGoingAway, "stopping")
	}()
	s.restart()
	<-ended
	put(t, s.base, "", "Task/a", workItem("a", "requested"))
	put(t, s.base, "", "Task/a", workItem("a", "accepted"))
	if got := listen(t, s.base, "", "0", id).take(1); !slices.Equal(got, []string{"1 Task/a"}) {
		t.Errorf("after the restart there is %v", got)
	}
}

// TestSocketSlow has a client listen and take nothing: it is cut off, and another
// gets all of it.
func TestSocketSlow(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	parties(t, s.base, "")
	id := subscribing{criteria: "message-received", content: "full-resource"}.subscribe(t, s.base, "")
	word, address := binding(t, s.base, "", id)
	var slow net.Conn
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		slow = conn
		return conn, conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}}}
	conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // it was cut off
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("bind-with-token "+word)); err != nil {
		t.Fatal(err)
	}
	quick := listen(t, s.base, "", "", id)
	quick.take(0)
	text := strings.Repeat("long ", 200_000)
	for n := range 12 {
		key := fmt.Sprintf("Communication/c%d", n)
		put(t, s.base, "", key, fmt.Sprintf(`{"resourceType":"Communication","id":"c%d","status":"completed","recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":%q}]}`, n, text))
		if got := quick.next(); !slices.Equal(got.events, []told{{int64(n + 1), key}}) {
			t.Fatalf("event %d is about %v", n+1, got.events)
		}
	}
	pong := []byte{0x8A, 0x80, 0, 0, 0, 0} // a frame that may be sent at any time, and says nothing
	await(t, "the client that takes nothing is cut off", func() bool {
		if err := slow.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			return true
		}
		_, err := slow.Write(pong)
		return err != nil
	})
}
