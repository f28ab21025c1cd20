package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A watchBook tells what of a feed was printed. Its file is a line of JSON with the page
// that is being printed, which the server would not give a second time as it was, and
// behind that a dot for each entry of it that was printed.
type watchBook struct {
	path    string // empty keeps none
	out     io.Writer
	output  *os.File // nil for standard output
	dots    *os.File
	printed int // entries of Page

	Asked string          `json:"asked"`          // address of the first page
	Next  string          `json:"next"`           // of the page to fetch, or of the one that is held
	Page  json.RawMessage `json:"page,omitempty"` // nil: all of it was printed
	Size  int64           `json:"size"`           // of --output before the page
}

// openWatch takes up what o names, or begins it.
func openWatch(o *watchOptions, first string) (*watchBook, error) {
	b := &watchBook{path: o.state, out: os.Stdout, Asked: first, Next: first}
	if err := b.read(); err != nil {
		return nil, err
	}
	if b.Asked != first {
		return nil, fmt.Errorf("%s is of something else that was watched (%s): name another file with --state", b.path, b.Asked)
	}
	if o.output != "" {
		if err := b.openOutput(o.output); err != nil {
			return nil, err
		}
	}
	return b, b.reopen()
}

func (b *watchBook) read() error {
	if b.path == "" {
		return nil
	}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read --state: %w", err)
	}
	head, dots, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(head, b); err != nil {
		return fmt.Errorf("read --state %s: %w", b.path, err)
	}
	b.printed = len(dots)
	return nil
}

// openOutput opens the file to append to. What is in it says how much of the page was
// printed.
func (b *watchBook) openOutput(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open --output: %w", err)
	}
	b.output, b.out = f, f
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open --output: %w", err)
	}
	if _, err := os.Stat(b.path); b.path == "" || errors.Is(err, fs.ErrNotExist) {
		b.Size = info.Size()
	}
	if info.Size() < b.Size {
		return fmt.Errorf("%s is shorter than when this was broken off: --state %s does not belong to it", path, b.path)
	}
	behind, err := io.ReadAll(io.NewSectionReader(f, b.Size, info.Size()-b.Size))
	if err != nil {
		return fmt.Errorf("read --output: %w", err)
	}
	whole := int64(bytes.LastIndexByte(behind, '\n') + 1)
	b.printed = bytes.Count(behind, []byte("\n"))
	if b.Page == nil {
		whole, b.printed = int64(len(behind)), 0
	}
	if err := f.Truncate(b.Size + whole); err != nil {
		return fmt.Errorf("go on with --output: %w", err)
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("go on with --output: %w", err)
	}
	return nil
}

// turn holds another page, or none; next is its address.
func (b *watchBook) turn(next string, page []byte) error {
	b.Next, b.Page, b.printed = next, nil, 0
	if page != nil {
		b.Page = page
	}
	if b.output != nil {
		size, err := b.output.Seek(0, io.SeekEnd)
		if err := errors.Join(err, b.output.Sync()); err != nil {
			return fmt.Errorf("write --output: %w", err)
		}
		b.Size = size
	}
	if b.path == "" {
		return nil
	}
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("write --state: %w", err)
	}
	if err := replaceFile(b.path, append(text, '\n')); err != nil {
		return err
	}
	return b.reopen()
}

// reopen opens the file to append dots.
func (b *watchBook) reopen() error {
	if b.dots != nil {
		_ = b.dots.Close()
		b.dots = nil
	}
	if b.path == "" {
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open --state: %w", err)
	}
	b.dots = f
	return nil
}

// print prints a change and remembers that.
func (b *watchBook) print(c change) error {
	if err := printLine(b.out, c); err != nil {
		return err
	}
	b.printed++
	if b.dots == nil || b.output != nil {
		return nil
	}
	if _, err := b.dots.Write([]byte{'.'}); err != nil {
		return fmt.Errorf("write --state: %w", err)
	}
	return nil
}

// control prints a line that is no change.
func (b *watchBook) control(line map[string]string) error { return printLine(b.out, line) }

// close closes the files.
func (b *watchBook) close() error {
	var problems []error
	for _, f := range []*os.File{b.dots, b.output} {
		if f != nil {
			problems = append(problems, f.Close())
		}
	}
	return errors.Join(problems...)
}
