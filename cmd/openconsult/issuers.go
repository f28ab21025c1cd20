package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
	"gopkg.in/yaml.v3"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/login"
)

// readList reads a YAML file that is a list, and refuses what it does not know in
// it. Without a path there is nothing.
func readList[T any](path string) ([]T, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	var list []T
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return list, nil
}

// An issuer is an entry of --issuers; see [bearer.Issuer].
type issuer struct {
	URL            string `yaml:"url"`
	JWKS           string `yaml:"jwks"`
	Audience       string `yaml:"audience"`
	SharedAudience bool   `yaml:"shared-audience"`
	Type           string `yaml:"type"`
	Claims         struct {
		Scope         string `yaml:"scope"`
		Patient       string `yaml:"patient"`
		FHIRUser      string `yaml:"fhir-user"`
		Client        string `yaml:"client"`
		Organizations string `yaml:"organizations"`
	} `yaml:"claims"`
}

// readIssuers reads --issuers.
func readIssuers(path string) ([]bearer.Issuer, error) {
	list, err := readList[issuer](path)
	if err != nil {
		return nil, err
	}
	var all []bearer.Issuer
	for _, i := range list {
		if i.URL == "" {
			return nil, fmt.Errorf("read %s: an issuer needs its url, exactly as in iss", path)
		}
		all = append(all, bearer.Issuer{URL: i.URL, JWKS: i.JWKS, Audience: i.Audience, SharedAudience: i.SharedAudience, Type: i.Type, Claims: bearer.Mapping(i.Claims)})
	}
	return all, nil
}

// A provider is an entry of --providers.
type provider struct {
	Name         string   `yaml:"name"`
	Display      string   `yaml:"display"`
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client-id"`
	ClientSecret string   `yaml:"client-secret"`
	KeyFile      string   `yaml:"key-file"` // a private JSON Web Key; relative to the file that names it
	Scopes       []string `yaml:"scopes"`
	Claim        string   `yaml:"claim"`
	System       string   `yaml:"system"`
	Link         string   `yaml:"link"`
	ACR          []string `yaml:"acr"`
	VOT          []string `yaml:"vot"`
}

// readProviders reads --providers.
func readProviders(path string) ([]login.Provider, error) {
	list, err := readList[provider](path)
	if err != nil {
		return nil, err
	}
	var all []login.Provider
	for _, p := range list {
		key, err := readKey(path, p.KeyFile)
		if err != nil {
			return nil, err
		}
		all = append(all, login.Provider{
			Name: p.Name, Display: p.Display, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, Key: key, Scopes: p.Scopes,
			Claim: p.Claim, System: p.System, Link: p.Link, ACR: p.ACR, VOT: p.VOT,
		})
	}
	return all, nil
}

func readKey(beside, name string) (key jose.JSONWebKey, err error) {
	if name == "" {
		return key, nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(beside), name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return key, fmt.Errorf("read a key: %w", err)
	}
	if err := json.Unmarshal(b, &key); err != nil {
		// What is in the file is a secret, and the error might repeat it.
		return key, fmt.Errorf("read a key: %s holds no JSON Web Key", name)
	}
	return key, nil
}
