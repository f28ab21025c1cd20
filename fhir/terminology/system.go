package terminology

import "context"

// A system is a code system that can be asked: in memory, in tables, or one of those
// that have a grammar instead of a list.
type system interface {
	head() *header
	// concept returns a concept; nil when there is none of that code.
	concept(ctx context.Context, code string) (*concept, error)
	// subsumes reports whether ancestor is descendant or above it.
	subsumes(ctx context.Context, ancestor, descendant string) (bool, error)
	// pick returns the concepts that a selection asks for, in the order of the code
	// system, and how many there are without its Offset and Count. A system without
	// a list returns an Outcome (too-costly) when the selection does not name codes.
	pick(ctx context.Context, s selection) ([]concept, int, error)
	// holds reports whether all filters hold for a code.
	holds(ctx context.Context, code string, all []filter) (bool, error)
}

// A header is what is known of a code system as a whole.
type header struct {
	url           string
	version       string
	name          string
	title         string
	content       string // "complete", "fragment", "example", "not-present", "supplement"
	caseSensitive bool
	hierarchy     string // hierarchyMeaning; empty is is-a
	count         int    // of concepts; 0 when there is no list
	language      string // of the displays; may be empty
	supplements   string // canonical URL of the code system that a supplement adds to
}

// A concept is one code.
type concept struct {
	code         string
	display      string
	definition   string
	parents      []string
	inactive     bool
	abstract     bool // notSelectable
	designations []designation
	properties   []property
}

// A designation is another word for a concept.
type designation struct {
	language string
	use      Coding
	value    string
}

// A property is something that is said of a concept.
type property struct {
	code  string
	kind  string // "code", "Coding", "string", "integer", "boolean", "dateTime", "decimal"
	value string // of a Coding: system|code
}

// A filter is one of ValueSet.compose.include.filter.
type filter struct {
	property string
	op       string // "=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "exists"
	value    string
}

// A selection says which concepts of a code system are wanted.
type selection struct {
	codes   []string // only these, in this order; nil is all
	filters []filter // that all hold
	text    string   // words that all begin a word of the display, a designation or the code; empty is no restriction
	active  bool     // without those that are inactive
	offset  int
	count   int // at most; negative is no bound
}
