package main

// complaint is a reason for which people write to their practice: how they put it, and what they hear back.
type complaint struct {
	code, display string
	opening       string
	reply         string
}

func (c complaint) concept() concept {
	answer := coded(snomed, c.code, c.display)
	answer.Text = c.display
	return answer
}

var complaints = []complaint{
	{"25064002", "Headache",
		"I have had a headache most days for the past two weeks, mainly behind the eyes and worse in the afternoon.",
		"Please keep a diary of the headaches for a week and take no more than eight paracetamol a day."},
	{"49727002", "Cough",
		"My cough has not gone away since I had a cold a month ago, and it keeps my partner awake at night.",
		"A cough can last up to eight weeks after a cold; we would like you to have a chest X-ray all the same."},
	{"21522001", "Abdominal pain",
		"I get cramps in my stomach about an hour after meals, and they last until I have been to the toilet.",
		"We have left a form for a blood test at reception and would like a stool sample before we see you."},
	{"271807003", "Eruption of skin",
		"A red itchy rash has come up on both arms. It started on Sunday after I had been gardening.",
		"Thank you for the photographs; this looks like contact dermatitis, and a mild steroid cream should settle it."},
	{"279039007", "Low back pain",
		"My lower back seized up when I lifted a box on Friday and sitting at work has been painful since then.",
		"Keep moving as much as you can; we have referred you to our physiotherapist, who will ring you this week."},
	{"84229001", "Fatigue",
		"I feel tired all the time, even after nine hours of sleep, and I find it hard to concentrate at work.",
		"We have booked blood tests for thyroid, iron and sugar; please come without breakfast on the day."},
	{"162397003", "Pain in throat",
		"My throat has been very sore for five days and swallowing hurts, but I can still drink.",
		"Most sore throats get better within a week without antibiotics; our pharmacist can see you tomorrow."},
	{"404640003", "Dizziness",
		"The room spins for a few seconds when I turn over in bed or look up to a high shelf.",
		"This sounds like positional vertigo, and the exercises in the attached leaflet help most people."},
	{"49650001", "Dysuria",
		"It burns when I pass water and I have had to get up four times in each of the last two nights.",
		"Please hand in a urine sample today; a prescription has gone to your usual pharmacy in the meantime."},
	{"38341003", "Hypertensive disorder",
		"My readings at home this week were between 150 and 160 over 90 to 95, taken morning and evening.",
		"These readings are above your target, so we suggest increasing the amlodipine from 5 mg to 10 mg."},
	{"195967001", "Asthma",
		"I have used my blue inhaler on most days this month, which is more than I normally need.",
		"Needing it so often means that the asthma is not well controlled; the nurse will review you on Thursday."},
	{"61582004", "Allergic rhinitis",
		"My hay fever has started early, and the tablets from the pharmacy do not stop the sneezing.",
		"A steroid nasal spray used every day works better than tablets alone; the first effect takes a week."},
}

var details = []string{
	"I have tried paracetamol and rest, which helped for a few hours only.",
	"It has not got worse since yesterday, but it has not got better either.",
	"I am not taking any other medicines apart from those on my repeat list.",
	"I have no temperature and I am eating and drinking as usual.",
	"I had something like it about two years ago, and Dr Carter saw me then.",
	"My mother had the same trouble at my age, which worries me a little.",
	"I can be reached by phone after three in the afternoon on most days.",
	"Work has been busy, so an appointment early in the morning would be best.",
}

var requests = []string{
	"Could somebody tell me whether I need to be seen?",
	"Would you please advise what I should do next?",
	"Could I have a telephone call about this?",
	"Please let me know if you need a photograph.",
}

var safetyNets = []string{
	"Please ring us at once, or 111 when we are closed, if it gets suddenly worse.",
	"Write to us again here if there is no change after seven days.",
	"Call 999 if you have chest pain, trouble breathing or weakness on one side.",
	"You can answer this message until the end of next week.",
}
