package terminology

import (
	_ "embed"
	"strings"
	"sync"
)

// Countries, each with alpha-2, alpha-3 and numeric code and an English name.
//
//go:embed data/countries.txt
var countryTable string

// Currencies, each with code and English name; those that are out of use say so.
//
//go:embed data/currencies.txt
var currencyTable string

// The names of the time zone database, version 2025b.
//
//go:embed data/zones.txt
var zoneTable string

// countries are the codes of ISO 3166-1: all with two letters, then those with three,
// then the numbers.
var countries = sync.OnceValue(func() *listed {
	rows := rowsOf(countryTable)
	var all []concept
	for column := range 3 {
		for _, row := range rows {
			all = append(all, concept{code: row[column], display: row[3]})
		}
	}
	return newListed(header{url: "urn:iso:std:iso:3166", name: "ISO3166-1", title: "Codes of countries", content: "complete", language: "en"}, all)
})

// currencies are the codes of ISO 4217.
var currencies = sync.OnceValue(func() *listed {
	var all []concept
	for _, row := range rowsOf(currencyTable) {
		all = append(all, concept{code: row[0], display: row[1], inactive: len(row) > 2})
	}
	return newListed(header{url: "urn:iso:std:iso:4217", name: "ISO4217", title: "Codes of currencies", content: "complete", language: "en"}, all)
})

// zones are the names of IANA's time zones. https://www.iana.org/time-zones
var zones = sync.OnceValue(func() *listed {
	var all []concept
	for _, row := range rowsOf(zoneTable) {
		all = append(all, concept{code: row[0], display: row[0]})
	}
	return newListed(header{url: "https://www.iana.org/time-zones", version: "2025b", name: "IANATimeZones", title: "IANA time zones", content: "complete", caseSensitive: true}, all)
})

func rowsOf(table string) [][]string {
	var rows [][]string
	for line := range strings.Lines(table) {
		rows = append(rows, strings.Split(strings.TrimSpace(line), "\t"))
	}
	return rows
}
