package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/openconsult/openconsult/fhir"
)

// mostPatients is how many patients a page offers.
const mostPatients = 20

// A choice is what the page for choosing a patient shows.
type choice struct {
	App      string
	Search   bool // the person looks for patients; otherwise all are listed
	Searched bool
	Query    Query
	Born     string // the date of birth as it was typed
	Found    string // how many there are, in words
	Patients []shownPatient
}

// A shownPatient is a patient as pages show it.
type shownPatient struct{ ID, Name, Born, Digits string }

func shown(p Patient) shownPatient {
	digits := []rune(strings.TrimSpace(p.Number))
	return shownPatient{ID: p.ID, Name: p.Name, Born: day(p.BirthDate), Digits: string(digits[max(0, len(digits)-4):])}
}

func showAll(list []Patient) []shownPatient {
	all := make([]shownPatient, len(list))
	for i, p := range list {
		all[i] = shown(p)
	}
	return all
}

// day writes a date of FHIR for people: 31 March 1980.
func day(date string) string {
	for _, form := range [][2]string{{time.DateOnly, "2 January 2006"}, {"2006-01", "January 2006"}} {
		if t, err := time.Parse(form[0], date); err == nil {
			return t.Format(form[1])
		}
	}
	return date
}

// parseDay reads a date of birth as people in the United Kingdom type it, day
// before month, or as FHIR writes it. It returns "" for none and for nonsense.
func parseDay(typed string) (date string, ok bool) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return "", true
	}
	for _, form := range []string{time.DateOnly, "2006-01", "2006"} {
		if _, err := time.Parse(form, typed); err == nil {
			return typed, true
		}
	}
	part := strings.FieldsFunc(typed, func(r rune) bool { return r == '/' || r == '.' || r == '-' || unicode.IsSpace(r) })
	if len(part) != 3 || len(part[2]) != 4 {
		return "", false
	}
	for _, form := range []string{"2 1 2006", "2 Jan 2006", "2 January 2006"} {
		if t, err := time.Parse(form, strings.Join(trimZeros(part), " ")); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

func trimZeros(part []string) []string {
	for i, p := range part[:2] {
		if n, err := strconv.Atoi(p); err == nil && n > 0 {
			part[i] = strconv.Itoa(n)
		}
	}
	return part
}

func (d *desk) patientForm(w http.ResponseWriter, r *http.Request) {
	if e, ok := d.chooser(w, r); ok {
		d.offer(w, r, e, nil)
	}
}

// chooser returns the errand of somebody who has a choice of patients.
func (d *desk) chooser(w http.ResponseWriter, r *http.Request) (*errand, bool) {
	e, ok := d.errand(w, r)
	switch {
	case !ok:
		return nil, false
	case e.User == (fhir.Key{}):
		d.unlinked(w, r, e)
		return nil, false
	case !e.NeedsPatient(e.Scopes):
		d.to(w, r, "/consent", asked(e.Request.ID))
		return nil, false
	}
	return e, true
}

// choosePatient searches, or goes on with the patient that was chosen. Names are
// looked for by POST, so that they get into no history and no log.
func (d *desk) choosePatient(w http.ResponseWriter, r *http.Request) {
	e, ok := d.chooser(w, r)
	if !ok {
		return
	}
	id := e.form.Get("patient")
	if id == "" {
		d.lookFor(w, r, e)
		return
	}
	if _, err := d.patient(r, e, id); err != nil {
		d.fail(w, r, err)
		return
	}
	d.to(w, r, "/consent", url.Values{"request": {e.Request.ID}, "patient": {id}})
}

// patient returns the patient of an id if the person may act for it or see it.
func (d *desk) patient(r *http.Request, e *errand, id string) (Patient, error) {
	if !fhir.ValidID(id) || e.User.Type == "Patient" && e.User.ID != id && d.Patients == nil {
		return Patient{}, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such patient.")
	}
	return d.Patient(r.Context(), e.Session, id)
}

// searches reports whether a person finds patients by searching.
func (e *errand) searches() bool { return e.User.Type == "Practitioner" }

// offer shows the page for choosing. Who acts for patients sees them all at once.
func (d *desk) offer(w http.ResponseWriter, r *http.Request, e *errand, problems []problem) {
	body := choice{App: e.Client.Name, Search: e.searches(), Query: query(e), Born: e.form.Get("birth-date")}
	if !body.Search && d.Patients != nil {
		list, err := d.Patients(r.Context(), e.Session)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		body.Patients = showAll(list)
	}
	if !body.Search {
		body.Searched, body.Found = true, count(len(body.Patients))
	}
	d.showChoice(w, r, e, sheet{Problems: problems, Body: body})
}

func (d *desk) showChoice(w http.ResponseWriter, r *http.Request, e *errand, s sheet) {
	s.Title, s.Step = "Choose a patient", "Step 1 of 2"
	d.show(w, r, e.leading(s), "choose-patient")
}

// query returns what somebody has typed, without the date.
func query(e *errand) Query {
	number := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, e.form.Get("number"))
	return Query{Name: strings.Join(strings.Fields(e.form.Get("name")), " "), Number: number, Limit: mostPatients + 1}
}

// lookFor searches for patients.
func (d *desk) lookFor(w http.ResponseWriter, r *http.Request, e *errand) {
	q, born := query(e), e.form.Get("birth-date")
	var ok bool
	if q.BirthDate, ok = parseDay(born); !ok {
		d.offer(w, r, e, []problem{{"birth-date", "Enter a date of birth such as 31 3 1980."}})
		return
	}
	if q.Name == "" && q.Number == "" && q.BirthDate == "" || !e.searches() {
		d.offer(w, r, e, []problem{{"patient-name", "Enter a name, a date of birth or an NHS number."}})
		return
	}
	list, err := d.Search(r.Context(), e.Session, q)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.BadRequest {
		d.offer(w, r, e, []problem{{"patient-name", o.Issues[0].Text}})
		return
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	body := choice{App: e.Client.Name, Search: true, Searched: true, Query: q, Born: born, Found: count(len(list)), Patients: showAll(list[:min(len(list), mostPatients)])}
	d.showChoice(w, r, e, sheet{Body: body})
}

// count says how many patients there are.
func count(n int) string {
	switch {
	case n == 0:
		return "No patient found"
	case n == 1:
		return "1 patient"
	case n > mostPatients:
		return fmt.Sprintf("The first %d patients: search with more to see others", mostPatients)
	}
	return fmt.Sprintf("%d patients", n)
}
