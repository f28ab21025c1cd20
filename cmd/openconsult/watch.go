package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// watchOptions are the flags of watch.
type watchOptions struct {
	reach
	types   []string
	count   int
	state   string
	output  string
	once    bool
	notOwn  bool
	restart bool
	log     io.Writer
}

func (o *watchOptions) declare(f *pflag.FlagSet) {
	o.reach.declare(f)
	f.StringSliceVar(&o.types, "type", nil, "only these types")
	f.IntVar(&o.count, "count", 500, "entries of a page at most")
	f.StringVar(&o.state, "state", "", "file that tells what was printed, so that it goes on behind it; without it everything is printed from the beginning")
	f.StringVar(&o.output, "output", "", "file to append to in place of standard output; with --state each entry is in it exactly once, whatever happens")
	f.BoolVar(&o.once, "once", false, "end when there is nothing more at the moment")
	f.BoolVar(&o.notOwn, "not-own", false, "leave out what this client itself has written")
	f.BoolVar(&o.restart, "restart", false, "begin anew when the server no longer knows where this was, which prints the whole state again")
}

func watchCommand() *cobra.Command {
	o := &watchOptions{log: os.Stderr}
	var c *cobra.Command
	c = command("watch", "Follow the feed: print what there is and then every change, one line of JSON each",
		func(ctx context.Context, s *settings, _ []string) error {
			if o.output != "" && o.state == "" {
				return errors.New("--output goes with --state, which tells what is in it")
			}
			t, err := o.open(ctx, s, c.Flags())
			if err != nil {
				return err
			}
			return errors.Join(watch(ctx, o, t), t.stop())
		})
	c.Long = watchHelp
	o.declare(c.Flags())
	return c
}

const watchHelp = `Follow the feed: print what there is and then every change, one line of JSON each. Each line has

  url       which resource, such as Task/1
  version   which version of it
  method    how it came about: POST, PUT, PATCH, DELETE
  at        when
  reason    of what is not to be seen any more: deleted, left-your-scope; or entered-your-scope
  origin    id of the client that wrote it
  settled   true: up to here the resources agree with each other, as no transaction goes on behind this line
  resource  the resource; a line without it says that it is gone

With --state it goes on where it was. A line that was printed when the command was killed may be printed once more, unless
it goes to --output. A line {"restart":…} says that the server has forgotten where this was: what follows is the whole state,
and what is not in it is gone.`

// A feedPage is a page of the feed.
type feedPage struct {
	Link []struct {
		Relation string `json:"relation"`
		URL      string `json:"url"`
	} `json:"link"`
	Entry []feedEntry `json:"entry"`
}

// A feedEntry is a change as the server tells it.
type feedEntry struct {
	Extension []struct {
		URL   string `json:"url"`
		Text  string `json:"valueString"`
		Truth bool   `json:"valueBoolean"`
	} `json:"extension"`
	Resource json.RawMessage `json:"resource"`
	Request  struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	FullURL  string `json:"fullUrl"`
	Response struct {
		ETag         string          `json:"etag"`
		LastModified string          `json:"lastModified"`
		Outcome      json.RawMessage `json:"outcome"`
	} `json:"response"`
}

// A change is a change as it is printed.
type change struct {
	URL      string          `json:"url"`
	Version  int             `json:"version,omitempty"`
	Method   string          `json:"method,omitempty"`
	At       string          `json:"at,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Origin   string          `json:"origin,omitempty"`
	Settled  bool            `json:"settled,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
}

// extensionBase begins the addresses of what the feed says beside R4.
const extensionBase = "https://fhir.openconsult.example/StructureDefinition/"

func (e *feedEntry) change() change {
	c := change{URL: e.Request.URL, Method: e.Request.Method, At: e.Response.LastModified, Resource: e.Resource}
	if parts := strings.Split(e.FullURL, "/"); len(parts) > 2 {
		c.URL = strings.Join(parts[len(parts)-2:], "/")
	}
	// An ETag without a number is none of ours; then there is no version to tell.
	c.Version, _ = strconv.Atoi(strings.Trim(strings.TrimPrefix(e.Response.ETag, "W/"), `"`))
	for _, x := range e.Extension {
		switch x.URL {
		case extensionBase + "feed-origin":
			c.Origin = x.Text
		case extensionBase + "feed-settled":
			c.Settled = x.Truth
		}
	}
	var o told
	if err := json.Unmarshal(e.Response.Outcome, &o); err == nil && len(o.Issue) > 0 && len(o.Issue[0].Details.Coding) > 0 {
		c.Reason = o.Issue[0].Details.Coding[0].Code
	}
	return c
}

// next returns the address of the page behind p.
func (p *feedPage) next() (string, error) {
	for _, l := range p.Link {
		if l.Relation == "next" {
			return l.URL, nil
		}
	}
	return "", errors.New("a page of the feed has no next link: is this the $changes of an OpenConsult server?")
}

// first returns the address of the first page.
func (o *watchOptions) first(t *target) string {
	q := url.Values{"_count": {strconv.Itoa(o.count)}}
	if len(o.types) > 0 {
		q.Set("_type", strings.Join(o.types, ","))
	}
	if o.notOwn {
		q.Set("_origin:not", "self")
	}
	return t.at("/$changes?" + q.Encode())
}

// watch prints the feed.
func watch(ctx context.Context, o *watchOptions, t *target) error {
	b, err := openWatch(o, o.first(t))
	if err != nil {
		return err
	}
	w := &watcher{options: o, target: t, book: b}
	return errors.Join(w.run(ctx), b.close())
}

// A watcher follows a feed.
type watcher struct {
	options *watchOptions
	target  *target
	book    *watchBook
}

func (w *watcher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if w.book.Page == nil {
			more, err := w.fetch(ctx)
			if err != nil || !more {
				return err
			}
			continue
		}
		if err := w.print(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waiting is how long the server is asked to wait for a change, in seconds.
const waiting = 30

// idlePause is the pause, as pauses count them, before a server that does not wait is
// asked again.
const idlePause = 3

// fetch takes the next page. It reports false when the end is reached.
func (w *watcher) fetch(ctx context.Context) (bool, error) {
	h := http.Header{}
	if !w.options.once {
		h.Set("Prefer", fmt.Sprintf("wait=%d", waiting))
	}
	asked := time.Now()
	address, _ := w.target.ours(w.book.Next)
	a, err := w.target.insist(ctx, request{method: http.MethodGet, address: address, header: h})
	switch {
	case ctx.Err() != nil:
		return false, nil
	case err != nil:
		return false, err
	case a.status == http.StatusGone:
		return true, w.forgotten(a)
	case !a.ok():
		return false, fmt.Errorf("follow the feed: %w", a.complaint())
	}
	var p feedPage
	if err := json.Unmarshal(a.body, &p); err != nil {
		return false, fmt.Errorf("read a page of the feed: %w", err)
	}
	if len(p.Entry) > 0 {
		return true, w.book.turn(w.book.Next, a.body)
	}
	next, err := p.next()
	if err != nil {
		return false, err
	}
	if err := w.book.turn(next, nil); err != nil || w.options.once {
		return false, err
	}
	if time.Since(asked) < time.Second {
		// A server that does not wait is not to be asked all the time.
		_ = (&pauses{tries: idlePause}).wait(ctx, 0)
	}
	return true, nil
}

// forgotten begins anew, if that is wanted, when the server no longer knows the cursor.
func (w *watcher) forgotten(a *answer) error {
	if !w.options.restart {
		return fmt.Errorf("%w; --restart begins anew and prints the whole state again", a.complaint())
	}
	fmt.Fprintln(w.options.log, "the server has forgotten where this was; it begins anew")
	if err := w.book.control(map[string]string{"restart": diagnostics(a.body)}); err != nil {
		return err
	}
	return w.book.turn(w.book.Asked, nil)
}

// print prints what is left of the page that the book holds.
func (w *watcher) print(ctx context.Context) error {
	var p feedPage
	if err := json.Unmarshal(w.book.Page, &p); err != nil {
		return fmt.Errorf("read a page of the feed: %w", err)
	}
	next, err := p.next()
	if err != nil {
		return err
	}
	for _, e := range p.Entry[min(w.book.printed, len(p.Entry)):] {
		if ctx.Err() != nil {
			return nil
		}
		if err := w.book.print(e.change()); err != nil {
			return err
		}
	}
	return w.book.turn(next, nil)
}

// printLine writes a value as one line of JSON.
func printLine(out io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print a change: %w", err)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("print a change: %w", err)
	}
	return nil
}
