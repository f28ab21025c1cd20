package main

import "testing"

func TestCheckAuth(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"127.0.0.1:8080":           true,
		"127.8.9.10:8080":          true,
		"[::1]:8080":               true,
		"localhost:0":              true,
		"[::ffff:127.0.0.1]:8080":  true,
		"0.0.0.0:8080":             false,
		"[::]:8080":                false,
		":8080":                    false,
		"192.168.1.5:8080":         false,
		"10.0.0.1:8080":            false,
		"localhost.example.org:80": false,
		"fhir.example.org:443":     false,
		"127.0.0.1.nip.io:80":      false,
		"127.0.0.1":                false,
		"[::1%lo]:8080":            false,
		"2130706433:80":            false,
		"":                         false,
	} {
		if err := checkAuth(&settings{Auth: "none", Addr: addr}); (err == nil) != ok {
			t.Errorf("--auth=none --addr %s: %v", addr, err)
		}
	}
	for _, auth := range []string{"", "None", "token"} {
		if err := checkAuth(&settings{Auth: auth, Addr: "127.0.0.1:8080"}); err == nil {
			t.Errorf("--auth=%s is accepted", auth)
		}
	}
}
