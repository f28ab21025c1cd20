package api

import (
	"net/http"
	"net/netip"
	"testing"
)

// TestD20ForwardedFor: only a proxy of ours is believed, and only as far as the
// first address that is none of ours.
func TestD20ForwardedFor(t *testing.T) {
	t.Parallel()
	ours := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		proxies   Proxies
		remote    string
		forwarded []string
		want      string
	}{
		{nil, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{ours, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{ours, "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{ours, "10.0.0.1:1", nil, "10.0.0.1"},
		{ours, "10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1"}, // the first was sent by the client
		{ours, "10.0.0.1:1", []string{"192.0.2.66", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{ours, "10.0.0.1:1", []string{"198.51.100.1, x"}, "10.0.0.1"},
		{ours, "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{ours, "[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{ours, "10.0.0.1:1", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2"},
		{ours, "pipe", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := tt.proxies.Address(r).String(); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}
