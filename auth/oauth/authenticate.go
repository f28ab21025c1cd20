package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
)

// assertionType is what a client assertion is called.
// https://www.rfc-editor.org/rfc/rfc7523#section-2.2
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// unknownClient is the one answer to whoever fails to authenticate.
func unknownClient() *Error {
	return refused(invalidClient, "The client is not registered, not active, or has not proved who it is in the way that it is registered for.")
}

// basicClient is unknownClient for who has tried HTTP Basic, and is told of that.
func basicClient() *Error {
	e := unknownClient()
	e.Challenge = `Basic realm="client"`
	return e
}

// authenticate returns the client that sends a request, if it proves that, or is
// public. https://www.rfc-editor.org/rfc/rfc6749#section-2.3
func (s *Server) authenticate(ctx context.Context, p params, authorization string) (Client, error) {
	if name := p.twice("client_id", "client_secret", "client_assertion", "client_assertion_type"); name != "" {
		return Client{}, refused(invalidRequest, "%s is there twice.", name)
	}
	ways := 0
	for _, way := range []string{authorization, p.get("client_secret"), p.get("client_assertion") + p.get("client_assertion_type")} {
		if way != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return Client{}, refused(invalidRequest, "The client authenticates in more than one way.")
	case authorization != "":
		return s.byBasic(ctx, p, authorization)
	case p.get("client_secret") != "":
		return s.bySecret(ctx, p.get("client_id"), p.get("client_secret"), unknownClient())
	case ways > 0:
		return s.byAssertion(ctx, p)
	}
	c, err := s.activeClient(ctx, p.get("client_id"))
	if err != nil {
		return Client{}, err
	}
	if c == nil || !c.Public {
		return Client{}, unknownClient()
	}
	return *c, nil
}

func (s *Server) byBasic(ctx context.Context, p params, authorization string) (Client, error) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	id, secret, ok := strings.Cut(string(text), ":")
	if !strings.EqualFold(scheme, "Basic") || err != nil || !ok {
		return Client{}, basicClient()
	}
	// Our ids and secrets are the same with and without this encoding.
	id, badID := url.QueryUnescape(id)
	secret, badSecret := url.QueryUnescape(secret)
	if badID != nil || badSecret != nil || p.get("client_id") != "" && p.get("client_id") != id {
		return Client{}, basicClient()
	}
	return s.bySecret(ctx, id, secret, basicClient())
}

// bySecret returns the client with an id if that is its secret, and else what to
// say.
func (s *Server) bySecret(ctx context.Context, id, secret string, otherwise *Error) (Client, error) {
	c, err := s.activeClient(ctx, id)
	if err != nil {
		return Client{}, err
	}
	if c == nil || c.SecretHash == nil || subtle.ConstantTimeCompare(hashOf(secret), c.SecretHash) != 1 {
		return Client{}, otherwise
	}
	return *c, nil
}
