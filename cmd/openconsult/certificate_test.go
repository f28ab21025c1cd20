package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pemFiles writes a certificate and its key.
func pemFiles(t *testing.T) (cert, key string) {
	t.Helper()
	c, err := ownCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert = writeFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})))
	return cert, writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	cert, key := pemFiles(t)
	_, other := pemFiles(t)
	nowhere := filepath.Join(t.TempDir(), "none.pem")
	for _, tt := range []struct {
		s    settings
		want string // in the error; empty for none
	}{
		{settings{}, ""},
		{settings{TLS: "dev"}, ""},
		{settings{TLSCert: cert, TLSKey: key}, ""},
		{settings{TLSCert: cert}, "go together"},
		{settings{TLSKey: key}, "go together"},
		{settings{TLS: "dev", TLSCert: cert, TLSKey: key}, "not both"},
		{settings{TLS: "yes"}, "dev only"},
		{settings{TLSCert: cert, TLSKey: other}, "does not match"},
		{settings{TLSCert: key, TLSKey: cert}, "read the certificate"},
		{settings{TLSCert: nowhere, TLSKey: key}, "no such file"},
	} {
		c, err := certificate(&tt.s)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.s, err, tt.want)
		}
		if secure := tt.s.TLS != "" || tt.s.TLSCert != ""; err == nil && (c != nil) != secure {
			t.Errorf("%+v: a certificate: %v", tt.s, c != nil)
		}
	}
}

func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c, err := ownCertificate(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if leaf.IsCA || now.Before(leaf.NotBefore) || leaf.NotAfter.After(now.AddDate(1, 0, 0)) {
		t.Errorf("CA %v, from %v to %v", leaf.IsCA, leaf.NotBefore, leaf.NotAfter)
	}
}

// TestSecured serves over TLS and tries every version of it.
func TestSecured(t *testing.T) {
	t.Parallel()
	c, err := ownCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	go func() { done <- run(ctx, secured(l, c), hello, func() {}, slog.New(slog.DiscardHandler)) }()
	for version, want := range map[uint16]string{tls.VersionTLS10: "", tls.VersionTLS11: "", tls.VersionTLS12: "HTTP/2.0", tls.VersionTLS13: "HTTP/2.0"} {
		client := &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			// The certificate is its own authority.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version},
		}}
		resp, err := client.Get("https://" + l.Addr().String())
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
			continue
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		client.CloseIdleConnections()
		if string(got) != want {
			t.Errorf("%s: %s, want %q", tls.VersionName(version), got, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
