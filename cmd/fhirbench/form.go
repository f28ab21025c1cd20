package main

// question is one of the 30 items of the form that generated QuestionnaireResponses answer.
type question struct {
	linkID string
	text   string
	// typ is a code of https://hl7.org/fhir/R4/valueset-item-type.html.
	typ string
	// options are the answers allowed for a choice.
	options []coding
	// most is the largest answer to an integer or decimal question.
	most int
}

const (
	formID      = "fhirbench-online-consultation"
	formVersion = "1.0.0"
)

var (
	howLong  = answers("days", "A few days", "weeks", "A few weeks", "months", "Months or longer")
	howBad   = answers("mild", "Mild", "moderate", "Moderate", "severe", "Severe")
	howOften = answers("never", "Never", "sometimes", "On some days", "often", "On most days", "always", "Every day")
	contact  = answers("message", "Message", "phone", "Telephone call", "video", "Video call", "visit", "Appointment")
	smoking  = answers("never", "Never smoked", "former", "Used to smoke", "current", "Smokes now")
)

var questions = []question{
	{linkID: "problem-summary", text: "What would you like help with?", typ: "text"},
	{linkID: "problem-start", text: "When did it start?", typ: "date"},
	{linkID: "problem-duration", text: "How long have you had it?", typ: "choice", options: howLong},
	{linkID: "problem-severity", text: "How bad is it at its worst?", typ: "choice", options: howBad},
	{linkID: "problem-frequency", text: "How often do you notice it?", typ: "choice", options: howOften},
	{linkID: "problem-score", text: "How much does it bother you, from 0 to 10?", typ: "integer", most: 10},
	{linkID: "problem-worse", text: "Is it getting worse?", typ: "boolean"},
	{linkID: "problem-before", text: "Have you had it before?", typ: "boolean"},
	{linkID: "problem-tried", text: "What have you tried so far?", typ: "text"},
	{linkID: "problem-worry", text: "What worries you most about it?", typ: "text"},
	{linkID: "alarm-chest-pain", text: "Do you have pain in your chest?", typ: "boolean"},
	{linkID: "alarm-breath", text: "Are you short of breath at rest?", typ: "boolean"},
	{linkID: "alarm-bleeding", text: "Have you lost blood?", typ: "boolean"},
	{linkID: "alarm-fever", text: "Do you have a temperature?", typ: "boolean"},
	{linkID: "reading-temperature", text: "Temperature in degrees Celsius", typ: "decimal", most: 39},
	{linkID: "reading-pulse", text: "Pulse in beats a minute", typ: "integer", most: 110},
	{linkID: "reading-systolic", text: "Upper blood pressure in mmHg", typ: "integer", most: 160},
	{linkID: "reading-diastolic", text: "Lower blood pressure in mmHg", typ: "integer", most: 95},
	{linkID: "reading-weight", text: "Weight in kilograms", typ: "decimal", most: 110},
	{linkID: "life-smoking", text: "Do you smoke?", typ: "choice", options: smoking},
	{linkID: "life-alcohol", text: "Units of alcohol in a week", typ: "integer", most: 30},
	{linkID: "life-sleep", text: "How often do you sleep badly?", typ: "choice", options: howOften},
	{linkID: "life-mood", text: "How often do you feel low?", typ: "choice", options: howOften},
	{linkID: "life-work", text: "Has it kept you from work?", typ: "boolean"},
	{linkID: "medicine-allergy", text: "Are you allergic to any medicine?", typ: "boolean"},
	{linkID: "medicine-list", text: "Which medicines do you take?", typ: "string"},
	{linkID: "contact-how", text: "How should we answer you?", typ: "choice", options: contact},
	{linkID: "contact-when", text: "When is a good time?", typ: "string"},
	{linkID: "contact-by", text: "By which day do you need an answer?", typ: "date"},
	{linkID: "consent-record", text: "May we keep your answers in your record?", typ: "boolean"},
}

// answers makes the options of a choice from pairs of code and display.
func answers(pairs ...string) []coding {
	var options []coding
	for i := 0; i+1 < len(pairs); i += 2 {
		options = append(options, coding{
			System: ours + "CodeSystem/fhirbench-answers", Code: pairs[i], Display: pairs[i+1],
		})
	}
	return options
}

type questionnaire struct {
	ResourceType string     `json:"resourceType"`
	ID           string     `json:"id"`
	URL          string     `json:"url"`
	Version      string     `json:"version"`
	Name         string     `json:"name"`
	Title        string     `json:"title"`
	Status       string     `json:"status"`
	SubjectType  []string   `json:"subjectType"`
	Item         []formItem `json:"item"`
}

type formItem struct {
	LinkID       string         `json:"linkId"`
	Text         string         `json:"text"`
	Type         string         `json:"type"`
	AnswerOption []answerOption `json:"answerOption,omitempty"`
}

type answerOption struct {
	ValueCoding coding `json:"valueCoding"`
}

// formNamed is how answers name the Questionnaire with an id.
func formNamed(id string) string { return formURL(id) + "|" + formVersion }

func formURL(id string) string { return ours + "Questionnaire/" + id }

// form is the Questionnaire with an id, for servers that check answers against it. All ask the same.
func form(id string) questionnaire {
	q := questionnaire{
		ResourceType: "Questionnaire",
		ID:           id,
		URL:          formURL(id),
		Version:      formVersion,
		Name:         "FhirbenchOnlineConsultation",
		Title:        "Online consultation",
		Status:       "active",
		SubjectType:  []string{"Patient"},
	}
	for _, a := range questions {
		item := formItem{LinkID: a.linkID, Text: a.text, Type: a.typ}
		for _, o := range a.options {
			item.AnswerOption = append(item.AnswerOption, answerOption{ValueCoding: o})
		}
		q.Item = append(q.Item, item)
	}
	return q
}
