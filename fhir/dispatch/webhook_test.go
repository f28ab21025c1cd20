package dispatch

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// TestWebhook posts a signed message, and takes the answers of gateways for what they mean.
func TestWebhook(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef")
	for _, c := range []struct {
		status          int
		answer          string
		id              string
		fails, rejected bool
	}{
		{http.StatusAccepted, `{"id":"g-1"}`, "g-1", false, false},
		{http.StatusOK, `thanks`, "", false, false},
		{http.StatusBadRequest, `{"id":"g-1"}`, "", true, true},
		{http.StatusNotFound, ``, "", true, true},
		{http.StatusTooManyRequests, ``, "", true, false},
		{http.StatusServiceUnavailable, ``, "", true, false},
		{http.StatusFound, ``, "", true, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var m map[string]string
			if err := json.Unmarshal(body, &m); err != nil || m["to"] != "07700900123" || m["text"] != "<Grüße>" || m["message"] != "out-1" || m["channel"] != "sms" || m["key"] != "k1" {
				t.Errorf("%s: %v", body, err)
			}
			if !Signed(secret, body, r.Header.Get(SignatureHeader)) || r.Header.Get("Idempotency-Key") != "k1" || r.Method != http.MethodPost {
				t.Errorf("%v", r.Header)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		}))
		defer server.Close()
		w := &Webhook{URL: server.URL, Secret: secret, Client: server.Client()}
		r, err := w.Send(t.Context(), Message{Key: "k1", ID: "out-1", Channel: consultation.ChannelSMS, To: "07700900123", Text: "<Grüße>"})
		if (err != nil) != c.fails || errors.Is(err, ErrRejected) != c.rejected || r.ID != c.id || r.Final {
			t.Errorf("%d: %+v %v", c.status, r, err)
		}
	}
}

// TestSigned takes the signature of a body by the secret, and nothing else.
func TestSigned(t *testing.T) {
	t.Parallel()
	secret, body := []byte("0123456789abcdef"), []byte(`{"key":"k1"}`)
	good := Sign(secret, body)
	for _, c := range []struct {
		secret    []byte
		body      string
		signature string
		want      bool
	}{
		{secret, string(body), good, true},
		{secret, string(body) + " ", good, false},
		{[]byte("another secret of"), string(body), good, false},
		{secret, string(body), good[:len(good)-1], false},
		{secret, string(body), "", false},
		{nil, string(body), Sign(nil, body), false},
		{[]byte{}, string(body), Sign(nil, body), false},
	} {
		if Signed(c.secret, []byte(c.body), c.signature) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
