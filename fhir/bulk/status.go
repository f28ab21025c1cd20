package bulk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Job is what its owner is told of a job.
type Job struct {
	ID       string
	Kind     string        // "export", "import" or "request"
	Progress string        // of one under way: in words, at most 100 characters
	Wait     time.Duration // after which to ask again; zero: it has ended
	Failed   []byte        // OperationOutcome of one that failed; nil for none
	Expires  time.Time     // when it goes, with its files

	Request string    // address of the request that began it
	At      time.Time // what it is the state of, of an export; else when it began
	Files   []File    // of an export or an import
	Inputs  []Input   // of an import
	Answer  []byte    // of a request: a Bundle of type batch-response
}

// A File is one of the files of a job.
type File struct {
	Name  string // the last part of its address
	Kind  string // "output", "deleted", "error", or "rejected": lines that can be sent again
	Type  string // resource type of its lines
	Count int64  // lines
}

// An Input says what has been imported from one source.
type Input struct {
	URL    string // empty for the body of the request
	Type   string // as the client named it, or empty
	Stored int64  // lines that were stored, or were there already
}

// Find returns the job with an id. One that is not g's, or is not there any more, is
// an Outcome of class Unknown; who asks too often gets one of class Busy. An answer
// that shows what g may not read any more is one of class Denied.
func (e *Engine) Find(ctx context.Context, g access.Grant, id string) (*Job, error) {
	j := &Job{ID: id}
	var state, holder string
	var asked, place []byte
	const query = `SELECT kind, state, holder, asked, place, error, created, expires FROM bulk_job WHERE id = $1 AND owner = $2 AND expires > $3`
	err := e.db.QueryRowContext(ctx, query, id, ownerOf(g), e.now()).Scan(&j.Kind, &state, &holder, &asked, &place, &j.Failed, &j.At, &j.Expires)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && ownerOf(g) == "":
		return nil, noJob()
	case err != nil:
		return nil, fault("read a job", err)
	}
	if state == "waiting" || state == "receiving" {
		j.Wait = wait(e.Now().Sub(j.At))
		if e.polls.tooMany(id) {
			return nil, fhir.Errorf(fhir.Busy, fhir.Throttled, "", "You ask for this job too often; wait as long as Retry-After says.")
		}
	}
	if err := j.tell(asked, place); err != nil {
		return nil, err
	}
	if j.Wait > 0 || j.Failed != nil {
		return j, nil
	}
	if err := e.gave(ctx, j); err != nil {
		return nil, err
	}
	if err := e.mayHave(ctx, g, j, holder); err != nil {
		return nil, err
	}
	return j, nil
}

func noJob() error {
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such job: it is over, was cancelled, or is somebody else's.")
}

// wait returns after how long to ask again for a job of some age.
func wait(age time.Duration) time.Duration {
	return min(max(age/4, time.Second), 30*time.Second).Truncate(time.Second)
}

// tell fills in what a job was asked, and how far it is.
func (j *Job) tell(asked, place []byte) error {
	var err error
	switch j.Kind {
	case exportKind:
		var a exportAsked
		var p exportPlace
		err = errors.Join(json.Unmarshal(asked, &a), json.Unmarshal(place, &p))
		j.Request, j.At, j.Progress = a.Request, a.At.Safe, p.progress(a)
	case importKind:
		var a importAsked
		var p importPlace
		err = errors.Join(json.Unmarshal(asked, &a), json.Unmarshal(place, &p))
		j.Request, j.Progress, j.Inputs = a.Request, p.progress(a), p.inputs(a)
	case requestKind:
		var a Performance
		err = json.Unmarshal(asked, &a)
		j.Request, j.Progress = a.Base+a.Path, "the request waits or is being performed"
	}
	if err != nil {
		return fmt.Errorf("read a job: %w", err)
	}
	return nil
}

// gave fills in what a job that is done gives.
func (e *Engine) gave(ctx context.Context, j *Job) error {
	rows, err := e.db.QueryContext(ctx, `SELECT name, kind, type, count FROM bulk_file WHERE job = $1 ORDER BY nth, name`, j.ID)
	if err != nil {
		return fault("read the files of a job", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f File
		if err := rows.Scan(&f.Name, &f.Kind, &f.Type, &f.Count); err != nil {
			return fault("read the files of a job", err)
		}
		j.Files = append(j.Files, f)
	}
	if err := rows.Err(); err != nil {
		return fault("read the files of a job", err)
	}
	if j.Kind != requestKind {
		return nil
	}
	return e.pieces(ctx, j.ID, answerFile, func(b []byte) error {
		j.Answer = append(j.Answer, b...)
		return nil
	})
}

// Cancel ends the job with an id and removes it with its files. One that is not g's
// is an Outcome of class Unknown.
func (e *Engine) Cancel(ctx context.Context, g access.Grant, id string) error {
	owner := ownerOf(g)
	if owner == "" {
		return noJob()
	}
	n, err := e.change(ctx, `DELETE FROM bulk_job WHERE id = $1 AND owner = $2 AND expires > $3`, id, owner, e.now())
	if err == nil && n == 0 {
		err = noJob()
	}
	return err
}

// polls counts how often jobs are asked for, on this server. The zero value is
// ready for use.
type polls struct {
	mu    sync.Mutex
	since time.Time
	of    map[string]int
}

// A job may be asked for so often in a time.
const (
	pollsTime = time.Second
	mostPolls = 40
)

func (p *polls) tooMany(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.since) > pollsTime {
		p.since, p.of = now, map[string]int{}
	}
	p.of[id]++
	return p.of[id] > mostPolls
}
