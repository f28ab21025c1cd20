package auth

import (
	"encoding/json"
	"errors"
	"fmt"
)

// holder is how the claims are written that outlast a token.
type holder struct {
	Subject       string   `json:"sub"`
	Client        string   `json:"client"`
	Grant         string   `json:"grant,omitempty"`
	Scope         string   `json:"scope"`
	Patient       string   `json:"patient,omitempty"`
	FHIRUser      string   `json:"user,omitempty"`
	Organizations []string `json:"organizations,omitempty"`
}

// Holder returns what of c outlasts the token: by it what the token grants can be
// found out anew, when a subscription or a job goes on without a request. It is
// empty for a token of another issuer, of which nobody here is told when it ends.
func (c Claims) Holder() string {
	if !c.OwnIssuer {
		return ""
	}
	// Strings can always be written.
	text, _ := json.Marshal(holder{c.Subject, c.Client, c.Grant, c.Scope, c.Patient, c.FHIRUser, c.Organizations})
	return string(text)
}

// ParseHolder returns the claims that Holder wrote.
func ParseHolder(text string) (Claims, error) {
	var h holder
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return Claims{}, fmt.Errorf("read a holder: %w", err)
	}
	if h.Client == "" || h.Subject == "" {
		return Claims{}, errors.New("read a holder: it names nobody")
	}
	return Claims{
		OwnIssuer: true, Subject: h.Subject, Client: h.Client, Grant: h.Grant, Scope: h.Scope,
		Patient: h.Patient, FHIRUser: h.FHIRUser, Organizations: h.Organizations,
	}, nil
}

// IsBackend reports whether c is of a client that acts for itself.
func (c Claims) IsBackend() bool { return c.FHIRUser == "" && c.Subject == c.Client }
