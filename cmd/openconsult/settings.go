package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// environmentPrefix begins the name of every setting in the environment:
// --base-url is OPENCONSULT_BASE_URL.
const environmentPrefix = "OPENCONSULT_"

// settings is everything that can be set. Each is a flag, an environment
// variable and a key of the configuration file; the flag goes before the
// variable, and that before the file.
type settings struct {
	Config string

	Addr      string
	AdminAddr string
	BaseURL   string
	Auth      string
	Audit     string
	Demo      bool
	Issuers   string
	Providers string
	Outbound  []string
	FullTo    []string
	Proxies   []string

	DSN     string
	DataDir string
	Conns   int
	Unsafe  bool

	TLS     string
	TLSCert string
	TLSKey  string

	LogLevel string
	DiskFree float64
	Purge    bool

	Validation           string
	UnknownQuestionnaire string
	RequireProfile       []string
	Packages             []string
	Preset               string
	TerminologyServer    string
	TerminologyToken     string
	ClamAV               string

	Channels       []string
	ChannelSecrets []string
	SMTPFrom       string
	SMTPPassword   string
	MessageLink    string

	MaxBody   int64
	MaxBundle int64
	MaxBinary int64
}

// flags declares the settings, and with them their defaults.
func (s *settings) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("openconsult", pflag.ContinueOnError)
	f.StringVar(&s.Config, "config", "", "YAML file with settings, by the names of these flags")
	f.StringVar(&s.Addr, "addr", "127.0.0.1:8080", "address to serve FHIR on")
	f.StringVar(&s.AdminAddr, "admin-addr", "127.0.0.1:0", "address for /livez, /readyz, /metrics and pprof; port 0 takes a free one, empty is off")
	f.StringVar(&s.BaseURL, "base-url", "", "public address of the API, such as https://fhir.example.org/fhir; empty is what each request names")
	f.StringVar(&s.Auth, "auth", "smart", "who may do what, the same on all servers of a database: smart is SMART on FHIR with sign-in; none trusts everybody who reaches the address, which then must be loopback")
	f.StringVar(&s.Audit, "audit", "auto", "record who did what as AuditEvents: on, off, or auto, which is on but with --auth=none")
	f.BoolVar(&s.Demo, "demo", false, "make a practice to try the server with, whose passwords everybody knows")
	f.StringVar(&s.Issuers, "issuers", "", "YAML file with other token issuers that are trusted")
	f.StringVar(&s.Providers, "providers", "", "YAML file with OpenID providers that people may sign in at")
	f.StringSliceVar(&s.Outbound, "outbound", nil, "all that the server may call, for keys, sign-in, notifications and imports, as host:port, also in a private network; empty is every public https address")
	f.StringSliceVar(&s.FullTo, "full-notifications", nil, "endpoints of subscriptions that whole resources may be sent to, as host:port; others are told ids only")
	f.StringSliceVar(&s.Proxies, "trusted-proxies", nil, "networks of the proxies in front of the server, such as 10.0.0.0/8, whose X-Forwarded-For is believed")
	f.StringVar(&s.DSN, "dsn", "", "PostgreSQL to use; empty runs a private one in --data-dir")
	f.StringVar(&s.DataDir, "data-dir", "openconsult-data", "directory of the private PostgreSQL")
	f.IntVar(&s.Conns, "conns", 0, "database connections at most; 0 is four for each core")
	f.BoolVar(&s.Unsafe, "unsafe", false, "accept a database that may lose acknowledged writes in a crash")
	f.StringVar(&s.TLS, "tls", "", "dev makes a certificate for this start")
	f.StringVar(&s.TLSCert, "tls-cert", "", "certificate file (PEM)")
	f.StringVar(&s.TLSKey, "tls-key", "", "key file of the certificate (PEM)")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.Float64Var(&s.DiskFree, "disk-free", 5, "percentage of the disk under --data-dir that must be free for writes")
	f.BoolVar(&s.Purge, "purge", false, "serve $purge, which removes the earlier versions of a resource for good")
	f.StringVar(&s.Validation, "validation", "full", "what is held against what is stored: full is invariants, codes, profiles and forms; structure is the structure alone")
	f.StringVar(&s.UnknownQuestionnaire, "unknown-questionnaire", "refuse", "refuse or store answers to a Questionnaire that is not known; store warns")
	f.StringSliceVar(&s.RequireProfile, "require-profile", nil, "profiles that all resources of a type must conform to, as Type=URL")
	f.StringSliceVar(&s.Packages, "package", nil, "FHIR packages whose definitions are stored at the start: .tgz files or folders")
	f.StringVar(&s.Preset, "preset", "", "rules for the hours of services that say how soon they answer: england-2026, or empty for none")
	f.StringVar(&s.TerminologyServer, "terminology-server", "", "base URL of a FHIR terminology server that is asked about codes which are not known here")
	f.StringVar(&s.TerminologyToken, "terminology-token-file", "", "file with the bearer token for it")
	f.StringSliceVar(&s.Channels, "channel", nil, "who sends messages to patients, as CHANNEL=ADDRESS for nhs-app, push, sms and email: https://… is a gateway, smtp://user@host:587 or smtps://… a mail server")
	f.StringSliceVar(&s.ChannelSecrets, "channel-secret-file", nil, "files with the secrets of gateways, as CHANNEL=FILE: what is sent is signed with it, and so are callbacks to /callback/CHANNEL")
	f.StringVar(&s.SMTPFrom, "smtp-from", "", "sender of e-mail, such as 'A practice <messages@example.org>'")
	f.StringVar(&s.SMTPPassword, "smtp-password-file", "", "file with the password of the user of the mail server")
	f.StringVar(&s.MessageLink, "message-link", "", "where patients read a message after signing in, with {id} in place of its id; empty is the front page of this server, which shows no message")
	f.StringVar(&s.ClamAV, "clamav", "", "ClamAV's daemon, which scans what people attach: tcp:host:port or unix:/path; empty is no scanner, and then nothing is said to be clean")
	f.Int64Var(&s.MaxBody, "max-body", 5<<20, "bytes of a request body at most")
	f.Int64Var(&s.MaxBundle, "max-bundle", 50<<20, "bytes of a Bundle at most")
	f.Int64Var(&s.MaxBinary, "max-binary", 100<<20, "bytes of a Binary at most")
	return f
}

// hidden stands for a setting that is a secret, where settings are shown.
const hidden = "(hidden)"

// check refuses values that mean nothing.
func (s *settings) check() error {
	_, err := logLevel(s.LogLevel)
	problems := []error{err}
	refuse := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, errors.New(text))
		}
	}
	refuse(s.Auth != "smart" && s.Auth != "none", "--auth is smart or none")
	refuse(s.Audit != "on" && s.Audit != "off" && s.Audit != "auto", "--audit is on, off or auto")
	refuse(s.Demo && s.Auth == "none", "--demo is for --auth=smart: without sign-in there is nothing to try it with")
	if _, err := s.proxies(); err != nil {
		problems = append(problems, err)
	}
	refuse(s.DSN == hidden, "--dsn is what openconsult config shows in place of the secret; give the DSN itself")
	refuse(s.Conns < 0, "--conns is a number of connections, or 0 for four for each core")
	refuse(!(s.DiskFree >= 0 && s.DiskFree <= 100), "--disk-free is a percentage, 0 to 100")
	refuse(s.Preset != "" && s.Preset != consultation.England2026, "--preset is england-2026, or empty for none")
	refuse(s.Validation != "full" && s.Validation != "structure", "--validation is full or structure")
	refuse(s.UnknownQuestionnaire != "refuse" && s.UnknownQuestionnaire != "store", "--unknown-questionnaire is refuse or store")
	if _, err := s.mandatory(); err != nil {
		problems = append(problems, err)
	}
	if _, err := s.scanner(); err != nil {
		problems = append(problems, err)
	}
	refuse(min(s.MaxBody, s.MaxBundle, s.MaxBinary) < 1, "--max-body, --max-bundle and --max-binary are at least 1")
	return errors.Join(problems...)
}

// proxies returns the networks of trusted proxies.
func (s *settings) proxies() (api.Proxies, error) {
	var all api.Proxies
	for _, text := range s.Proxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies: %q is no network: write 10.0.0.0/8, or an address with /32 or /128", text)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// complete fills what was not given as a flag from the environment and the
// file, and refuses what it does not know in either.
func complete(f *pflag.FlagSet, environment []string) error {
	vars, err := environmentSettings(f, environment)
	if err != nil {
		return err
	}
	path := vars["config"]
	if flag := f.Lookup("config"); flag.Changed {
		path = flag.Value.String()
	}
	file, err := fileSettings(f, path)
	if err != nil {
		return err
	}
	var problems []error
	f.VisitAll(func(flag *pflag.Flag) {
		value, given := vars[flag.Name]
		if !given {
			value, given = file[flag.Name]
		}
		if flag.Changed || !given {
			return
		}
		if err := flag.Value.Set(value); err != nil {
			problems = append(problems, fmt.Errorf("setting %s: %w", flag.Name, err))
		}
	})
	return errors.Join(problems...)
}

// environmentSettings returns the settings in the environment by flag name.
// Variables for the tests are none of them.
func environmentSettings(f *pflag.FlagSet, environment []string) (map[string]string, error) {
	found := map[string]string{}
	var unknown []string
	for _, entry := range environment {
		variable, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(variable, environmentPrefix)
		if !ours || rest == "SHARED" || strings.HasPrefix(rest, "TEST_") {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		if f.Lookup(name) == nil && slices.Contains(clientSettings(), name) {
			continue
		}
		if f.Lookup(name) == nil || name == "help" {
			unknown = append(unknown, variable)
			continue
		}
		found[name] = value
	}
	return found, refuseUnknown("environment", unknown)
}

// clientSettings are the settings of the commands that speak to a server, whose
// variables do not stand in the way of others.
func clientSettings() []string { return []string{"base", "token", "token-command"} }

func fileSettings(f *pflag.FlagSet, path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var values map[string]yaml.Node
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	found := map[string]string{}
	var unknown []string
	for name, node := range values {
		value, ok := fileSetting(f.Lookup(name), node)
		if !ok || name == "config" || name == "help" {
			unknown = append(unknown, name)
			continue
		}
		found[name] = value
	}
	return found, refuseUnknown(path, unknown)
}

// fileSetting returns what the file sets a flag to, as it would stand behind it.
func fileSetting(flag *pflag.Flag, node yaml.Node) (value string, ok bool) {
	switch {
	case flag == nil:
		return "", false
	case node.Kind == yaml.ScalarNode:
		return node.Value, true
	case node.Kind != yaml.SequenceNode || flag.Value.Type() != listType:
		return "", false
	}
	var list []string
	if err := node.Decode(&list); err != nil {
		return "", false
	}
	return strings.Join(list, ","), true
}

// listType is the type of the flags whose value is a list with commas in between.
const listType = "stringSlice"

func refuseUnknown(where string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("unknown settings in %s: %s (openconsult config shows the known ones)", where, strings.Join(names, ", "))
}
