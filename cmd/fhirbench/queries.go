package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
)

// searchQuery is a kind of search, with the values drawn anew for each request.
type searchQuery struct {
	name string
	// made returns the request as "Type?name=value", with escaped values.
	made func(c *corpus, r *rand.Rand) string
}

func patientID(c *corpus, r *rand.Rand) string {
	return "Patient/" + c.id("Patient", r.Uint64N(c.patients()))
}

func owner(c *corpus, r *rand.Rand) string { return pick(r, c.practice.practitioners).Reference }

// exactIdentifier is an identifier that one resource of the type has.
func exactIdentifier(c *corpus, r *rand.Rand) string {
	d := c.draft(held{typeName: "Patient", number: r.Uint64N(c.patients())})
	i := d.identifier("patient")
	return url.QueryEscape(i.System + "|" + i.Value)
}

func prefixAndYear(r *rand.Rand) string {
	return fmt.Sprintf("name=%s&birthdate=%d", pick(r, familyBeginnings)[:3], 1936+r.IntN(80))
}

func reason(r *rand.Rand) string { return fmt.Sprintf("code-%d", r.IntN(corpusReasons)) }

// searchQueries are the searches that are measured, each with pages of 20.
var searchQueries = []searchQuery{
	{"identifier", func(c *corpus, r *rand.Rand) string { return "Patient?identifier=" + exactIdentifier(c, r) }},
	{"owner+status sorted", func(c *corpus, r *rand.Rand) string {
		return "Task?owner=" + owner(c, r) + "&status=requested&_sort=-_lastUpdated"
	}},
	{"Task?patient", func(c *corpus, r *rand.Rand) string { return "Task?patient=" + patientID(c, r) }},
	{"subject+sent sorted", func(c *corpus, r *rand.Rand) string {
		return "Communication?subject=" + patientID(c, r) + "&sent=ge2025-06-01&_sort=-sent"
	}},
	{"name+birthdate", func(_ *corpus, r *rand.Rand) string { return "Patient?" + prefixAndYear(r) }},
	{"questionnaire+authored", func(_ *corpus, r *rand.Rand) string {
		return "QuestionnaireResponse?questionnaire=" + url.QueryEscape(corpusForm(r)) + "&authored=ge" + lastQuarter() + "&_sort=-authored"
	}},
	{"sent on a day, sorted", func(_ *corpus, r *rand.Rand) string {
		return fmt.Sprintf("Communication?sent=2025-%02d-%02d&_sort=-sent", 2+r.IntN(9), 1+r.IntN(28))
	}},
	{"chain by name", func(_ *corpus, r *rand.Rand) string {
		return "Task?patient.family:exact=" + corpusFamily(r)
	}},
	{"chain by identifier", func(c *corpus, r *rand.Rand) string { return "Task?patient.identifier=" + exactIdentifier(c, r) }},
	{"_has, rare", func(_ *corpus, r *rand.Rand) string { return "Patient?_has:Task:patient:status=failed" }},
	{"_has, common", func(_ *corpus, r *rand.Rand) string { return "Patient?_has:Task:patient:status=requested" }},
	{"common and common", func(_ *corpus, r *rand.Rand) string {
		return "Task?status=requested&priority=urgent&_sort=-_lastUpdated"
	}},
	{"rare intersection", func(_ *corpus, r *rand.Rand) string { return "Task?status=failed&priority=asap&code=" + reason(r) }},
	{"either of two statuses", func(c *corpus, r *rand.Rand) string {
		return "Task?status=requested,in-progress&owner=" + owner(c, r)
	}},
	{"in a compartment", func(c *corpus, r *rand.Rand) string { return patientID(c, r) + "/Task?status=requested" }},
	{"_include", func(c *corpus, r *rand.Rand) string { return "Task?owner=" + owner(c, r) + "&_include=Task:patient" }},
	{"_revinclude", func(_ *corpus, r *rand.Rand) string {
		return "Patient?" + prefixAndYear(r) + "&_revinclude=Task:patient"
	}},
	{"count of common", func(_ *corpus, _ *rand.Rand) string { return "Task?status=requested&_summary=count" }},
	{"page 1", func(_ *corpus, _ *rand.Rand) string { return deepSearch }},
}

// deepSearch is the search whose page far behind is compared with its first.
const deepSearch = "Task?status=completed&_sort=-_lastUpdated"
