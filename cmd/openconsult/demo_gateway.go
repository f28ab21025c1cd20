package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// The files by which a server of the demo and the command demo find each other: the secret
// that both sign with, and the address of the gateway that the command is while it runs.
const (
	gatewaySecretFile  = "demo-gateway-secret"
	gatewayAddressFile = "demo-gateway-address"
)

// demoChannels are the channels that the demo sends by unless others are set.
func demoChannels() []consultation.Channel {
	return []consultation.Channel{consultation.ChannelApp, consultation.ChannelSMS}
}

// demoSenders returns what sends by the channels of the demo.
func (s *settings) demoSenders() (map[consultation.Channel]dispatch.Sender, error) {
	secret, err := gatewaySecret(s.DataDir)
	if err != nil {
		return nil, err
	}
	all := map[consultation.Channel]dispatch.Sender{}
	gateway := demoGateway{s.DataDir, secret, bearer.NewClient(bearer.Guard{AllowLoopback: true})}
	for _, c := range demoChannels() {
		all[c] = dispatch.Sender{Provider: gateway, Secret: secret}
	}
	return all, nil
}

// gatewaySecret returns the secret in the data directory, which it makes if there is none.
func gatewaySecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, gatewaySecretFile)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the demo's gateway: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(rand.Text())
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the secret of the demo's gateway: %w", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret of the demo's gateway: %w", err)
	}
	if len(b) < leastSecret {
		return nil, fmt.Errorf("the secret of the demo's gateway is cut off: delete %s", path)
	}
	return b, nil
}

// A demoGateway gives messages to the command demo, on this machine, while that runs.
type demoGateway struct {
	dir    string
	secret []byte
	client *http.Client
}

// Send posts m to the address that the command has left. Without one it is tried again.
func (g demoGateway) Send(ctx context.Context, m dispatch.Message) (dispatch.Acceptance, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, gatewayAddressFile))
	if err != nil {
		return dispatch.Acceptance{}, fmt.Errorf("nobody takes messages: openconsult demo does while it runs: %w", err)
	}
	address := strings.TrimSpace(string(b))
	if !isLocal(address) {
		return dispatch.Acceptance{}, fmt.Errorf("the gateway of the demo is on this machine, and %q is not", address)
	}
	w := dispatch.Webhook{URL: address, Secret: g.secret, Client: g.client}
	return w.Send(ctx, m)
}
