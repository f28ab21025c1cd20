package conformance_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestBrowserApp has people use an app written with fhirclient, which runs in a
// browser at another origin than the server.
func TestBrowserApp(t *testing.T) {
	t.Parallel()
	newWindow(t) // skips before the server is built
	fhirclient(t)
	s := newStation(t)
	a := newApp(t, s)
	t.Run("clinician", func(t *testing.T) { clinicianApp(t, a) })
	t.Run("patient", func(t *testing.T) { patientApp(t, a) })
	t.Run("launch", func(t *testing.T) { launchedApp(t, a) })
	t.Run("refusal", func(t *testing.T) { refusedApp(t, a) })
}

// A clinician opens the app, which then works for as long as it may.
func clinicianApp(t *testing.T, a *app) {
	w := newWindow(t)
	w.open(a.address("openid fhirUser launch/patient offline_access patient/*.rs user/Practitioner.rs", ""))
	w.sees("password")
	w.shoot("sign-in")
	w.signIn("demo-grace")
	w.types("patient-name", "Sample")
	w.shoot("choose")
	w.click("search")
	w.sees("patient-demo-ada")
	w.shoot("choose-found")
	w.click("patient-demo-ada")
	w.sees("allow")
	w.shoot("consent")
	w.click("allow")
	w.sees("ready")
	for expression, want := range map[string]string{
		`client.patient.id`:                            "demo-ada",
		`(await client.patient.read()).name[0].family`: "Sample",
		`(await client.request('Task?patient=' + client.patient.id)).entry.map(e => e.resource.id)`: "demo-sore-throat",
		`(await client.patient.request('Communication')).entry.map(e => e.resource.id).sort()`:      "demo-answer,demo-question",
		`(await client.request('Task/demo-sore-throat')).status`:                                    "in-progress",
		`(await client.request('Patient', {flat: true, pageLimit: 0})).map(r => r.id)`:              "demo-ada",
		`client.user.fhirUser`:                                                                      "Practitioner/demo-grace",
		`(await client.user.read()).name[0].family`:                                                 "Example",
		`client.getIdToken().iss`:                                                                   a.station.origin,
		`client.state.tokenResponse.need_patient_banner`:                                            "true",
		`(await client.request('Patient/demo-ben').catch(e => e.status))`:                           "404",
		`(await client.request('Patient/nobody').catch(e => e.status))`:                             "404",
		`(await client.create({resourceType: 'Basic', code: {text: 'x'}}).catch(e => e.status))`:    "403",
		`(await client.request('Task/demo-sore-throat', {resolveReferences: 'for'})).for.birthDate`: "1984-02-29",
	} {
		if got := w.script(expression); got != want && got != a.station.base+"/"+want {
			t.Errorf("%s is %s, not %s", expression, got, want)
		}
	}
	refreshes(t, w)
	revokes(t, a, w)
}

// refreshes renews the token twice, as the client does by itself when it ends.
func refreshes(t *testing.T, w *window) {
	t.Helper()
	for range 2 {
		before := w.script(`client.state.tokenResponse.access_token + ' ' + client.state.tokenResponse.refresh_token`)
		after := w.script(`client.refresh().then(s => s.tokenResponse.access_token + ' ' + s.tokenResponse.refresh_token)`)
		oldAccess, oldRefresh, _ := strings.Cut(before, " ")
		access, refresh, _ := strings.Cut(after, " ")
		if access == "" || access == oldAccess || refresh == "" || refresh == oldRefresh {
			t.Errorf("refreshing leads from %s to %s", before, after)
		}
		if got := w.script(`(await client.patient.read()).id`); got != "demo-ada" {
			t.Errorf("after refreshing the patient is %s", got)
		}
	}
}

// revokes takes the access away at the page of apps, in the same browser.
func revokes(t *testing.T, a *app, w *window) {
	t.Helper()
	token := w.script(`client.state.tokenResponse.access_token`)
	w.open(a.station.origin + "/auth/apps")
	w.sees("to-sign-out")
	w.shoot("apps")
	id := w.script(`document.querySelector('[id^=revoke-]').id`)
	w.click(id)
	w.sees("done")
	w.shoot("apps-removed")
	if got := a.station.ask(token, "GET Patient/demo-ada", ""); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("after the app was removed its token is answered with %d", got.status)
	}
	w.open(a.URL + "/app.html")
	w.sees("ready") // the client goes on with what the window keeps
	if got, err := w.try(`await client.patient.read().then(p => p.id)`); err == nil {
		t.Errorf("after the app was removed it reads Patient %s", got)
	}
}

// A patient is not asked who it is about.
func patientApp(t *testing.T, a *app) {
	w := newWindow(t)
	w.open(a.address("openid fhirUser launch/patient patient/*.cruds", ""))
	w.signIn("demo-ada")
	w.sees("allow")
	w.shoot("consent-patient")
	w.click("allow")
	w.sees("ready")
	const message = `{resourceType: 'Communication', status: 'completed', partOf: [{reference: 'Task/demo-sore-throat'}], sender: {reference: 'Patient/demo-ada'},
		subject: {reference: 'Patient/demo-ada'}, recipient: [{reference: 'Organization/demo-practice'}], payload: [{contentString: 'It is better now.'}]}`
	for expression, want := range map[string]string{
		`client.patient.id`: "demo-ada",
		`client.getUserType() + ' ' + client.getUserId()`:                                            "Patient demo-ada",
		`(await client.user.read()).name[0].given`:                                                   "Ada",
		`(await client.request('Task?patient=' + client.patient.id, {flat: true})).map(r => r.id)`:   "demo-sore-throat",
		`(await client.request('Patient', {flat: true})).map(r => r.id)`:                             "demo-ada",
		`(await client.create(` + message + `)).payload[0].contentString`:                            "It is better now.",
		`(await client.request('Patient/demo-ben').catch(e => e.status))`:                            "404",
		`(await client.delete('Communication/demo-question').catch(e => e.status))`:                  "403",
		`(await (async () => client.refresh())().catch(e => e.message.includes('refresh')))`:         "true", // it has not asked for access while the person is away
		`(await client.request('Task/demo-sore-throat', {resolveReferences: ['owner']})).owner.name`: "Sampleford Surgery",
	} {
		if got := w.script(expression); got != want {
			t.Errorf("%s is %s, not %s", expression, got, want)
		}
	}
	// Signing out ends what was not meant to outlast it.
	token := w.script(`client.state.tokenResponse.access_token`)
	w.open(a.station.origin + "/auth/sign-out")
	w.click("sign-out")
	w.sees("again")
	refusedSoon(t, a.station.base, token, "Patient/demo-ada")
}

// An EHR opens the app with a patient.
func launchedApp(t *testing.T, a *app) {
	handle := a.station.command("launch", "--client", a.id, "--user", "demo-grace", "--patient", "demo-ben", "--intent", "reconcile")
	const scope = "openid fhirUser launch patient/Patient.rs patient/Task.rs"
	w := newWindow(t)
	w.open(a.address(scope, handle))
	w.signIn("demo-grace")
	w.sees("allow")
	w.shoot("consent-launch")
	w.click("allow")
	w.sees("ready")
	for expression, want := range map[string]string{
		`client.patient.id`:                                                 "demo-ben",
		`(await client.patient.read()).name[0].family`:                      "Testman",
		`client.state.tokenResponse.intent`:                                 "reconcile",
		`(await client.request('Task?patient=' + client.patient.id)).total`: "0",
		`(await fetch(client.state.tokenResponse.smart_style_url)).status`:  "200",
	} {
		if got := w.script(expression); got != want {
			t.Errorf("%s is %s, not %s", expression, got, want)
		}
	}
	w.open(a.address(scope, handle))
	w.sees("failed")
	if text := w.script(`document.body.innerText`); !strings.Contains(text, "launch") {
		t.Errorf("a launch that was used is refused with %s", text)
	}

	stolen := a.station.command("launch", "--client", a.id, "--user", "demo-omar", "--patient", "demo-ben")
	w.open(a.address(scope, stolen))
	w.sees("error")
	if text := w.script(`document.title`); !strings.Contains(text, "somebody else") {
		t.Errorf("a launch of somebody else leads to %q", text)
	}
}

// Somebody who says no sends the app away.
func refusedApp(t *testing.T, a *app) {
	w := newWindow(t)
	w.open(a.address("launch/patient patient/Patient.rs", ""))
	w.signIn("demo-cleo")
	w.click("refuse")
	w.sees("failed")
	if text := w.script(`document.body.innerText`); !strings.Contains(text, "access_denied") && !strings.Contains(text, "not allow") {
		t.Errorf("the app is told %s", text)
	}
	if !strings.HasPrefix(w.script(`location.href`), a.URL) {
		t.Errorf("the browser is at %s", w.script(`location.href`))
	}
}
