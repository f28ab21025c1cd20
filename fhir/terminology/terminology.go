// Package terminology knows code systems, value sets and concept maps: which codes
// there are, what they mean, which of them a value set has, and how they relate.
//
// Code systems are kept in memory, large ones in the tables terminology_system,
// terminology_concept, terminology_above and terminology_set, which it owns. What is not
// known here another terminology server may be asked, if there is one ([Config.External]).
package terminology

import (
	"database/sql"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir/definition"
)

// Config is what a Service works with.
type Config struct {
	Definitions *definition.Catalog
	DB          *sql.DB // of large code systems; nil keeps all in memory
	Large       int     // from how many concepts on a code system is kept in tables; 0 is 10,000

	External string       // base URL of a terminology server that is asked about what is not known here; empty for none
	Client   *http.Client // that asks it
	Token    string       // for it; may be empty
	Now      func() time.Time
}

// A Service answers questions about codes. It may be used by several goroutines.
type Service struct {
	config Config
	tables tables // code systems that are kept in the database
	remote remote // the terminology server that is asked beside it

	lists    definition.Memo[*listed]
	maps     definition.Memo[*conceptMap]
	sets     definition.Memo[*composed]
	computed *recent[computedKey, *page] // expansions

	preparing *semaphore.Weighted // for code systems that are made ready
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{config: c, computed: newRecent[computedKey, *page](maxKept), preparing: semaphore.NewWeighted(1)}
}

// A Coding is a code of a code system.
type Coding struct {
	System  string // empty when it is not said, as for an element of type code
	Version string
	Code    string
	Display string
}

// A Result says whether a code is in a value set.
type Result uint8

// The results. Undecided is the zero value: the value set or the code system is not
// known here, or cannot be asked now.
const (
	Undecided Result = iota
	In
	Out
)

// A Verdict is a Result with its reason.
type Verdict struct {
	Result Result
	Coding Coding // that was found to be in it, with the display of the code system
	Reason string // our stable code of what is wrong: "unknown-code-system", "unknown-code", "not-in-value-set", "value-set-not-found", "value-set-unsupported", "value-set-too-deep", "code-inactive"; empty when nothing is
	Text   string // a sentence for the caller, without patient data; empty when nothing is wrong
}
