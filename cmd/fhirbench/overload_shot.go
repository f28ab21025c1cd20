package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
)

// maxShots is how many requests are made before a storm; they are sent again and again, in this order.
const maxShots = 4096

// A mixture says how many of a hundred requests read, search and create.
type mixture [3]int

// String returns the mixture as -mix takes it.
func (m mixture) String() string { return fmt.Sprintf("%d/%d/%d", m[0], m[1], m[2]) }

// Set reads a mixture such as 60/25/15.
func (m *mixture) Set(text string) error {
	parts := strings.Split(text, "/")
	sum := 0
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || i >= len(m) {
			return fmt.Errorf("give reads, searches and creates of a hundred, such as 60/25/15")
		}
		m[i], sum = n, sum+n
	}
	if sum != 100 || len(parts) != len(m) {
		return fmt.Errorf("reads, searches and creates must make a hundred, such as 60/25/15")
	}
	return nil
}

// arm makes what is read and searched, and then the requests as they go over the wire.
func arm(ctx context.Context, c config, t *httpTarget) ([][]byte, error) {
	workers, err := prepare(ctx, c, t)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(c.seed, 10))
	shots := make([][]byte, maxShots)
	for i := range shots {
		w := workers[i%len(workers)]
		r, err := shotOf(ctx, c, t, aim{w, random})
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			return nil, fmt.Errorf("write a request: %w", err)
		}
		shots[i] = b.Bytes()
	}
	return shots, nil
}

// An aim is what a request is about.
type aim struct {
	worker *worker
	random *rand.Rand
}

func shotOf(ctx context.Context, c config, t *httpTarget, a aim) (*http.Request, error) {
	h := a.worker.pick()
	switch point := a.random.IntN(100); {
	case point < c.mix[0]:
		return t.request(ctx, op{kind: read, typeName: h.typeName, id: h.id})
	case point < c.mix[0]+c.mix[1]:
		return t.asked(ctx, asking{method: http.MethodGet, address: a.query(h.typeName)})
	}
	return t.request(ctx, a.worker.create())
}

// query returns a search that finds a few resources, the latest first.
func (a aim) query(typeName string) string {
	p := a.worker.content.practice
	patient := p.patients[a.random.IntN(len(p.patients))].Reference
	switch typeName {
	case "Communication":
		return "Communication?subject=" + patient + "&sent=ge2025-01-01&_sort=-sent&_count=10"
	case "Task", "QuestionnaireResponse":
		return typeName + "?patient=" + patient + "&_count=10"
	}
	return "Patient?" + prefixAndYear(a.random) + "&_count=10"
}
