package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// Where the demo listens.
const (
	hookPath    = "/hook/" // and the id of who has subscribed
	gatewayPath = "/gateway"
)

// An ear listens on this machine: for what subscribers are told, and as the gateway that
// messages are given to.
type ear struct {
	base     string // its address
	secret   string // that notifications are signed with
	messages []byte // the secret that messages are
	server   *http.Server

	mu      sync.Mutex
	known   map[string]bool     // deliveries that have come, which may come again
	notices []notice            // not yet taken
	letters []map[string]string // all of them
	faults  []string
}

// A notice is an event that somebody was told of.
type notice struct{ who, topic, focus string }

func (n notice) String() string { return n.topic + " " + n.focus }

// listenLocally begins to listen on a free port.
func listenLocally(messages []byte) (*ear, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for notifications: %w", err)
	}
	e := &ear{base: "http://" + l.Addr().String(), secret: rand.Text(), messages: messages, known: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+hookPath+"{who}", e.hear)
	mux.HandleFunc("POST "+gatewayPath, e.take)
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = e.server.Serve(l) }() // it ends when it is closed
	return e, nil
}

func (e *ear) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := e.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop listening: %w", err)
	}
	return nil
}

// hear takes a notification.
func (e *ear) hear(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case !e.signed(body, r.Header.Get("X-Signature")):
		e.faults = append(e.faults, "a notification is not signed with the secret of its subscription")
		w.WriteHeader(http.StatusForbidden)
	case e.known[r.Header.Get("X-Delivery-Id")]:
	default:
		e.known[r.Header.Get("X-Delivery-Id")] = true
		told, err := readNotices(body)
		if err != nil {
			e.faults = append(e.faults, err.Error())
		}
		for _, n := range told {
			n.who = r.PathValue("who")
			e.notices = append(e.notices, n)
		}
	}
}

// signed reports whether a body was signed with the secret: "t=seconds,v1=HMAC".
func (e *ear) signed(body []byte, signature string) bool {
	at, mac, ok := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	return ok && hmac.Equal([]byte(mac), []byte(macOf(e.secret, at+"."+string(body))))
}

// macOf returns the HMAC-SHA256 of a text in hexadecimal digits.
func macOf(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

// readNotices reads the events of a notification.
func readNotices(body []byte) ([]notice, error) {
	r, err := fhir.Decode("Bundle", body)
	if err != nil {
		return nil, fmt.Errorf("a notification is no Bundle: %w", err)
	}
	a := heard{tree: r}
	const state = "entry[0].resource.parameter"
	_, topic, _ := strings.Cut(a.text(state+".where(name='topic').value"), "/SubscriptionTopic/")
	foci, err := a.values(state + ".where(name='notification-event').part.where(name='focus').value.reference")
	var all []notice
	for _, focus := range foci {
		all = append(all, notice{topic: topic, focus: focus})
	}
	return all, err
}

// notice takes an event that somebody was told of, and reports whether there was one.
func (e *ear) notice(n notice) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.notices, n)
	if i >= 0 {
		e.notices = slices.Delete(e.notices, i, i+1)
	}
	return i >= 0
}

// noticesOf lists what somebody was told and nobody has taken, and what was wrong.
func (e *ear) noticesOf(who string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.faults)
	for _, n := range e.notices {
		if n.who == who {
			all = append(all, n.String())
		}
	}
	return all
}

func (e *ear) fault(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, text)
}

// wrong returns what was wrong with what has come.
func (e *ear) wrong() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.faults)
}

// take is the gateway.
func (e *ear) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var letter map[string]string
	if err != nil || !dispatch.Signed(e.messages, body, r.Header.Get(dispatch.SignatureHeader)) || json.Unmarshal(body, &letter) != nil {
		w.WriteHeader(http.StatusForbidden)
		e.fault("a message for the gateway is not signed with its secret")
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.letters = append(e.letters, letter)
	w.WriteHeader(http.StatusAccepted)
}

// lettersOf returns what the gateway was given of a message for a channel, once for each key.
func (e *ear) lettersOf(message, channel string) []map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []map[string]string
	for _, l := range e.letters {
		again := slices.ContainsFunc(all, func(o map[string]string) bool { return o["key"] == l["key"] })
		if l["message"] == message && l["channel"] == channel && !again {
			all = append(all, l)
		}
	}
	return all
}
