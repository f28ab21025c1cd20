package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// callbackPath begins the addresses that channels call: /callback/sms.
const callbackPath = "/callback/"

// maxCallback bounds the body of a callback.
const maxCallback = 8 << 10

// callbackTime is how long a callback may take to arrive.
const callbackTime = 10 * time.Second

// A wireCallback is what a channel says of a message.
type wireCallback struct {
	Key     string    `json:"key"`
	Message string    `json:"message"`
	Event   string    `json:"event"`
	At      time.Time `json:"at"`
}

// called answers the callbacks of channels, which are outside of the API: who calls shows
// by a signature of the body that it is the provider.
func (s *Server) called(next http.Handler) http.Handler {
	if s.config.Dispatch == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		channel, ours := strings.CutPrefix(r.URL.Path, callbackPath)
		if !ours {
			next.ServeHTTP(w, r)
			return
		}
		noteRoute(r, callbackPath+":channel")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeOutcome(w, http.StatusMethodNotAllowed, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "Channels call this address with POST."))
			return
		}
		if err := s.callback(w, r, consultation.Channel(channel)); err != nil {
			s.failCallback(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// callback takes one callback. The signature is looked at before anything in the body is.
func (s *Server) callback(w http.ResponseWriter, r *http.Request, channel consultation.Channel) error {
	// Recorders of tests have no deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(callbackTime))
	if r.ContentLength > maxCallback {
		return tooLarge(maxCallback)
	}
	if err := take(r.Context(), s.small, maxCallback); err != nil {
		return fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "The server has too much to do; say it again later.")
	}
	defer s.small.Release(maxCallback)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return tooLarge(maxCallback)
	}
	if err != nil {
		return fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The body did not arrive; send it again.")
	}
	if !dispatch.Signed(s.config.Dispatch.Secret(channel), body, r.Header.Get(dispatch.SignatureHeader)) {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "The signature in %s is not that of the body.", dispatch.SignatureHeader)
	}
	if s.config.Writable != nil {
		if err := s.config.Writable(); err != nil {
			return err
		}
	}
	said, err := readCallback(body)
	if err != nil {
		return err
	}
	return s.config.Dispatch.Hear(r.Context(), dispatch.Callback{
		Channel: channel, Key: said.Key, Message: said.Message, Event: consultation.Event(said.Event), At: said.At,
	})
}

// readCallback reads the body of a callback: one JSON object and nothing that is not known.
func readCallback(body []byte) (wireCallback, error) {
	var said wireCallback
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&said)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil || strings.ContainsRune(said.Key+said.Message, 0) {
		return said, fhir.Errorf(fhir.BadRequest, fhir.Structure, "", `Send one object with key, message, event and at, such as {"key":"k1","message":"…","event":"delivered","at":"2026-01-31T09:00:00Z"}.`)
	}
	return said, nil
}

// failCallback answers with what err stands for.
func (s *Server) failCallback(w http.ResponseWriter, r *http.Request, err error) {
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) == 0 {
		s.config.Log.ErrorContext(r.Context(), "a callback failed", "error", err)
		o = fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The server could not keep what was said; say it again later.")
	}
	status := statuses[o.Class]
	if status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage {
		w.Header().Set("Retry-After", "5")
	}
	writeOutcome(w, status, o)
}
