package dispatch

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// A job is a channel that a message is given to.
type job struct {
	consultation.Try
	place int
	key   string
	tries int
	next  time.Time
}

// A file is all that is known of a message.
type file struct {
	letter *Letter
	jobs   []job
	words  []consultation.Word
}

// providerTime is how long a provider may take.
const providerTime = 25 * time.Second

// subject is what an e-mail says where everybody sees it.
const subject = "You have a new message"

// read gathers what is known of a message. The letter is nil when there is none.
func (e *Engine) read(ctx context.Context, id string) (*file, error) {
	f := &file{}
	var err error
	if f.letter, err = e.desk.Letter(ctx, id, e.Serves()); err != nil || f.letter == nil {
		return f, err
	}
	if f.jobs, err = e.jobs(ctx, id); err != nil {
		return nil, err
	}
	f.words, err = e.words(ctx, id)
	return f, err
}

func (e *Engine) jobs(ctx context.Context, id string) ([]job, error) {
	rows, err := e.db.QueryContext(ctx, `SELECT place, channel, key, begun, tries, next, sent, failed FROM dispatch_job WHERE message = $1 ORDER BY place`, id)
	if err != nil {
		return nil, fmt.Errorf("read the attempts to send a message: %w", err)
	}
	defer rows.Close()
	var all []job
	for rows.Next() {
		var j job
		var sent sql.NullTime
		if err := rows.Scan(&j.place, &j.Channel, &j.key, &j.Begun, &j.tries, &j.next, &sent, &j.Failed); err != nil {
			return nil, fmt.Errorf("read the attempts to send a message: %w", err)
		}
		j.Sent = sent.Time
		all = append(all, j)
	}
	return all, rows.Err()
}

func (e *Engine) words(ctx context.Context, id string) ([]consultation.Word, error) {
	rows, err := e.db.QueryContext(ctx, `SELECT channel, event, at FROM dispatch_event WHERE message = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("read what channels have said of a message: %w", err)
	}
	defer rows.Close()
	var all []consultation.Word
	for rows.Next() {
		var w consultation.Word
		if err := rows.Scan(&w.Channel, &w.Event, &w.At); err != nil {
			return nil, fmt.Errorf("read what channels have said of a message: %w", err)
		}
		all = append(all, w)
	}
	return all, rows.Err()
}

// next returns what is to be done about a message at a time.
func (f *file) next(now time.Time) consultation.DispatchStep {
	p := consultation.Progress{Ways: f.letter.Ways, Inbox: f.letter.Inbox, Words: f.words, Schedule: f.letter.Schedule, Revoked: f.letter.Revoked, Now: now}
	for _, j := range f.jobs {
		p.Tries = append(p.Tries, j.Try)
	}
	s := p.Next()
	if s.Status == "not-done" && len(f.jobs) == 0 && f.letter.Barred != "" {
		s.Reason = f.letter.Barred
	}
	return s
}

// work does what there is to do about a message, and returns when there is more;
// zero when something is said.
func (e *Engine) work(ctx context.Context, c *claim) (time.Time, error) {
	// Each channel takes three rounds at most: begin, send, and find out what is next.
	for range 3 * len(consultation.Channels()) {
		f, err := e.read(ctx, c.id)
		if err != nil || f.letter == nil || f.letter.Status == "completed" {
			return time.Time{}, err // it has arrived: by a channel, or because somebody has read it here
		}
		now := e.Now()
		s := f.next(now)
		switch {
		case s.Status != "":
			return time.Time{}, e.desk.Delivered(ctx, Outcome{c.id, s})
		case s.Send.Channel == "":
			return s.Until, nil
		}
		j := f.job(s.Send.Channel)
		switch {
		case j == nil:
			err = e.beginJob(ctx, c, len(f.jobs), s.Send.Channel)
		case now.Before(j.next):
			return earlier(j.next, s.Until), nil
		default:
			err = e.send(ctx, c, j, delivery{s.Send, f.letter})
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	return e.Now().Add(pause), nil
}

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (f *file) job(c consultation.Channel) *job {
	i := slices.IndexFunc(f.jobs, func(j job) bool { return j.Channel == c })
	if i < 0 {
		return nil
	}
	return &f.jobs[i]
}

// beginJob records that a message is about to be given to a channel: from here on it
// cannot be revoked.
func (e *Engine) beginJob(ctx context.Context, c *claim, place int, channel consultation.Channel) error {
	const begin = `WITH mine AS (SELECT id FROM dispatch_message WHERE id = $1 AND fence = $2 FOR UPDATE)
		INSERT INTO dispatch_job (message, place, channel, key, begun, next) SELECT id, $3::int, $4::text, $5::text, $6::timestamptz, $6::timestamptz FROM mine`
	done, err := e.db.ExecContext(ctx, begin, c.id, c.fence, place, string(channel), e.key(c.id, channel), e.Now())
	return mineStill(done, err, "begin to send a message")
}

// key returns by what a provider knows a message again.
func (e *Engine) key(message string, channel consultation.Channel) string {
	return e.hash("key", string(channel), message)[:32]
}

// hash returns a digest that only this installation can make.
func (e *Engine) hash(parts ...string) string {
	mac := hmac.New(sha256.New, e.salt)
	for _, p := range parts {
		fmt.Fprintf(mac, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// mineStill returns errLost when a statement has changed nothing.
func mineStill(done sql.Result, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errLost, err)
	}
	return nil
}

// A delivery is a letter and the way that it goes.
type delivery struct {
	way    consultation.Way
	letter *Letter
}

// send gives a message to its provider, and records what came of it.
func (e *Engine) send(ctx context.Context, c *claim, j *job, d delivery) error {
	m := Message{Key: j.key, ID: c.id, Channel: j.Channel, To: d.way.Address, Subject: subject, Text: d.letter.Text}
	if !d.way.Text {
		m.Text = linkText(e.link(c.id))
	}
	calling, cancel := context.WithTimeout(ctx, providerTime)
	r, sent := e.Channels[j.Channel].Provider.Send(calling, m)
	cancel()
	if e.crashed.Load() {
		return errLost
	}
	if sent != nil && ctx.Err() != nil {
		return ctx.Err() // it was stopped here
	}
	if err := e.desk.Attempted(ctx, Attempt{c.id, j.Channel, e.hash("address", string(j.Channel), d.way.Address), sent}); err != nil {
		return err
	}
	return e.recordSent(ctx, c, j, taken{r, sent})
}

// linkText is what a message says that is only a link to it: nothing that others may
// not know.
func linkText(link string) string {
	if link == "" {
		return "You have a new message. Sign in to read it."
	}
	return "You have a new message. Sign in to read it: " + link
}

// A taken is what a provider has answered.
type taken struct {
	Acceptance
	err error
}

// recordSent records what a provider has answered. It has the message, whatever has
// stopped this server meanwhile.
func (e *Engine) recordSent(ctx context.Context, c *claim, j *job, t taken) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	now := e.Now()
	if t.err != nil {
		e.Log.WarnContext(ctx, "a message was not taken", "message", c.id, "channel", string(j.Channel), "try", j.tries+1, "error", t.err)
	}
	// It is true whoever has the message in turn by now.
	const record = `WITH mine AS (SELECT id FROM dispatch_message WHERE id = $1 FOR UPDATE),
		said AS (INSERT INTO dispatch_event (channel, key, message, event, at, received)
			SELECT $8::text, 'accepted:' || $9::text, id, 'delivered', $3::timestamptz, $3::timestamptz FROM mine WHERE $7::boolean ON CONFLICT DO NOTHING)
		UPDATE dispatch_job j SET tries = j.tries + 1, next = $4, sent = coalesce(j.sent, CASE WHEN $5::boolean THEN $3::timestamptz END),
			failed = j.failed OR j.sent IS NULL AND $6::boolean, receipt = CASE WHEN $10 = '' THEN j.receipt ELSE $10 END
		FROM mine WHERE j.message = mine.id AND j.place = $2`
	_, err := e.db.ExecContext(ctx, record, c.id, j.place, now, now.Add(backOff(j.tries+1)), t.err == nil, errors.Is(t.err, ErrRejected),
		t.err == nil && t.Final, string(j.Channel), j.key, t.ID)
	if err != nil {
		return fmt.Errorf("record that a message was sent: %w", err)
	}
	return nil
}
