package interaction

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// ThreadOperation is the operation that gives all of a conversation.
const ThreadOperation access.Interaction = "thread"

// A ThreadRequest asks for a conversation.
type ThreadRequest struct {
	Task  fhir.Key
	Count int    // messages at most; 0 is all
	After string // the position that a page before gave; empty for the first page
}

// A Thread is a conversation as the caller sees it.
type Thread struct {
	Task     store.Version
	Around   []store.Version // what the Task is about, if there is such a resource, then Tasks that are part of it, without the receipts of others
	Messages []store.Version // those of the page, the earliest sent first
	Total    int             // messages, on all pages
	Unread   int             // messages that the caller has not read, on all pages
	Next     string          // the position of the next page; empty on the last one
}

// Thread returns a conversation, all of it from one state of the database: those messages that
// the caller may read and that the rules of conversations show them. It takes the permission
// to read Tasks and to search for Communications. A Task that the caller does not see
// is Unknown.
func (s *Session) Thread(ctx context.Context, q ThreadRequest) (*Thread, error) {
	if err := s.Allow(ThreadOperation, q.Task); err != nil {
		return nil, err
	}
	if err := s.Allow(access.SearchType, fhir.Key{Type: "Communication"}); err != nil {
		return nil, err
	}
	r := &hearing{ThreadRequest: q}
	var err error
	for range maxParameterRaces {
		err = s.store.Snapshot(ctx, func(ctx context.Context, tx *store.Tx) error { return r.read(ctx, s, tx) })
		if err == nil || fhir.AsOutcome(err) != nil {
			break
		}
	}
	if err := s.toldThread(ctx, r, err); err != nil {
		return nil, err
	}
	return r.answer(s), nil
}

// toldThread records that the caller has read a conversation.
func (s *Session) toldThread(ctx context.Context, r *hearing, err error) error {
	t := s.trail(ThreadOperation, r.Task)
	if t == nil {
		return err
	}
	if r.task != nil {
		t.Version, t.Patients = r.task.Number, s.store.PatientsOf(r.task.Version)
		t.Detail = with(nil, "messages", strconv.Itoa(len(r.page())))
	}
	return cmp.Or(s.record(ctx, t, err), err)
}

// A hearing is a conversation while it is read.
type hearing struct {
	ThreadRequest
	talk     *talk
	task     *former
	place    saidAt
	talked   consultation.Conversation
	messages []spoken
	children []store.Version
	focus    *store.Version
	unread   int
}

// A spoken is a message with what the rules look at.
type spoken struct {
	*store.Version
	consultation.Message
}

func (r *hearing) read(ctx context.Context, s *Session, tx *store.Tx) (err error) {
	*r = hearing{ThreadRequest: r.ThreadRequest}
	if r.place, err = readMoment(r.After); err != nil {
		return err
	}
	if r.talk, err = s.listen(ctx, tx); err != nil {
		return err
	}
	if r.task, err = r.talk.visible(ctx, r.Task); err != nil {
		return err
	}
	if r.talked.Task, err = consultation.ReadTask(r.task.resource, s.base()); ignoreOutcome(err) != nil {
		return err
	}
	r.talked.Task.Key, r.talked.Base = r.Task, s.base()
	said, err := r.partOf(ctx, tx, "Communication")
	if err != nil {
		return err
	}
	if r.children, err = r.partOf(ctx, tx, "Task"); err != nil {
		return err
	}
	if err := r.hear(said); err != nil {
		return err
	}
	if err := r.meet(ctx); err != nil {
		return err
	}
	return r.sift()
}

// partOf returns the resources of a type that are part of the Task, as far as the caller sees
// them.
func (r *hearing) partOf(ctx context.Context, tx *store.Tx, typ string) ([]store.Version, error) {
	s := r.talk.Session
	if s.grant.Allow(access.SearchType, typ) != nil {
		return nil, nil
	}
	where, err := s.store.Registry().Criteria(typ, "part-of="+r.Task.String())
	if err != nil {
		return nil, fmt.Errorf("look for a conversation: %w", err)
	}
	found, err := tx.Search(ctx, s.grant, &search.Query{Types: []string{typ}, Where: where, Count: mostInThread})
	if err != nil {
		return nil, err
	}
	if found.Next != "" {
		return nil, fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "", "More than %d resources of type %s belong to this conversation; read them page by page with %s?part-of=%s.", mostInThread, typ, typ, r.Task)
	}
	return found.Versions, nil
}

// hear reads messages, and puts them in the order in which they were sent.
func (r *hearing) hear(said []store.Version) error {
	r.messages = make([]spoken, len(said))
	for i := range said {
		m, err := fhir.DecodeDerived("Communication", said[i].Stored)
		if err != nil {
			return fmt.Errorf("decode a Communication: %w", err)
		}
		r.messages[i] = spoken{&said[i], consultation.ReadMessage(m, r.talked.Base)}
		r.messages[i].Message.Key = said[i].Key
	}
	slices.SortFunc(r.messages, func(a, b spoken) int { return momentOf(a).compare(momentOf(b)) })
	return nil
}

// meet finds out for whom those stand who take part, and what the Task is about.
func (r *hearing) meet(ctx context.Context) error {
	ask := []fhir.Key{r.talked.Task.Requester, r.talked.Task.Owner, r.talked.Task.For}
	for _, m := range r.messages {
		ask = append(append(ask, m.Sender), m.Recipients...)
	}
	k := r.talk
	var err error
	if r.talked.Parties, err = k.standsFor(ctx, k.at, append(ask, k.speaker.Persons...)); err != nil {
		return err
	}
	focus := r.talked.Task.Focus
	if focus.ID == "" || k.grant.Allow(access.Read, focus.Type) != nil {
		return nil
	}
	found, err := k.at.Current(ctx, []fhir.Key{focus})
	if err != nil {
		return err
	}
	if v := found[focus]; v != nil && !v.Deleted() {
		r.focus, err = k.seen(access.MayRead, v)
	}
	return err
}

// sift leaves out what the rules do not show the caller, and counts what they have not read.
func (r *hearing) sift() error {
	caller := r.talk.speaker.in(&r.talked, fhir.Key{})
	if r.talked.Task.Kind != "" {
		r.messages = slices.DeleteFunc(r.messages, func(m spoken) bool { return !r.talked.Shows(m.Message, caller) })
	}
	var own []store.Version
	for _, v := range r.children {
		task, err := fhir.DecodeDerived("Task", v.Stored)
		if err != nil {
			return fmt.Errorf("decode a Task: %w", err)
		}
		t, err := consultation.ReadTask(task, r.talked.Base)
		if ignoreOutcome(err) != nil {
			return err
		}
		if t.Kind == consultation.MessageReceipt {
			if consultation.RolesOf(t, caller)&consultation.Owner == 0 {
				continue
			}
			if consultation.IsUnread(task.Root()) {
				r.unread++
			}
		}
		own = append(own, v)
	}
	slices.SortFunc(own, func(a, b store.Version) int { return strings.Compare(a.Key.ID, b.Key.ID) })
	r.children = own
	return nil
}

// page returns the messages of the page.
func (r *hearing) page() []spoken {
	from, _ := slices.BinarySearchFunc(r.messages, r.place, func(m spoken, p saidAt) int {
		if momentOf(m).compare(p) <= 0 {
			return -1
		}
		return 1
	})
	rest := r.messages[from:]
	if r.Count > 0 && len(rest) > r.Count {
		return rest[:r.Count]
	}
	return rest
}

func (r *hearing) answer(s *Session) *Thread {
	t := &Thread{Task: *r.task.Version, Total: len(r.messages), Unread: r.unread}
	if r.focus != nil {
		t.Around = append(t.Around, *r.focus)
	}
	t.Around = append(t.Around, r.children...)
	page := r.page()
	for _, m := range page {
		t.Messages = append(t.Messages, *m.Version)
	}
	if n := len(page); n > 0 && page[n-1].Version != r.messages[len(r.messages)-1].Version {
		t.Next = momentOf(page[n-1]).String()
	}
	s.shownAll(t.Around)
	s.shownAll(t.Messages)
	return t
}

// A saidAt is a place in the order of messages: by when they were sent, in microseconds since
// 1970, and by id. That of the empty text is before all.
type saidAt struct {
	sent int64
	id   string
}

// momentOf returns the place of a message. What was not sent yet comes last.
func momentOf(m spoken) saidAt {
	if m.Sent.IsZero() {
		return saidAt{math.MaxInt64, m.Version.Key.ID}
	}
	return saidAt{m.Sent.UnixMicro(), m.Version.Key.ID}
}

func (p saidAt) compare(q saidAt) int {
	return cmp.Or(cmp.Compare(p.sent, q.sent), strings.Compare(p.id, q.id))
}

// String returns p as a page link has it.
func (p saidAt) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.sent, 10) + " " + p.id))
}

// readMoment reads a place as a page link has it. The empty text is before all.
func readMoment(text string) (saidAt, error) {
	if text == "" {
		return saidAt{sent: math.MinInt64}, nil
	}
	// What is wrong with one part shows in the other.
	b, _ := base64.RawURLEncoding.DecodeString(text)
	sent, id, _ := strings.Cut(string(b), " ")
	at, err := strconv.ParseInt(sent, 10, 64)
	if err != nil || !fhir.ValidID(id) {
		return saidAt{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This is no link to a page of a conversation; use the links as they are.")
	}
	return saidAt{at, id}, nil
}
