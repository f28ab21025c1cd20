package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// longPoll is how long a follower lets the server wait for something to happen.
const longPoll = 30 * time.Second

// follower is one client of the feed. It is used by one goroutine.
type follower struct {
	followers *followers
	address   string // of the next page
	entries   int64  // that it was given
	pages     int64  // since it was at the present
	arrived   []arrival
}

// arrival is when a version was read from a page.
type arrival struct {
	version
	updated time.Time
	at      time.Time
}

// catchUp follows until a page is empty.
func (f *follower) catchUp(ctx context.Context) error {
	for {
		n, err := f.page(ctx, nil)
		if err != nil {
			return err
		}
		f.arrived = nil
		if n == 0 {
			f.pages = 0
			return nil
		}
	}
}

// follow waits for what happens until nothing more is written and it has everything.
func (f *follower) follow(ctx context.Context) error {
	wait := http.Header{"Prefer": {"wait=" + strconv.Itoa(int(longPoll.Seconds()))}}
	for {
		over := f.followers.stop.Load()
		if over {
			wait = nil
		}
		n, err := f.page(ctx, wait)
		if err != nil {
			return err
		}
		if over && n == 0 {
			return nil
		}
	}
}

// page asks for the next page and returns how many entries it has.
func (f *follower) page(ctx context.Context, header http.Header) (int, error) {
	next, entries := "", 0
	a, err := f.followers.ask(ctx, asking{method: http.MethodGet, address: f.address, header: header, use: func(body io.Reader) (int64, error) {
		text, err := io.ReadAll(body)
		if err != nil {
			return 0, err
		}
		p := feedPage{}
		if err := p.read(jsontext.NewDecoder(bytes.NewReader(text))); err != nil {
			return 0, fmt.Errorf("read a page: %w", err)
		}
		now := time.Now()
		for i := range p.arrived {
			p.arrived[i].at = now
		}
		next, entries, f.arrived = p.next, p.entries, append(f.arrived, p.arrived...)
		return int64(len(text)), nil
	}})
	if err == nil {
		err = a.must("page")
	}
	if err != nil {
		return 0, err
	}
	if next == "" {
		return 0, errors.New("a page without a next link")
	}
	f.address, f.entries, f.pages = next, f.entries+int64(entries), f.pages+1
	return entries, nil
}

// feedPage is what matters of a page of the feed. Resources are skipped: to look into them would take from the server.
type feedPage struct {
	next    string
	entries int
	arrived []arrival
}

// read takes the Bundle from d.
func (p *feedPage) read(d *jsontext.Decoder) error {
	return members(d, func(name string) error {
		switch name {
		case "link":
			return items(d, func() error { return p.link(d) })
		case "entry":
			return items(d, func() error { return p.entry(d) })
		}
		return d.SkipValue()
	})
}

func (p *feedPage) link(d *jsontext.Decoder) error {
	var relation, address string
	err := members(d, func(name string) error {
		value, err := d.ReadValue()
		switch name {
		case "relation":
			relation = unquoted(value)
		case "url":
			address = unquoted(value)
		}
		return err
	})
	if relation == "next" {
		p.next = address
	}
	return err
}

// entry takes an entry. One that tells of no version, such as that something left the caller's scope, only counts.
func (p *feedPage) entry(d *jsontext.Decoder) error {
	p.entries++
	var a arrival
	err := members(d, func(name string) error {
		switch name {
		case "fullUrl":
			value, err := d.ReadValue()
			a.key = lastTwo(unquoted(value))
			return err
		case "response":
			return a.response(d)
		}
		return d.SkipValue()
	})
	if err == nil && a.key != "" && a.number > 0 {
		p.arrived = append(p.arrived, a)
	}
	return err
}

func (a *arrival) response(d *jsontext.Decoder) error {
	return members(d, func(name string) error {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		switch name {
		case "etag":
			a.number, err = versionNumber(unquoted(value))
		case "lastModified":
			a.updated, err = time.Parse(time.RFC3339Nano, unquoted(value))
		}
		return err
	})
}

// members calls use for each member of the object that comes next; it must read the value.
func members(d *jsontext.Decoder, use func(name string) error) error {
	return inside(d, '{', func() error {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		return use(name.String())
	})
}

// items calls use for each item of the array that comes next; it must read the value.
func items(d *jsontext.Decoder, use func() error) error { return inside(d, '[', use) }

func inside(d *jsontext.Decoder, kind jsontext.Kind, use func() error) error {
	begin, err := d.ReadToken()
	if err != nil {
		return err
	}
	if begin.Kind() != kind {
		return fmt.Errorf("%v where %v belongs", begin.Kind(), kind)
	}
	for {
		switch d.PeekKind() {
		case '}', ']':
			_, err := d.ReadToken()
			return err
		case jsontext.KindInvalid:
			_, err := d.ReadToken()
			return err
		}
		if err := use(); err != nil {
			return err
		}
	}
}

// unquoted returns the text of a JSON string, and "" for anything else.
func unquoted(value jsontext.Value) string {
	if value.Kind() != '"' {
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return ""
	}
	return string(text)
}

// lastTwo returns the last two segments of an address: Type/id.
func lastTwo(address string) string {
	slash := strings.LastIndexByte(address, '/')
	if slash < 0 {
		return ""
	}
	return address[strings.LastIndexByte(address[:slash], '/')+1:]
}

// versionNumber reads a weak ETag.
func versionNumber(etag string) (int, error) {
	return strconv.Atoi(strings.Trim(strings.TrimPrefix(etag, "W/"), `"`))
}

// versionOf names what a write has made, if the answer does.
func versionOf(o op, a answer) (version, bool) {
	id := o.id
	if a.id != "" {
		id = a.id
	}
	n, err := strconv.Atoi(a.version)
	return version{o.typeName + "/" + id, n}, err == nil && id != ""
}
