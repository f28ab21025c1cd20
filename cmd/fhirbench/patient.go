package main

import (
	"fmt"
	"strings"
	"time"
)

type patient struct {
	ResourceType         string           `json:"resourceType"`
	ID                   string           `json:"id,omitempty"`
	Identifier           []identifier     `json:"identifier"`
	Active               bool             `json:"active"`
	Name                 []humanName      `json:"name"`
	Telecom              []contactPoint   `json:"telecom"`
	Gender               string           `json:"gender"`
	BirthDate            string           `json:"birthDate"`
	Address              []address        `json:"address"`
	MaritalStatus        concept          `json:"maritalStatus"`
	Contact              []patientContact `json:"contact"`
	Communication        []spoken         `json:"communication"`
	GeneralPractitioner  []reference      `json:"generalPractitioner"`
	ManagingOrganization reference        `json:"managingOrganization"`
}

type patientContact struct {
	Relationship []concept      `json:"relationship"`
	Name         humanName      `json:"name"`
	Telecom      []contactPoint `json:"telecom"`
}

type spoken struct {
	Language  concept `json:"language"`
	Preferred bool    `json:"preferred"`
}

// patient makes somebody registered at the practice. Each revision moves them to another house.
func (d *draft) patient() patient {
	given, family := pick(d.random, givenNames), pick(d.random, familyNames)
	middle := pick(d.random, middleNames)
	born := time.Date(1935, time.January, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, d.random.IntN(85*365))
	name := humanName{
		Use: "official", Text: strings.Join([]string{given.name, middle, family}, " "),
		Family: family, Given: []string{given.name, middle}, Prefix: []string{given.prefix},
	}
	return patient{
		ResourceType: "Patient",
		ID:           d.id,
		Identifier: []identifier{
			{Use: "official", System: "https://fhir.nhs.uk/Id/nhs-number", Value: nhsNumber(d.seed, d.number)},
			d.identifier("patient"),
		},
		Active:               true,
		Name:                 []humanName{name},
		Telecom:              d.telecom(given.name, family),
		Gender:               given.gender,
		BirthDate:            born.Format(time.DateOnly),
		Address:              []address{d.home()},
		MaritalStatus:        pick(d.random, maritalStatuses),
		Contact:              []patientContact{d.nextOfKin(family)},
		Communication:        []spoken{{Language: coded("urn:ietf:bcp:47", "en-GB", "English (United Kingdom)"), Preferred: true}},
		GeneralPractitioner:  []reference{pick(d.random, d.practice.practitioners)},
		ManagingOrganization: d.practice.organization,
	}
}

func (d *draft) telecom(given, family string) []contactPoint {
	mail := fmt.Sprintf("%s.%s.%d@example.org", strings.ToLower(given), strings.ToLower(family), d.number)
	return []contactPoint{
		{System: "phone", Value: d.mobile(), Use: "mobile", Rank: 1},
		{System: "email", Value: mail, Use: "home", Rank: 2},
	}
}

// mobile draws from the numbers kept for fiction in the United Kingdom.
func (d *draft) mobile() string { return fmt.Sprintf("07700 %06d", 900000+d.random.IntN(1000)) }

func (d *draft) home() address {
	// The revision is part of the house number, so that two moves never lead to the same door.
	line := fmt.Sprintf("%d %s", 1+d.change.IntN(50)+100*d.revision, pick(d.change, streets))
	town := pick(d.random, towns)
	code := fmt.Sprintf("ZZ%d %dAB", 1+d.random.IntN(20), d.random.IntN(10))
	return address{
		Use: "home", Type: "both", Text: strings.Join([]string{line, town, code}, ", "),
		Line: []string{line}, City: town, District: "Northshire", PostalCode: code, Country: "GB",
		Period: &period{Start: d.changed(d.begun()).Format(time.DateOnly)},
	}
}

func (d *draft) nextOfKin(family string) patientContact {
	given := pick(d.random, givenNames)
	return patientContact{
		Relationship: []concept{coded("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Next-of-Kin")},
		Name:         humanName{Family: family, Given: []string{given.name}, Prefix: []string{given.prefix}},
		Telecom:      []contactPoint{{System: "phone", Value: d.mobile(), Use: "mobile"}},
	}
}

// nhsNumber makes a ten-digit number with a right check digit. It begins with 9, which no living patient's does.
func nhsNumber(seed, number uint64) string {
	for n := seed*0x9E3779B97F4A7C15 + number*48271; ; n++ {
		digits := fmt.Sprintf("9%08d", n%100_000_000)
		if check := checkDigit(digits); check < 10 {
			return fmt.Sprintf("%s%d", digits, check)
		}
	}
}

// checkDigit is the modulus 11 check of the NHS number: 10 means that the digits may not be used.
func checkDigit(digits string) int {
	sum := 0
	for i, c := range digits {
		sum += int(c-'0') * (10 - i)
	}
	return (11 - sum%11) % 11
}

const maritalSystem = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"

var maritalStatuses = []concept{
	coded(maritalSystem, "M", "Married"),
	coded(maritalSystem, "S", "Never Married"),
	coded(maritalSystem, "D", "Divorced"),
	coded(maritalSystem, "W", "Widowed"),
}

type givenName struct{ name, gender, prefix string }

var givenNames = []givenName{
	{"Amelia", "female", "Ms"}, {"Oliver", "male", "Mr"}, {"Priya", "female", "Mrs"}, {"Tomasz", "male", "Mr"},
	{"Grace", "female", "Miss"}, {"Mohammed", "male", "Mr"}, {"Eleanor", "female", "Mrs"}, {"Samuel", "male", "Mr"},
	{"Chidera", "female", "Ms"}, {"Callum", "male", "Mr"}, {"Sian", "female", "Mrs"}, {"Hari", "male", "Mr"},
	{"Florence", "female", "Miss"}, {"George", "male", "Mr"}, {"Yusra", "female", "Ms"}, {"Patrick", "male", "Mr"},
}

var middleNames = []string{"Alex", "Charlie", "Jordan", "Kiran", "Lee", "Noor", "Robin", "Sam"}

var familyNames = []string{
	"Ashworth", "Begum", "Carter", "Dhillon", "Evans", "Fraser", "Gallagher", "Hussain", "Iqbal", "Jones", "Kowalski",
	"Lloyd", "Mensah", "Nowak", "Okafor", "Patel", "Quinn", "Robinson", "Sharma", "Taylor", "Underwood", "Vaughan",
	"Walker", "Young",
}

var streets = []string{
	"Station Road", "Church Lane", "Victoria Street", "Mill Lane", "Orchard Close", "The Green", "Kings Avenue", "Park View",
}

var towns = []string{"Harrowbeck", "Little Stanning", "Oxmere", "Thornleigh", "Wexcombe", "Aldersby"}
