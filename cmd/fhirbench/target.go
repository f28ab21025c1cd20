package main

import "context"

// kind is an interaction of the RESTful API.
type kind int

const (
	create kind = iota
	read
	vread
	update
	remove
	kinds
)

// String returns the interaction's code in http://hl7.org/fhir/restful-interaction.
func (k kind) String() string {
	return [kinds]string{"create", "read", "vread", "update", "delete"}[k]
}

// op is one request, said in the words of FHIR and not in those of a transport.
type op struct {
	kind     kind
	typeName string
	id       string
	version  string
	body     []byte
}

// answer is what a target said to an op.
type answer struct {
	status int
	// bytes is the size of the body received.
	bytes int64
	// id and version name the resource that a write left behind; they are empty where the target did not say.
	id, version string
	// text is the beginning of the body of an answer that is not a success.
	text string
}

func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// target is what is put under load. It must be safe for concurrent use. An error means that there was no answer.
type target interface {
	do(ctx context.Context, o op) (answer, error)
	// close gives back what the target holds.
	close()
}
