package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// leastSecret is how many bytes the secret of a gateway has at least.
const leastSecret = 16

// senders returns what sends by each channel that is set. base is the public address of the
// API.
func (s *settings) senders(base string) (map[consultation.Channel]dispatch.Sender, error) {
	if s.Demo && len(s.Channels) == 0 && len(s.ChannelSecrets) == 0 {
		return s.demoSenders()
	}
	addresses, err := byChannel("--channel", s.Channels)
	if err != nil {
		return nil, err
	}
	secrets, err := s.channelSecrets(addresses)
	if err != nil {
		return nil, err
	}
	all := map[consultation.Channel]dispatch.Sender{}
	for c, address := range addresses {
		p, err := s.provider(base, c, gateway{address, secrets[c]})
		if err != nil {
			return nil, err
		}
		all[c] = dispatch.Sender{Provider: p, Secret: secrets[c]}
	}
	return all, nil
}

// byChannel reads name=value for each channel.
func byChannel(flag string, list []string) (map[consultation.Channel]string, error) {
	all := map[consultation.Channel]string{}
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		c := consultation.Channel(name)
		if !slices.Contains(consultation.Channels(), c) || value == "" {
			return nil, fmt.Errorf("%s is CHANNEL=VALUE, with nhs-app, push, sms or email as the channel", flag)
		}
		if _, twice := all[c]; twice {
			return nil, fmt.Errorf("%s names the channel %s twice", flag, c)
		}
		all[c] = value
	}
	return all, nil
}

// channelSecrets reads the secrets of the channels that have an address.
func (s *settings) channelSecrets(of map[consultation.Channel]string) (map[consultation.Channel][]byte, error) {
	files, err := byChannel("--channel-secret-file", s.ChannelSecrets)
	if err != nil {
		return nil, err
	}
	all := map[consultation.Channel][]byte{}
	for c, file := range files {
		if of[c] == "" {
			return nil, fmt.Errorf("--channel-secret-file has a secret for %s, which --channel does not name", c)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read --channel-secret-file: %w", err)
		}
		if all[c] = bytes.TrimSpace(b); len(all[c]) < leastSecret {
			return nil, fmt.Errorf("the secret of the channel %s is shorter than %d bytes", c, leastSecret)
		}
	}
	return all, nil
}

// A gateway is where messages of a channel go.
type gateway struct {
	address string
	secret  []byte
}

// provider returns what sends by a channel.
func (s *settings) provider(base string, c consultation.Channel, to gateway) (dispatch.Provider, error) {
	u, err := url.Parse(to.address)
	if err != nil {
		return nil, fmt.Errorf("--channel: the address of %s cannot be read", c)
	}
	if u.Scheme == "smtp" || u.Scheme == "smtps" {
		return s.mailer(c, to.address)
	}
	guard := s.guard(base)
	guard.AllowLoopback = guard.AllowLoopback || s.Demo
	if err := guard.CheckURL(to.address); err != nil {
		return nil, fmt.Errorf("--channel: the address of %s is not https, or --outbound does not allow it: %w", c, err)
	}
	if to.secret == nil {
		return nil, fmt.Errorf("the gateway of the channel %s needs a secret: give --channel-secret-file %s=FILE", c, c)
	}
	return &dispatch.Webhook{URL: to.address, Secret: to.secret, Client: bearer.NewClient(guard)}, nil
}

// mailer returns what sends e-mail.
func (s *settings) mailer(c consultation.Channel, address string) (dispatch.Provider, error) {
	if c != consultation.ChannelEmail {
		return nil, fmt.Errorf("--channel: a mail server sends email, and not %s", c)
	}
	if s.SMTPFrom == "" {
		return nil, errors.New("a mail server needs --smtp-from, the sender of e-mail")
	}
	password := ""
	if s.SMTPPassword != "" {
		b, err := os.ReadFile(s.SMTPPassword)
		if err != nil {
			return nil, fmt.Errorf("read --smtp-password-file: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	m, err := dispatch.NewSMTP(address, s.SMTPFrom, password)
	if err != nil {
		return nil, fmt.Errorf("--channel: %w", err)
	}
	return m, nil
}

// messageLink returns where patients read a message: at the server itself, unless it is set.
func (s *settings) messageLink(base string) string {
	if s.MessageLink != "" {
		return s.MessageLink
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/"
}
