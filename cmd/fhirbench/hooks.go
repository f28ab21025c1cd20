package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// hooks is the other side of subscriptions: it takes every delivery at once and notes what it was about.
type hooks struct {
	server   *http.Server
	listener net.Listener
	mu       sync.Mutex
	arrived  map[string]time.Time // by Type/id, the first time; guarded by mu
	repeated int64                // guarded by mu
	unknown  int64                // that name no resource, such as a handshake; guarded by mu
}

func openHooks(address string) (*hooks, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for deliveries: %w", err)
	}
	h := &hooks{listener: l, arrived: map[string]time.Time{}}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	// It returns when it is closed.
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *hooks) close() { _ = h.server.Close() }

// endpoint is the address of a subscription's deliveries.
func (h *hooks) endpoint(n int) string { return fmt.Sprintf("http://%s/hook/%d", h.listener.Addr(), n) }

// ServeHTTP takes a delivery: a resource at its own address below the endpoint, or one in a body.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := subjectOf(r.URL.Path, body)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch _, known := h.arrived[key]; {
	case key == "":
		h.unknown++
	case known:
		h.repeated++
	default:
		h.arrived[key] = at
	}
	w.WriteHeader(http.StatusOK)
}

// found returns when each of some resources arrived, without those that have not.
func (h *hooks) found(keys map[string]time.Time) map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[string]time.Time{}
	for key := range keys {
		if at, there := h.arrived[key]; there {
			found[key] = at
		}
	}
	return found
}

// subjectOf finds what a delivery is about: /hook/1/Task/2, or the resource in the body.
func subjectOf(path string, body []byte) string {
	if parts := strings.Split(strings.Trim(path, "/"), "/"); len(parts) == 4 {
		return parts[2] + "/" + parts[3]
	}
	var resource struct{ ResourceType, ID string }
	if json.Unmarshal(body, &resource) != nil || resource.ID == "" || resource.ResourceType == "Bundle" {
		return ""
	}
	return resource.ResourceType + "/" + resource.ID
}

// deadEnd accepts connections and never says anything.
type deadEnd struct {
	listener net.Listener
	mu       sync.Mutex
	held     []net.Conn // guarded by mu
}

func openDeadEnd(address string) (*deadEnd, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen as the dead endpoint: %w", err)
	}
	d := &deadEnd{listener: l}
	go d.accept()
	return d, nil
}

func (d *deadEnd) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.held = append(d.held, c)
		d.mu.Unlock()
	}
}

func (d *deadEnd) endpoint() string { return fmt.Sprintf("http://%s/hook/dead", d.listener.Addr()) }

func (d *deadEnd) asked() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.held))
}

func (d *deadEnd) close() {
	_ = d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.held {
		_ = c.Close()
	}
}

// await waits until all of some resources have arrived, but not for ever, and returns when each did.
func (h *hooks) await(ctx context.Context, keys map[string]time.Time, longest time.Duration) (map[string]time.Time, error) {
	end := time.Now().Add(longest)
	for {
		found := h.found(keys)
		if len(found) == len(keys) || time.Now().After(end) {
			return found, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
