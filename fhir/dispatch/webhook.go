package dispatch

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// SignatureHeader has the signature of a body, of what is sent to a gateway and of
// its callbacks: see [Sign].
const SignatureHeader = "X-Signature"

// Sign returns the signature of a body: "sha256=" and the HMAC-SHA256 by the secret
// in hexadecimal digits.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Signed reports whether a signature is that of a body, in a time that tells
// nothing. Without a secret nothing is signed.
func Signed(secret, body []byte, signature string) bool {
	return len(secret) > 0 && hmac.Equal([]byte(Sign(secret, body)), []byte(strings.TrimSpace(signature)))
}

// A Webhook gives messages to a gateway by HTTP: a POST of JSON
//
//	{"key": "…", "message": "…", "channel": "sms", "to": "07700900123", "subject": "…", "text": "…"}
//
// with the signature in [SignatureHeader] and the key in Idempotency-Key too. The
// gateway answers with any 2xx, and may name its own id as {"id": "…"}. With 408,
// 425, 429, 5xx, and less than 200 or 3xx it is asked again; with another status the
// message is rejected.
type Webhook struct {
	URL    string
	Secret []byte
	Client *http.Client // must refuse addresses that the server may not call, and redirects
}

// wireMessage is a [Message] as a gateway gets it.
type wireMessage struct {
	Key     string `json:"key"`
	Message string `json:"message"`
	Channel string `json:"channel"`
	To      string `json:"to"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
}

// mostAnswer is how many bytes of an answer are read.
const mostAnswer = 64 << 10

// Send posts m.
func (w *Webhook) Send(ctx context.Context, m Message) (Acceptance, error) {
	body, err := json.Marshal(wireMessage{m.Key, m.ID, string(m.Channel), m.To, m.Subject, m.Text})
	if err != nil {
		return Acceptance{}, fmt.Errorf("write a message for a gateway: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return Acceptance{}, fmt.Errorf("make a request to a gateway: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "openconsult")
	req.Header.Set("Idempotency-Key", m.Key)
	req.Header.Set(SignatureHeader, Sign(w.Secret, body))
	resp, err := w.Client.Do(req)
	if err != nil {
		return Acceptance{}, fmt.Errorf("call a gateway: %w", err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, mostAnswer)) // what is missing has no id
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return Acceptance{ID: gatewayID(answer)}, nil
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests, s >= 500, s < 400:
		return Acceptance{}, fmt.Errorf("a gateway answered with the status %d", s)
	default:
		return Acceptance{}, rejected("the gateway answered with the status %d", s)
	}
}

// gatewayID returns the id in the answer of a gateway, "" for none.
func gatewayID(answer []byte) string {
	var a struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(answer, &a) != nil || len(a.ID) > 200 {
		return ""
	}
	return strings.ToValidUTF8(strings.ReplaceAll(a.ID, "\x00", ""), "")
}
