package subscription

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The headers of what is delivered.
const (
	numberHeader    = "X-Event-Number" // of the newest event in it
	deliveryHeader  = "X-Delivery-Id"  // the same when the same comes again
	signatureHeader = "X-Signature"    // t=<seconds since 1970>,v1=<hex HMAC-SHA256 by the secret of t + "." + body>
)

const (
	defaultTimeout = 10 * time.Second
	mostAnswer     = 64 << 10 // bytes of an answer that are read, and thrown away
)

// A failure is that something did not arrive. It says what the subscriber may
// know, and nothing of what the endpoint has answered but the status.
type failure struct{ text string }

// Error says what has failed.
func (f *failure) Error() string { return f.text }

// send delivers n to the endpoint. What did not arrive is a failure.
func (s *sending) send(ctx context.Context, n *notification) error {
	if s.engine.HTTP == nil {
		return &failure{"This server calls no endpoints."}
	}
	req, err := s.compose(n)
	if err != nil {
		return err
	}
	timeout := defaultTimeout
	if s.channel.timeout > 0 {
		timeout = min(timeout, s.channel.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := s.engine.HTTP.Do(req.WithContext(ctx))
	if err != nil {
		return explain(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, mostAnswer)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return &failure{fmt.Sprintf("The endpoint answered with the status %d.", resp.StatusCode)}
	}
	return nil
}

// explain says why an endpoint could not be called, without telling what there is
// in the network of the server.
func explain(err error) error {
	timeout, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return &failure{"The endpoint did not answer in time."}
	}
	return &failure{"The endpoint cannot be reached, or is none that this server may call."}
}

// compose makes the request that delivers n. Of R4 criteria the resource itself is
// sent to where the endpoint keeps it, or nothing.
// https://hl7.org/fhir/R4/subscription.html#channels
func (s *sending) compose(n *notification) (*http.Request, error) {
	method, url, body := http.MethodPost, s.channel.endpoint, []byte(nil)
	switch {
	case s.topic != nil:
		body = s.engine.render(n)
	case s.channel.mime != "" && len(n.events) > 0:
		t := n.events[0]
		method, url, body = http.MethodPut, strings.TrimRight(url, "/")+"/"+t.key.String(), t.resource
	}
	if len(body) > 0 && s.channel.mime == "application/fhir+xml" {
		r, err := fhir.Decode("", body)
		if err != nil {
			return nil, fmt.Errorf("decode a notification: %w", err)
		}
		body = r.AppendXML(nil)
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, &failure{"The endpoint is no address that can be called."}
	}
	if s.owner.endpoint == s.channel.endpoint {
		for _, h := range s.lines() {
			req.Header.Add(h.name, h.value)
		}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", s.channel.mime)
	}
	req.Header.Set("User-Agent", serverOrigin)
	req.Header.Set(deliveryHeader, n.delivery())
	req.Header.Set(numberHeader, strconv.FormatInt(n.last, 10))
	if s.secret != "" {
		req.Header.Set(signatureHeader, sign(s.secret, s.now, body))
	}
	return req, nil
}

// sign returns the signature of a body that is sent at a time.
func sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
