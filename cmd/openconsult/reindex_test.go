package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestReindex(t *testing.T) {
	t.Parallel()
	data := openStore(t, pgtest.New(t).DSN)
	session := interaction.New(interaction.Config{Store: data}).For(access.Trusted("test"), interaction.Origin{})
	for i := range 30 {
		r, err := fhir.Decode("Patient", fmt.Appendf(nil, `{"resourceType":"Patient","name":[{"family":"Sample %d"}]}`, i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var out, drawn strings.Builder
	if err := reindex(t.Context(), data, &lineProgress{out: &out}); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`(?m)^reindexed 30 resources in [0-9.]+m?s, [0-9]+/s\n$`).MatchString(out.String()) {
		t.Errorf("it says %q", out.String())
	}
	if err := reindex(t.Context(), data, newBar(&drawn)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := follow(ctx, data, &lineProgress{out: &out}); err == nil {
		t.Error("what was interrupted has ended well")
	}
}

func TestLineProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	began := time.Now().Add(-10 * time.Second)
	l := &lineProgress{out: &out}
	l.update(&store.Reindexing{Running: true, Percent: 40, Built: 20_000, Started: began})
	l.update(&store.Reindexing{Running: true, Percent: 41, Built: 20_500, Started: began})
	l.end(&store.Reindexing{Percent: 100, Built: 50_000, Started: began, Ended: began.Add(20 * time.Second)})
	l.end(nil)
	want := regexp.MustCompile(`^reindexing: 40 %, 20000 resources, (1999|2000|19[0-9][0-9])/s\nreindexed 50000 resources in 20s, 2500/s\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("it says %q", out.String())
	}
	if err := unbuilt(&store.Reindexing{Failed: 3}); err == nil || !strings.Contains(err.Error(), "3 resources") {
		t.Errorf("of failures it says %v", err)
	}
}
