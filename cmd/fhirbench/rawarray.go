package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
)

// Arrays as Postgres sends and takes them in binary: the number of dimensions, whether there are NULLs, the type, then of
// the one dimension size and first index, then each element after its length.

const (
	arrayHead  = 20
	firstIndex = 1
	oidInt8    = 20
)

// arrayOf writes an array of elements of a type.
func arrayOf(oid uint32, elements [][]byte) []byte {
	dimensions := uint32(1)
	if len(elements) == 0 {
		dimensions = 0
	}
	b := binary.BigEndian.AppendUint32(nil, dimensions)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, oid)
	if dimensions == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(elements)))
	b = binary.BigEndian.AppendUint32(b, firstIndex)
	for _, e := range elements {
		b = appendSized(b, e)
	}
	return b
}

// elements yields those of an array without NULLs, which share its memory.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(array) < arrayHead {
			return
		}
		for rest := array[arrayHead:]; len(rest) > 0; {
			n := binary.BigEndian.Uint32(rest)
			if !yield(rest[4 : 4+n]) {
				return
			}
			rest = rest[4+n:]
		}
	}
}

// byteArrays takes a bytea[] that has no NULL, which comes as text.
type byteArrays [][]byte

// Scan reads a column.
func (b *byteArrays) Scan(value any) error {
	text, ok := value.([]byte)
	if !ok || len(text) < 2 {
		return fmt.Errorf("%v is no array", value)
	}
	*b = nil
	for part := range strings.SplitSeq(string(text[1:len(text)-1]), ",") {
		part = strings.Trim(part, `"`)
		if part == "" {
			continue
		}
		one, err := hex.DecodeString(strings.TrimLeft(part, `\x`))
		if err != nil {
			return fmt.Errorf("an array of bytes: %w", err)
		}
		*b = append(*b, one)
	}
	return nil
}
