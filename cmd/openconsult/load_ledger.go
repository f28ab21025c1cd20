package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// saveEvery is how often the state of a load is saved. What is done twice because it
// was not saved changes nothing.
const saveEvery = 500 * time.Millisecond

// A loadState is what a load that goes on has to know.
type loadState struct {
	Run      string           `json:"run"`   // names the load to the server
	Files    string           `json:"files"` // fingerprint of the listing
	Batch    int              `json:"batch"`
	Chunks   int64            `json:"chunks"` // how many are stored without a gap
	Place    place            `json:"place"`  // where they end
	Beyond   map[int64]place  `json:"beyond"` // chunks that are stored behind a gap, and where they end
	Rejected int64            `json:"rejected"`
	Rejects  int64            `json:"rejects"` // bytes of the file of rejected lines
	Reasons  int64            `json:"reasons"` // bytes of the file beside it
	Loaded   map[string]int64 `json:"loaded"`  // by type
}

// A ledger records what of a load is stored and what was rejected, so that it can go on
// after whatever has happened.
type ledger struct {
	path    string // of the state; empty keeps none
	rejects string // path of the rejected lines; the reasons are beside it
	now     func() time.Time

	mu        sync.Mutex
	state     loadState
	lines     *os.File
	reasons   *os.File
	saved     time.Time
	resources int64
}

// openLedger takes up the load that path tells of, or begins one.
func openLedger(path, rejects string, fresh loadState) (*ledger, error) {
	l := &ledger{path: path, rejects: rejects, now: time.Now, state: fresh}
	l.state.Run, l.state.Beyond, l.state.Loaded = rand.Text(), map[int64]place{}, map[string]int64{}
	b, err := os.ReadFile(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return l, errors.Join(removeIfThere(rejects), removeIfThere(rejects+".reasons"), l.save())
	}
	if err != nil {
		return nil, fmt.Errorf("read --state: %w", err)
	}
	var s loadState
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read --state %s: %w", path, err)
	}
	if s.Files != fresh.Files {
		return nil, fmt.Errorf("what is to be loaded has changed since %s was begun: remove that file to load it from the beginning", path)
	}
	if s.Beyond == nil {
		s.Beyond = map[int64]place{}
	}
	if s.Loaded == nil {
		s.Loaded = map[string]int64{}
	}
	l.state = s
	for _, n := range s.Loaded {
		l.resources += n
	}
	return l, l.openRejects()
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the rejected lines of an earlier load: %w", err)
	}
	return nil
}

// begun reports whether a chunk is stored.
func (l *ledger) begun(number int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, beyond := l.state.Beyond[number]
	return beyond || number < l.state.Chunks
}

// resumed reports whether the load goes on.
func (l *ledger) resumed() bool { return l.state.Chunks > 0 || len(l.state.Beyond) > 0 }

// A verdict is what became of a chunk.
type verdict struct {
	stored   map[string]int64 // by type
	rejected []rejection
}

// A rejection is a line that was not stored, and why, as an OperationOutcome.
type rejection struct {
	raw    []byte
	reason []byte
}

// acknowledge records that a chunk is stored, but for what was rejected of it.
func (l *ledger) acknowledge(c *chunk, v *verdict) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.reject(v.rejected); err != nil {
		return err
	}
	s := &l.state
	for typ, n := range v.stored {
		s.Loaded[typ] += n
		l.resources += n
	}
	s.Rejected += int64(len(v.rejected))
	s.Beyond[c.number] = c.end
	for {
		end, ok := s.Beyond[s.Chunks]
		if !ok {
			break
		}
		delete(s.Beyond, s.Chunks)
		s.Chunks, s.Place = s.Chunks+1, end
	}
	if l.now().Sub(l.saved) < saveEvery {
		return nil
	}
	return l.save()
}

// reject writes rejected lines, and on the same line of another file why.
func (l *ledger) reject(all []rejection) error {
	if len(all) == 0 {
		return nil
	}
	if err := l.openRejects(); err != nil {
		return err
	}
	var lines, reasons bytes.Buffer
	for _, r := range all {
		lines.Write(oneLine(r.raw))
		lines.WriteByte('\n')
		reasons.Write(oneLine(r.reason))
		reasons.WriteByte('\n')
	}
	if _, err := l.lines.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("write --rejects: %w", err)
	}
	if _, err := l.reasons.Write(reasons.Bytes()); err != nil {
		return fmt.Errorf("write the reasons beside --rejects: %w", err)
	}
	l.state.Rejects += int64(lines.Len())
	l.state.Reasons += int64(reasons.Len())
	return nil
}

func (l *ledger) openRejects() error {
	if l.lines != nil {
		return nil
	}
	var err error
	if l.lines, err = openAt(l.rejects, l.state.Rejects); err != nil {
		return err
	}
	l.reasons, err = openAt(l.rejects+".reasons", l.state.Reasons)
	return err
}

// openAt opens a file to go on writing behind what is known of it. What a run that was
// killed wrote behind that will be written again.
func openAt(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open --rejects: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(fmt.Errorf("go on with --rejects: %w", err), f.Close())
	}
	if _, err := f.Seek(size, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("go on with --rejects: %w", err), f.Close())
	}
	return f, nil
}

func (l *ledger) save() error {
	l.saved = l.now()
	if l.path == "" {
		return nil
	}
	b, err := json.Marshal(l.state)
	if err != nil {
		return fmt.Errorf("write --state: %w", err)
	}
	return replaceFile(l.path, b)
}

// replaceFile gives a file other content. Whatever happens, it has the one or the other.
func replaceFile(path string, content []byte) error {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// close saves the state, or removes it when the load has ended.
func (l *ledger) close(ended bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var problems []error
	for _, f := range []*os.File{l.lines, l.reasons} {
		if f != nil {
			problems = append(problems, f.Sync(), f.Close())
		}
	}
	switch {
	case !ended:
		problems = append(problems, l.save())
	case l.path != "":
		problems = append(problems, os.Remove(l.path))
	}
	if l.lines != nil && l.state.Rejects == 0 {
		problems = append(problems, os.Remove(l.rejects), os.Remove(l.rejects+".reasons"))
	}
	return errors.Join(problems...)
}

// measure returns how far the load is.
func (l *ledger) measure() measure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return measure{resources: l.resources, rejected: l.state.Rejected}
}
