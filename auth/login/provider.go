package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// A Provider is another OpenID provider that people may sign in at.
type Provider struct {
	Name         string          // in addresses: a-z, 0-9 and "-"
	Display      string          // on the button; empty means Name
	Issuer       string          // its address, as its discovery document says it
	ClientID     string          // what it knows this server by
	ClientSecret string          // empty with Key
	Key          jose.JSONWebKey // private key for private_key_jwt, with kid and alg; zero: ClientSecret
	Scopes       []string        // beside openid: "profile", "nationalrbacaccess"
	Claim        string          // that identifies the person: "nhs_number"; of the ID token, or else of the userinfo
	System       string          // that the claim's values are identifiers of: "https://fhir.nhs.uk/Id/nhs-number"
	Link         string          // whom they identify: "Patient" or "Practitioner"
	ACR          []string        // values of acr of which one is needed to open a record; nil: any
	VOT          []string        // likewise of vot: "P9.Cp.Cd"
}

// Label returns what the button of p says.
func (p Provider) Label() string {
	if p.Display != "" {
		return p.Display
	}
	return p.Name
}

var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (p Provider) check() error {
	issuer, err := url.Parse(p.Issuer)
	switch {
	case !providerName.MatchString(p.Name):
		return errors.New("its name is up to 63 of a-z, 0-9 and -")
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && issuer.Scheme != "http":
		return errors.New("its issuer is an http or https address")
	case p.ClientID == "":
		return errors.New("it needs a client id")
	case p.Claim == "" || p.System == "":
		return errors.New("it needs a claim and the identifier system of the claim's values")
	case p.Link != "Patient" && p.Link != "Practitioner":
		return errors.New("it links to Patient or Practitioner")
	case (p.ClientSecret == "") == (p.Key.Key == nil):
		return errors.New("it needs either a client secret or a private key")
	case p.Key.Key != nil && (!p.Key.Valid() || p.Key.IsPublic() || p.Key.Algorithm == ""):
		return errors.New("its key is a private one with an algorithm (alg)")
	}
	return nil
}

// assured reports whether a provider is sure enough who it is, by the ID token.
func (p Provider) assured(acr, vot string) bool {
	return (p.ACR == nil || slices.Contains(p.ACR, acr)) && (p.VOT == nil || slices.Contains(p.VOT, vot))
}

// An upstream is a provider with what it says of itself, once that was asked.
type upstream struct {
	Provider
	callback string
	client   *http.Client

	once   sync.Mutex
	remote *oidc.Provider
}

// discovered returns what the provider says of itself. It asks again as long as
// the provider does not answer.
func (u *upstream) discovered(ctx context.Context) (*oidc.Provider, error) {
	u.once.Lock()
	defer u.once.Unlock()
	if u.remote != nil {
		return u.remote, nil
	}
	// The key set keeps this context, so it may not end with the request.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), u.client), u.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the OpenID provider %s: %w", u.Name, err)
	}
	u.remote = p
	return p, nil
}

func (u *upstream) oauth(p *oidc.Provider) *oauth2.Config {
	c := &oauth2.Config{ClientID: u.ClientID, ClientSecret: u.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: u.callback, Scopes: append([]string{oidc.ScopeOpenID}, u.Scopes...)}
	if u.Key.Key != nil {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return c
}

// departure returns the address to send a browser to.
func (u *upstream) departure(p *oidc.Provider, state, nonce, verifier string) (string, error) {
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if len(u.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(u.ACR, " ")))
	}
	if len(u.VOT) > 0 {
		vtr, err := json.Marshal(u.VOT)
		if err != nil {
			return "", fmt.Errorf("write the vectors of trust: %w", err)
		}
		options = append(options, oauth2.SetAuthURLParam("vtr", string(vtr)))
	}
	return u.oauth(p).AuthCodeURL(state, options...), nil
}
