package oauth

import (
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
)

// A Request is an authorization request that was found good.
type Request struct {
	ID          string // handle for [Server.Asked]; good for 10 minutes, once
	Client      Client
	Scopes      auth.Scopes // what was asked of what the client may have; patient/ scopes imply LaunchPatient
	RedirectURI string
	State       string
	Nonce       string   // of OpenID Connect; may be empty
	Prompt      []string // none, login, consent, select_account
	MaxAge      *time.Duration
	LoginHint   string
	Launch      *Launch // what the EHR has handed over; nil for a standalone launch
	Audience    string  // address of the FHIR API
	Expires     time.Time

	challenge string
	launch    []byte // hash of the handle
}

// NeedsPatient reports whether somebody has to be the patient in context for
// scopes that were chosen from r's, and no launch has said who.
func (r *Request) NeedsPatient(chosen auth.Scopes) bool {
	return needsPatient(chosen) && (r.Launch == nil || r.Launch.Patient == "")
}

// A Decision is the answer of a person to a Request. Who calls Grant has signed
// the person in.
type Decision struct {
	Request   string // its ID
	Account   string // id of the person's account
	Session   string // id of the browser session, which online access ends with; may be empty
	User      fhir.Key
	Patient   string      // id of the patient in context; what the launch says goes before it
	Encounter string      // likewise
	Scopes    auth.Scopes // that the person agrees to: those of the request, fewer, or narrower
	AuthTime  time.Time   // when the person signed in
	ACR       string      // how; may be empty
}

// A Launch is the context that an EHR opens an app with. It is for one client and
// one person.
type Launch struct {
	Client    string   // id of the client to launch
	Account   string   // id of the account that it is for
	User      fhir.Key // or, instead of Account, who it is for
	Patient   string   // id of the patient; empty for none
	Encounter string   // id of the encounter; empty for none
	Intent    string   // what the app is opened for; may be empty
	// NoBanner says that the EHR shows who the patient is, so the app need not.
	NoBanner bool
	Context  []ContextItem // what else is open
}

// A ContextItem is one element of fhirContext. It has one of Reference, Canonical
// and Identifier.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#fhircontext
type ContextItem struct {
	Reference  string         `json:"reference,omitempty"` // relative
	Canonical  string         `json:"canonical,omitempty"`
	Identifier map[string]any `json:"identifier,omitempty"`
	Type       string         `json:"type,omitempty"`
	Role       string         `json:"role,omitempty"` // empty is launch
}

// A Granted is what a person has allowed a client.
type Granted struct {
	ID      string
	Client  string // id
	Name    string // of the client
	Scopes  string
	Patient string // id of the patient in context; empty for none
	Offline bool   // it lasts while the person is away
	Created time.Time
	Used    time.Time // when it last led to a token
	Expires time.Time
}

// A Subject is whom [Server.Issue] makes a token for.
type Subject struct {
	Client        string // id of a client; empty: one that does nothing else and is made when it is missing
	Account       string // id of an account; empty: the client acts for itself
	User          fhir.Key
	Patient       string // id of the patient in context
	Organizations []string
}

// A TokenResponse is what the token endpoint answers.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#response-5
type TokenResponse struct {
	AccessToken  string        `json:"access_token"`
	TokenType    string        `json:"token_type"` // "Bearer"
	ExpiresIn    int           `json:"expires_in"` // seconds
	Scope        string        `json:"scope"`
	IDToken      string        `json:"id_token,omitempty"`
	RefreshToken string        `json:"refresh_token,omitempty"`
	Patient      string        `json:"patient,omitempty"`
	Encounter    string        `json:"encounter,omitempty"`
	FHIRContext  []ContextItem `json:"fhirContext,omitempty"`
	NeedBanner   *bool         `json:"need_patient_banner,omitempty"`
	Intent       string        `json:"intent,omitempty"`
	StyleURL     string        `json:"smart_style_url,omitempty"`

	Client string `json:"-"` // id of the client that it was given to
	Grant  string `json:"-"` // id of what it hangs on
}
