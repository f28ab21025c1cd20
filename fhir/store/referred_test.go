package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestReferred asks what resources refer to in all the ways that JSON can say it, page
// by page.
func TestReferred(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, id := range []string{"plain", "escaped", "spaced", "version", "inner", "over", "quoted", "elsewhere", "nobodys"} {
		put(t, db, fhir.Key{Type: "Practitioner", ID: id}, `{"resourceType":"Practitioner"}`, store.Anything)
	}
	put(t, db, fhir.Key{Type: "PractitionerRole", ID: "role"}, `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/over"}}`, store.Anything)
	from := fhir.Key{Type: "Observation", ID: "o"}
	put(t, db, from, `{"resourceType":"Observation","status":"final","code":{"text":"\"reference\":\"Practitioner/quoted\""},"performer":[{"reference" :
		"Practitioner/spaced"},{"reference":"Practitioner/plain"},{"reference":"Practitioner\/escaped"},{"reference":"Practitioner/version/_history/1"},{"reference":"Practitioner/missing"},
		{"reference":"https://elsewhere.example/Practitioner/elsewhere"},{"reference":"PractitionerRole/role"},{"reference":"Practitioner/plain"},{"reference":"#c"}],
		"contained":[{"resourceType":"Observation","id":"c","status":"final","code":{"text":"x"},"performer":[{"reference":"Practitioner/inner"}],"hasMember":[{"reference":"Observation/o"}]}]}`, store.Anything)
	v, err := db.Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	types := []string{"Practitioner", "PractitionerRole", "Observation"}
	direct := "Practitioner/escaped Practitioner/inner Practitioner/plain Practitioner/spaced Practitioner/version PractitionerRole/role"
	all := store.Referral{From: []store.Version{*v}, Types: types}
	over, query, few := all, all, all
	over.Over = []string{"PractitionerRole"}
	query.From, query.Query = nil, &search.Query{Types: []string{"Observation"}, Count: 1}
	few.Types = []string{"PractitionerRole"}
	for _, c := range []struct {
		name  string
		grant access.Grant
		of    store.Referral
		want  string
	}{
		{"direct", access.Trusted("x"), all, direct},
		{"found", access.Trusted("x"), query, direct},
		{"over another", access.Trusted("x"), over, strings.Replace(direct, "Practitioner/plain", "Practitioner/over Practitioner/plain", 1)},
		{"one type", access.Trusted("x"), few, "PractitionerRole/role"},
		{"nothing", access.Trusted("x"), store.Referral{Types: types}, ""},
		{"no grant", access.Grant{}, over, ""},
		{"no grant to find", access.Grant{}, query, ""},
	} {
		for _, limit := range []int{1, 2, 6, 100} {
			if got := fmt.Sprint(referred(t, db, c.grant, c.of, limit)); got != "["+c.want+"]" {
				t.Errorf("%s, %d at a time: %s, want %s", c.name, limit, got, c.want)
			}
		}
	}
	if none, next, err := db.Referred(t.Context(), access.Trusted("x"), all); len(none) != 0 || next == "" || err != nil {
		t.Errorf("with no room: %v, %q, %v", none, next, err)
	}
	all.After = "nowhere"
	if _, _, err := db.Referred(t.Context(), access.Trusted("x"), all); fhir.AsOutcome(err) == nil {
		t.Errorf("a position that is none: %v", err)
	}
}

// referred returns what comes on all pages, sorted.
func referred(t *testing.T, db *store.DB, g access.Grant, r store.Referral, limit int) (keys []string) {
	t.Helper()
	r.Limit = limit
	for {
		page, next, err := db.Referred(t.Context(), g, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page {
			keys = append(keys, v.Key.String())
		}
		if next == "" {
			slices.Sort(keys)
			return keys
		}
		if r.After = next; len(page) != limit {
			t.Errorf("a page of %d has %d", limit, len(page))
		}
	}
}
