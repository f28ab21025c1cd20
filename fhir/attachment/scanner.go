package attachment

import "context"

// A Verdict is what a scanner found. The zero Verdict is that content cannot be judged,
// which is no reason to trust it.
type Verdict uint8

// The verdicts.
const (
	Unjudged Verdict = iota // such as content that is more than the scanner takes
	Harmless
	Harmful
)

// A Scanner says whether content is harmful. It is safe for use by any number of
// goroutines.
type Scanner interface {
	// Scan judges content, which it does not change. An error means that the scanner
	// cannot be asked now, and content has to wait.
	Scan(ctx context.Context, content []byte) (Verdict, error)
}
