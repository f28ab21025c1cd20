package dispatch

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// A mailServer takes e-mail, as far as RFC 5321 asks for it.
type mailServer struct {
	net.Listener
	tls    *tls.Config // nil offers no STARTTLS
	answer string      // to RCPT; "250 ok" if empty
	user   string      // and password that AUTH PLAIN wants; empty for none

	mu    sync.Mutex
	mails []received
}

type received struct {
	from, to, data string
	secure         bool
}

func newMailServer(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{Listener: l}
	change(s)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return s
}

// serve has one conversation.
func (s *mailServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(line string) { io.WriteString(conn, line+"\r\n") }
	var m received
	known := s.user == ""
	say("220 test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, rest, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250-test")
			if s.tls != nil && !m.secure {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			conn, m = tls.Server(conn, s.tls), received{secure: true}
			r = bufio.NewReader(conn)
		case "AUTH":
			word, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if known = string(word) == "\x00"+s.user; !known {
				say("535 no")
				continue
			}
			say("235 welcome")
		case "MAIL":
			if m.from = rest; !known {
				say("530 who are you")
				continue
			}
			say("250 ok")
		case "RCPT":
			m.to = rest
			if s.answer != "" {
				say(s.answer)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				m.data += strings.TrimPrefix(line, ".")
			}
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what")
		}
	}
}

func (s *mailServer) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

// ownTLS returns the two sides of TLS with a server named localhost.
func ownTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func letterTo(to string) Message {
	return Message{Key: "k1", ID: "out-1", Channel: consultation.ChannelEmail, To: to, Subject: "Neue Nachricht für Sie – ß", Text: "Grüße\n.\n..und Punkte\r\n\r\nEnde " + strings.Repeat("ö", 200)}
}

// TestSMTP sends a message in TLS to a real server, and reads it there as it was written.
func TestSMTP(t *testing.T) {
	t.Parallel()
	theirs, ours := ownTLS(t)
	server := newMailServer(t, func(s *mailServer) { s.tls, s.user = theirs, "me\x00secret" })
	s, err := NewSMTP("smtp://me@"+strings.Replace(server.Addr().String(), "127.0.0.1", "localhost", 1), "Praxis Müller <messages@example.org>", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s.trust = ours
	m := letterTo("ann@example.org")
	r, err := s.Send(t.Context(), m)
	if err != nil || !r.Final {
		t.Fatal(r, err)
	}
	got := server.all()
	if len(got) != 1 || !got[0].secure || got[0].to != "TO:<ann@example.org>" || !strings.HasPrefix(got[0].from, "FROM:<messages@example.org>") {
		t.Fatalf("%+v", got)
	}
	mail, err := mail.ReadMessage(strings.NewReader(got[0].data))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(mail.Body))
	if err != nil || strings.ReplaceAll(strings.TrimSuffix(string(body), "\r\n"), "\r\n", "\n") != strings.ReplaceAll(m.Text, "\r\n", "\n") {
		t.Errorf("%q %v", body, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(mail.Header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("%q %v", subject, err)
	}
	from, err := mail.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Praxis Müller" || mail.Header.Get("Message-ID") != "<k1@example.org>" || mail.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v %v", mail.Header, err)
	}
}

// TestSMTPRefuses says which failures are final.
func TestSMTPRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer string
		to     string
		final  bool
	}{
		{"no such person", "550 no such user", "ann@example.org", true},
		{"come back", "451 <ann@example.org> is greylisted", "ann@example.org", false},
		{"a header in the address", "", "ann@example.org\r\nBcc: bob@example.org", true},
		{"two addresses", "", "ann@example.org, bob@example.org", true},
		{"a name", "", "Ann <ann@example.org>", true},
		{"nobody", "", "", true},
	} {
		server := newMailServer(t, func(s *mailServer) { s.answer = c.answer })
		s, err := NewSMTP("smtp://"+server.Addr().String(), "messages@example.org", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), letterTo(c.to)); err == nil || errors.Is(err, ErrRejected) != c.final {
			t.Errorf("%s: %v", c.name, err)
		} else if strings.Contains(err.Error(), "ann@") {
			t.Errorf("%s: the error, which is logged, names the patient: %v", c.name, err)
		}
		if got := server.all(); len(got) > 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestSMTPNeedsTLS gives nothing to a server elsewhere that offers no TLS, or shows a certificate
// that is not its own.
func TestSMTPNeedsTLS(t *testing.T) {
	t.Parallel()
	theirs, _ := ownTLS(t)
	for name, change := range map[string]func(*mailServer){"no TLS": func(*mailServer) {}, "another's certificate": func(s *mailServer) { s.tls = theirs }} {
		server := newMailServer(t, change)
		s, err := NewSMTP("smtp://"+server.Addr().String(), "messages@example.org", "")
		if err != nil {
			t.Fatal(err)
		}
		s.plain = false // as a server elsewhere
		if _, err := s.Send(t.Context(), letterTo("ann@example.org")); err == nil || errors.Is(err, ErrRejected) || len(server.all()) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSMTPGivesUp does not wait for a server that says nothing.
func TestSMTPGivesUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := NewSMTP("smtp://"+l.Addr().String(), "messages@example.org", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, letterTo("ann@example.org")); err == nil {
		t.Error("it was sent")
	}
}

// TestNewSMTP refuses what is no mail server and no sender.
func TestNewSMTP(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"http://mail.example.org", "a@example.org"}, {"smtp://", "a@example.org"}, {"smtp://me:secret@mail.example.org", "a@example.org"},
		{"smtp://mail.example.org/x", "a@example.org"}, {"smtp://mail.example.org", "nobody"}, {"smtp://mail.example.org", "a@example.org\r\nBcc: b@example.org"},
	} {
		if _, err := NewSMTP(c[0], c[1], ""); err == nil {
			t.Errorf("%q", c)
		}
	}
	s, err := NewSMTP("smtps://me@mail.example.org", "A <a@example.org>", "x")
	if err != nil || s.address != "mail.example.org:465" || !s.immediate || s.plain || s.user != "me" {
		t.Errorf("%+v %v", s, err)
	}
}

// FuzzCompose holds that no text of a message can write a header.
func FuzzCompose(f *testing.F) {
	f.Add("subject", "text")
	f.Add("a\r\nBcc: x@example.org", "\r\n.\r\nMAIL FROM:<x@example.org>\r\n")
	f.Add("ß\x00", "=3D\n.")
	s, err := NewSMTP("smtp://localhost", "A <a@example.org>", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subject, text string) {
		mail, err := mail.ReadMessage(strings.NewReader(string(s.compose(Message{Key: "k", To: "b@example.org", Subject: subject, Text: text}))))
		if err != nil || len(mail.Header) != 9 {
			t.Fatalf("%q %q: %v %v", subject, text, mail, err)
		}
	})
}
