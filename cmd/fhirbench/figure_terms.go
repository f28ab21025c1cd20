package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	groupTerms = "Terminology"
	termSystem = ours + "CodeSystem/fhirbench-large"
	// longestReading is how long the large code system may take until it is ready.
	longestReading = 5 * time.Minute
)

// termRequests are operations on R4's own definitions.
var termRequests = []struct{ name, address string }{
	{"$validate-code in a value set of R4", "ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/task-status&system=http://hl7.org/fhir/task-status&code=requested"},
	{"$lookup in a code system of R4", "CodeSystem/$lookup?system=http://hl7.org/fhir/task-status&code=requested"},
	{"$expand of a value set of R4, 12 codes", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/task-status"},
	{"$expand of a value set of R4 by a filter", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/resource-types&filter=comm"},
}

// terms measures operations of terminology.
func (f *figures) terms(ctx context.Context) error {
	for _, q := range termRequests {
		if err := f.asking(ctx, groupTerms, q.name, func(*rand.Rand) string { return q.address }); err != nil {
			return err
		}
	}
	if f.concepts == 0 {
		return nil
	}
	if err := f.largeSystem(ctx); err != nil {
		return err
	}
	large := fmt.Sprintf(" in %s concepts", number(float64(f.concepts)))
	code := func(r *rand.Rand) string {
		return fmt.Sprintf("CodeSystem/$validate-code?url=%s&code=%d", termSystem, r.IntN(f.concepts))
	}
	if err := f.asking(ctx, groupTerms, "$validate-code"+large, code); err != nil {
		return err
	}
	return f.asking(ctx, groupTerms, "$expand, 20 below one"+large, func(r *rand.Rand) string {
		return "ValueSet/fhirbench-below/$expand?count=20"
	})
}

// asking measures a GET by all clients and by one.
func (f *figures) asking(ctx context.Context, group, name string, address func(*rand.Rand) string) error {
	ask := func(clients int) side {
		randoms := searching{f.set, searchQuery{}, clients}.randoms()
		return side{clients: clients, next: func(client int) func(context.Context) error {
			q := asking{method: http.MethodGet, address: address(randoms[client])}
			return func(ctx context.Context) error { return f.open.must(ctx, q) }
		}}
	}
	all, err := compete(ctx, f.rounds, f.lasting/2, ask(figureClients), ask(1))
	if err != nil {
		return err
	}
	for i := range all {
		f.add(all[i].figure(group, name))
	}
	return nil
}

// must sends a request that has to succeed.
func (s *served) must(ctx context.Context, q asking) error {
	a, err := s.ask(ctx, q)
	if err != nil {
		return err
	}
	return a.must(q.method + " " + q.address)
}

// largeSystem stores a code system in which each concept is below another one, and waits until it can be asked about the last.
func (f *figures) largeSystem(ctx context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, `{"resourceType":"CodeSystem","id":"fhirbench-large","url":%q,"status":"active","content":"complete","hierarchyMeaning":"is-a",`+
		`"property":[{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],"concept":[{"code":"0","display":"All"}`, termSystem)
	for n := 1; n < f.concepts; n++ {
		fmt.Fprintf(&b, `,{"code":"%d","display":"A finding of the kind %[1]d","property":[{"code":"parent","valueCode":"%d"}]}`, n, (n-1)/8)
	}
	b.WriteString("]}")
	began := time.Now()
	if err := f.put(ctx, "CodeSystem/fhirbench-large", b.String()); err != nil {
		return err
	}
	below := fmt.Sprintf(`{"resourceType":"ValueSet","id":"fhirbench-below","url":"%sValueSet/fhirbench-below","status":"active","compose":{"include":[{"system":%q,"filter":[{"property":"concept","op":"is-a","value":"5"}]}]}}`, ours, termSystem)
	if err := f.put(ctx, "ValueSet/fhirbench-below", below); err != nil {
		return err
	}
	for {
		err := f.open.must(ctx, asking{method: http.MethodGet, address: "ValueSet/fhirbench-below/$expand?count=20"})
		if err == nil {
			break
		}
		if time.Since(began) > longestReading {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	f.add(figure{
		Group: groupTerms, Name: fmt.Sprintf("%s concepts, %s, from the PUT until they are ready", number(float64(f.concepts)), size(int64(b.Len()))),
		Unit: "s", Value: thousandths(time.Since(began).Seconds()), Clients: 1, Requests: 1,
	})
	return nil
}

// put stores a resource on the server without sign-in.
func (f *figures) put(ctx context.Context, address, body string) error {
	return f.open.must(ctx, asking{method: http.MethodPut, address: address, body: []byte(body)})
}
