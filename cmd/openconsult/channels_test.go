package main

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// TestSenders makes what sends messages from the settings, and refuses what cannot be meant.
func TestSenders(t *testing.T) {
	t.Parallel()
	const local, public = "http://localhost:8080/fhir", "https://fhir.example.org/fhir"
	secret, short := writeFile(t, "secret", "0123456789abcdef0123\n"), writeFile(t, "short", "0123")
	for _, c := range []struct {
		args string // separated by spaces
		base string
		says string // of the error; empty for none
	}{
		{"", public, ""},
		{"--channel sms=https://gateway.example.org/send --channel-secret-file sms=" + secret, public, ""},
		{"--channel email=smtp://me@mail.example.org --smtp-from a@example.org --smtp-password-file " + secret, public, ""},
		{"--channel email=smtps://mail.example.org --smtp-from a@example.org --channel-secret-file email=" + secret, public, ""},
		{"--channel sms=http://127.0.0.1:9/ --channel-secret-file sms=" + secret, local, ""},
		{"--channel sms=http://127.0.0.1:9/ --demo --channel-secret-file sms=" + secret, public, ""},
		{"--channel sms=http://127.0.0.1:9/ --channel-secret-file sms=" + secret, public, "not https"},
		{"--channel sms=http://gateway.example.org/ --demo --channel-secret-file sms=" + secret, public, "not https"},
		{"--channel sms=https://10.0.0.1/ --channel-secret-file sms=" + secret, public, "--outbound"},
		{"--channel sms=https://gateway.example.org/", public, "needs a secret"},
		{"--channel sms=https://gateway.example.org/ --channel-secret-file sms=" + short, public, "shorter than 16"},
		{"--channel sms=https://gateway.example.org/ --channel-secret-file sms=/nowhere", public, "read --channel-secret-file"},
		{"--channel-secret-file sms=" + secret, public, "--channel does not name"},
		{"--channel fax=https://gateway.example.org/", public, "CHANNEL=VALUE"},
		{"--channel sms", public, "CHANNEL=VALUE"},
		{"--channel sms=https://a.example.org/ --channel sms=https://b.example.org/", public, "twice"},
		{"--channel sms=smtp://mail.example.org --smtp-from a@example.org", public, "sends email"},
		{"--channel email=smtp://mail.example.org", public, "--smtp-from"},
		{"--channel email=smtp://mail.example.org --smtp-from a@example.org --smtp-password-file /nowhere", public, "read --smtp-password-file"},
		{"--channel email=smtp://me:secret@mail.example.org --smtp-from a@example.org", public, "give it in a file"},
	} {
		s, err := completed(t, strings.Fields(c.args), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.senders(c.base)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "me:secret") {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		if err != nil || len(all) != strings.Count(c.args, "--channel ") {
			t.Errorf("%s: %v, %v", c.args, all, err)
		}
	}
	s, err := completed(t, []string{"--channel", "sms=https://gateway.example.org/", "--channel-secret-file", "sms=" + secret}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.senders(public)
	if err != nil {
		t.Fatal(err)
	}
	hook, is := all[consultation.ChannelSMS].Provider.(*dispatch.Webhook)
	if !is || string(hook.Secret) != "0123456789abcdef0123" || string(all[consultation.ChannelSMS].Secret) != string(hook.Secret) {
		t.Errorf("%+v", all)
	}
	if link := s.messageLink(public); link != "https://fhir.example.org/" {
		t.Error(link)
	}
}
