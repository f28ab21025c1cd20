package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// patience is how long the demo waits for what is to come.
const patience = 15 * time.Second

// A step is one request that somebody sends.
type step struct {
	who    *actor
	does   string // what that is, in words
	ask    string // method and path: "POST Task"
	body   string
	header map[string]string
}

// A scene is a flow that is being played.
type scene struct {
	*stage
	ctx     context.Context
	wrong   int
	skipped int
	broken  bool // something that later steps stand on is not there
}

// play sends a step, and holds the answer against what it should be. After a change that was
// refused no further step of the scene is tried, if it should not have been.
func (c *scene) play(s step, want ...check) heard {
	return c.attempt(s, 0, want)
}

// await sends a step again until the answer is what it should be, and gives up after some time.
func (c *scene) await(s step, want ...check) {
	c.attempt(s, patience, want)
}

func (c *scene) attempt(s step, most time.Duration, want []check) heard {
	if c.broken || c.ctx.Err() != nil {
		c.skipped++
		return heard{}
	}
	c.steps++
	c.announce(s)
	deadline := time.Now().Add(most)
	for {
		a, err := c.send(c.ctx, s)
		shown, wrong := judge(a, err, want)
		if len(wrong) > 0 && time.Now().Before(deadline) && c.pause() {
			continue
		}
		c.report(a, shown, wrong)
		c.broken = len(wrong) > 0 && (err != nil || a.status >= 400 && !strings.HasPrefix(s.ask, "GET"))
		return a
	}
}

// judge returns what of an answer is worth showing, and what is wrong with it.
func judge(a heard, err error, want []check) (shown, wrong []string) {
	if err != nil {
		return nil, []string{err.Error()}
	}
	for _, w := range want {
		s, bad := w(a)
		if bad != "" {
			wrong = append(wrong, bad)
		} else if s != "" {
			shown = append(shown, s)
		}
	}
	return shown, wrong
}

// pause waits a little, and reports whether it is worth going on.
func (c *scene) pause() bool {
	select {
	case <-time.After(200 * time.Millisecond):
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (c *scene) announce(s step) {
	who := "Nobody in particular"
	if s.who != nil {
		who = s.who.name
	}
	if strings.HasSuffix(s.ask, " ") {
		s.ask += "(a transaction)"
	}
	fmt.Fprintf(c.out, "  %s %s\n    %s", who, s.does, c.short(s.ask))
	if c.verbose && s.body != "" {
		fmt.Fprintf(c.out, "\n    > %s\n   ", s.body)
	}
}

func (c *scene) report(a heard, shown, wrong []string) {
	fmt.Fprintf(c.out, " → %d %s\n", a.status, a.key())
	if c.verbose && a.body != "" {
		fmt.Fprintf(c.out, "    < %s\n", a.body)
	}
	if text := a.text("issue.details.text.first()"); text != "" && a.status >= 400 {
		shown = append(shown, "“"+text+"”")
	}
	c.verdict(shown, wrong)
}

// short leaves out of a text what is the same all the time.
func (c *scene) short(text string) string {
	if c.run == "" {
		return text
	}
	if before, _, ok := strings.Cut(text, "cursor="); ok && strings.HasPrefix(text, "GET $changes?") {
		text = before + "cursor=…"
	}
	return strings.NewReplacer(c.run, "…", c.base+"/", "").Replace(text)
}

// verdict prints what was looked at, and whether it is as it should be.
func (c *scene) verdict(shown, wrong []string) {
	if len(wrong) == 0 {
		shown = append(shown, "ok")
	}
	if len(shown) > 0 {
		fmt.Fprintf(c.out, "    %s\n", c.short(strings.Join(shown, " · ")))
	}
	if len(wrong) > 0 {
		c.wrong++
	}
	for _, w := range wrong {
		fmt.Fprintf(c.out, "    NOT AS IT SHOULD BE: %s\n", w)
	}
}

// told expects that somebody who has subscribed was told of something by a topic.
func (c *scene) told(who *actor, topic, focus string) {
	if c.broken || c.ctx.Err() != nil {
		c.skipped++
		return
	}
	c.steps++
	fmt.Fprintf(c.out, "  %s is told: %s\n", who.name, topic)
	var wrong []string
	for deadline := time.Now().Add(patience); ; {
		if focus != "" && c.ear.notice(notice{who.id, topic, c.base + "/" + focus}) {
			break
		}
		if focus == "" || time.Now().After(deadline) || !c.pause() {
			wrong = []string{fmt.Sprintf("no notification came within %s; there were: %s", patience, strings.Join(c.ear.noticesOf(who.id), "; "))}
			break
		}
	}
	c.verdict([]string{"notification about " + focus}, wrong)
}

// untold expects that somebody was told nothing about something, of which others were told.
func (c *scene) untold(who *actor, topic, focus string) {
	if c.broken || c.ctx.Err() != nil {
		c.skipped++
		return
	}
	c.steps++
	fmt.Fprintf(c.out, "  %s is not told of it\n", who.name)
	var wrong []string
	if focus == "" || c.ear.notice(notice{who.id, topic, c.base + "/" + focus}) {
		wrong = []string{"there was a notification about " + focus}
	}
	c.verdict(nil, wrong)
}
