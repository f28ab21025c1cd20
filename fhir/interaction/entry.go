package interaction

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// An Entry is one request of a Bundle, or a request by itself that is to be
// repeatable or to be tried out. https://hl7.org/fhir/R4/http.html#transaction
type Entry struct {
	Method      string // "GET", "HEAD", "POST", "PUT", "PATCH" or "DELETE"
	FullURL     string
	Key         fhir.Key       // what the address names; without an ID for a create and where Conditional
	Criteria    string         // of a conditional PUT, PATCH or DELETE the query, of a POST ifNoneExist
	Conditional bool           // Criteria count, though they may be empty
	Expect      store.Expect   // ifMatch; store.Absent for an ifNoneMatch of *
	Resource    *fhir.Resource // of a POST and a PUT
	Patch       *Change
	Reading     *Reading // of a GET and a HEAD

	// Problem is an Outcome that says why the entry cannot be understood. It is the
	// answer to that entry of a batch; a transaction that has one is refused.
	Problem error
}

// A Reading is what a GET asks for: a page of a search if there is one, and
// otherwise a version of the resource that the Key of its Entry names.
type Reading struct {
	Version     int // 0 is the current one
	Page        *Page
	IfNoneMatch int // a version that is not sent again; 0 is none
}

// A Reply answers one Entry.
type Reply struct {
	Result             // of a write or a read
	Method      string // of the Entry
	Read        bool   // it answers a GET or HEAD
	NotModified bool   // the version is the one that IfNoneMatch has
	Found       *Found // of a search
	Err         error  // in a batch: an Outcome or a fault, instead of all else
}

// A Bundle is several entries that belong together.
type Bundle struct {
	Entries []Entry
	Single  bool           // the one entry is a request by itself: problems do not name it, and its links stay
	Dry     bool           // say what would happen, and let none of it happen
	Past    bool           // history is loaded: finished things, about which nobody is notified
	Receipt *store.Receipt // kept with what is written, for a repetition; nil for none. The Session fills in the Holder

	// Compose renders the answer that is kept as Receipt.Body, where entries read
	// something. It is nil where the results of writes say all of the answer.
	Compose func([]Reply) ([]byte, error)
}

// A Repeat is what is kept of a request that was performed before. Its replies
// are what they were, but for those that the caller may not read any more, which
// are Hidden.
type Repeat struct {
	Asked, Body []byte // of the [store.Receipt]
	Replies     []Reply
}
