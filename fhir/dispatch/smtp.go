package dispatch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// An SMTP sends e-mail by a mail server. What that server takes counts as
// delivered, since nothing more is heard of it.
// https://www.rfc-editor.org/rfc/rfc5321
type SMTP struct {
	address   string // host:port
	host      string
	from      mail.Address
	user      string
	password  string
	immediate bool        // TLS from the start
	plain     bool        // no TLS at all: on this machine only
	trust     *tls.Config // nil for that of the system
	now       func() time.Time
}

// smtpTime is how long one e-mail may take.
const smtpTime = 20 * time.Second

// NewSMTP returns what sends e-mail by the server at an address, smtp://host:587
// with STARTTLS or smtps://host:465, from somebody. A user stands in the address, and
// their password is given. Without TLS nothing is sent, but to this machine.
func NewSMTP(address, from, password string) (*SMTP, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("the address of a mail server is smtp://host:587 or smtps://host:465, with user@ in front of the host if it has users")
	}
	if _, inside := u.User.Password(); inside {
		return nil, errors.New("the password for the mail server does not stand in its address: give it in a file")
	}
	sender, err := mail.ParseAddress(from)
	if err != nil || strings.ContainsAny(from, "\r\n") {
		return nil, errors.New("the sender of e-mail is an address, such as Practice <messages@example.org>")
	}
	s := &SMTP{host: u.Hostname(), from: *sender, user: u.User.Username(), password: password, immediate: u.Scheme == "smtps", now: time.Now}
	ip := net.ParseIP(s.host)
	s.plain = !s.immediate && (s.host == "localhost" || ip != nil && ip.IsLoopback())
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "465", false: "587"}[s.immediate]
	}
	s.address = net.JoinHostPort(s.host, port)
	return s, nil
}

// Send sends m.
func (s *SMTP) Send(ctx context.Context, m Message) (Acceptance, error) {
	to, err := mail.ParseAddress("<" + m.To + ">")
	if err != nil || to.Address != m.To || m.Channel != consultation.ChannelEmail {
		return Acceptance{}, rejected("not an address of e-mail")
	}
	ctx, cancel := context.WithTimeout(ctx, smtpTime)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return Acceptance{}, err
	}
	defer c.Close()
	if err := s.hand(c, m); err != nil {
		return Acceptance{}, err
	}
	_ = c.Quit() // it has the message
	return Acceptance{Final: true}, nil
}

// connect greets the server, in TLS, as the user.
func (s *SMTP) connect(ctx context.Context) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("reach the mail server: %w", err)
	}
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until) // of a TCP connection it does not fail
	}
	if s.immediate {
		conn = tls.Client(conn, s.tls())
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the mail server: %w", err)
	}
	if err := s.enter(c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (s *SMTP) tls() *tls.Config {
	if s.trust != nil {
		return s.trust
	}
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
}

func (s *SMTP) enter(c *smtp.Client) error {
	offered, _ := c.Extension("STARTTLS")
	switch {
	case s.immediate:
	case offered:
		if err := c.StartTLS(s.tls()); err != nil {
			return fmt.Errorf("start TLS with the mail server: %w", err)
		}
	case !s.plain:
		return errors.New("the mail server offers no STARTTLS, so it gets no messages")
	}
	if s.user == "" {
		return nil
	}
	if err := c.Auth(smtp.PlainAuth("", s.user, s.password, s.host)); err != nil {
		return fmt.Errorf("sign in at the mail server: %w", err)
	}
	return nil
}

// hand gives the server m.
func (s *SMTP) hand(c *smtp.Client, m Message) error {
	if err := c.Mail(s.from.Address); err != nil {
		return fmt.Errorf("name the sender to the mail server: %w", err)
	}
	if err := c.Rcpt(m.To); err != nil {
		return judged("name the recipient to the mail server", err)
	}
	w, err := c.Data()
	if err != nil {
		return judged("give the mail server a message", err)
	}
	if _, err := w.Write(s.compose(m)); err != nil {
		return fmt.Errorf("give the mail server a message: %w", err)
	}
	if err := w.Close(); err != nil {
		return judged("give the mail server a message", err)
	}
	return nil
}

// judged returns an error that is final if the server says so. Of what the server says it has
// the number only: the text repeats the address of the recipient, and errors are logged.
func judged(what string, err error) error {
	answer, ok := errors.AsType[*textproto.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w", what, err)
	case answer.Code >= 500:
		return rejected("the mail server answered with %d", answer.Code)
	}
	return fmt.Errorf("%s: the mail server answered with %d", what, answer.Code)
}

// compose returns m as an e-mail. The headers have nothing in them that could be
// read as another one: addresses are parsed, and other text is encoded.
// https://www.rfc-editor.org/rfc/rfc5322 https://www.rfc-editor.org/rfc/rfc2045
func (s *SMTP) compose(m Message) []byte {
	var b bytes.Buffer
	host := s.from.Address[strings.LastIndexByte(s.from.Address, '@')+1:]
	for _, h := range [][2]string{
		{"From", s.from.String()},
		{"To", (&mail.Address{Address: m.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Date", s.now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.Key + "@" + host + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	// Neither fails when it writes to memory.
	_, _ = w.Write([]byte(strings.ReplaceAll(m.Text, "\r\n", "\n")))
	_ = w.Close()
	return b.Bytes()
}
