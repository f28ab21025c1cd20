package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// demoOptions are the flags of the command demo beside the settings.
type demoOptions struct {
	base    string
	verbose bool
}

func demoCommand() *cobra.Command {
	o := &demoOptions{}
	c := command("demo", "Play whole consultations on a server of the demo, and check every answer", func(ctx context.Context, s *settings, _ []string) error {
		return playDemo(ctx, s, o, os.Stdout)
	})
	c.Long = "Play six conversations on a server that runs with --demo: patients, a practice, a hospital and a record system ask it by HTTP, each with a token of their own. " +
		"It makes people and a practice for this run, prints what each sends, what is answered and who is notified, and holds every answer against what it should be. " +
		"The exit status is 0 only if all was as it should be; -v prints bodies, and --data-dir is that of the server, from which it takes tokens."
	f := c.Flags()
	f.StringVar(&o.base, "base", demoBase, "address of the server")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print what is sent and answered in full")
	return c
}

// A flow is one of the conversations.
type flow struct {
	title string
	play  func(*scene)
}

func demoFlows() []flow {
	return []flow{
		{"Flow a: a patient submits a structured consultation", flowSubmit},
		{"Flow b: the practice asks, the patient answers, the conversation ends", flowReply},
		{"Flow c: a doctor asks a specialist for advice", flowAdvice},
		{"Flow d: a record system keeps up, and files", flowRecord},
		{"Flow e: record, appointments and repeat prescriptions in a patient's app", flowApp},
		{"Flow f: a message reaches a patient by NHS App, then SMS", flowMessage},
	}
}

// playDemo plays all flows, and fails if anything was not as it should be.
func playDemo(ctx context.Context, s *settings, o *demoOptions, out io.Writer) error {
	began := time.Now()
	st, err := newStage(s, o, out)
	if err != nil {
		return err
	}
	defer st.close()
	if err := withRegistry(ctx, s, func(r *registry) error { return st.admit(ctx, r) }); err != nil {
		return fmt.Errorf("make people and tokens for the demo: %w", err)
	}
	fmt.Fprintf(out, "Six conversations on %s, in about twenty seconds. This run makes its own people; their ids begin with %s\n", st.base, st.run)
	fmt.Fprintln(out, "Each step says who does what, the request and its status, and what the answer must hold: ok, or NOT AS IT SHOULD BE.")
	failed := st.perform(ctx, flow{"Before it begins: a practice, a hospital, patients, and subscriptions", prepare})
	if len(failed) == 0 {
		for _, f := range demoFlows() {
			failed = append(failed, st.perform(ctx, f)...)
		}
	}
	failed = append(failed, st.ear.wrong()...)
	fmt.Fprintf(out, "\n%d steps in %.0f seconds\n", st.steps, time.Since(began).Seconds())
	if len(failed) > 0 {
		return fmt.Errorf("not all was as it should be:\n  %s", strings.Join(failed, "\n  "))
	}
	fmt.Fprintf(out, "All was as it should be. What is left can be looked at: sign in at %s/auth/apps as %sgrace or %[2]shana with the password %[3]s.\n", originOf(st.base), st.run, demoPassword)
	return ctx.Err()
}

// perform plays a flow, and returns its title with the number of steps that went wrong, if any did.
func (st *stage) perform(ctx context.Context, f flow) []string {
	fmt.Fprintf(st.out, "\n%s\n", f.title)
	c := &scene{stage: st, ctx: ctx}
	f.play(c)
	switch {
	case ctx.Err() != nil:
		return []string{f.title + ": " + ctx.Err().Error()}
	case c.wrong == 0 && c.skipped == 0:
		return nil
	case c.skipped > 0:
		return []string{fmt.Sprintf("%s: %d wrong, and %d steps not tried after that", f.title, c.wrong, c.skipped)}
	}
	return []string{fmt.Sprintf("%s: %d wrong", f.title, c.wrong)}
}
