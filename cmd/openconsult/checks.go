package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// Bounds of what checks take.
const (
	terminologyConns   = 4                // connections to the tables of large code systems
	terminologyTimeout = 10 * time.Second // of a terminology server, whatever it is asked
)

// openChecks makes what resources are held against. What close returns gives its
// connections back.
func openChecks(s *settings, data *store.DB, db *database) (checks *interaction.Checks, close func() error, err error) {
	mandatory, err := s.mandatory()
	if err != nil {
		return nil, nil, err
	}
	token, err := s.terminologyToken()
	if err != nil {
		return nil, nil, err
	}
	pool, err := sql.Open("postgres", db.dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(terminologyConns)
	checks = interaction.NewChecks(data, terminology.Config{
		DB: pool, External: strings.TrimRight(s.TerminologyServer, "/"), Client: &http.Client{Timeout: terminologyTimeout}, Token: token, Now: time.Now,
	}, mandatory)
	checks.StructureOnly, checks.UnknownForms, checks.Preset = s.Validation == "structure", s.UnknownQuestionnaire == "store", s.Preset
	return checks, pool.Close, nil
}

// mandatory returns the profiles that are demanded, by type.
func (s *settings) mandatory() (map[string][]string, error) {
	all := map[string][]string{}
	var problems []error
	for _, text := range s.RequireProfile {
		typ, profile, _ := strings.Cut(text, "=")
		u, err := url.Parse(profile)
		if spec.R4().Resource(typ) == nil || err != nil || !u.IsAbs() {
			problems = append(problems, fmt.Errorf("--require-profile %q: write Type=URL, such as Patient=https://fhir.hl7.org.uk/StructureDefinition/UKCore-Patient", text))
			continue
		}
		all[typ] = append(all[typ], profile)
	}
	return all, errors.Join(problems...)
}

// terminologyToken reads the token for the terminology server.
func (s *settings) terminologyToken() (string, error) {
	if s.TerminologyToken == "" {
		return "", nil
	}
	b, err := os.ReadFile(s.TerminologyToken)
	if err != nil {
		return "", fmt.Errorf("read --terminology-token-file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// installPackages stores what the packages of the settings define.
func installPackages(ctx context.Context, s *settings, engine *interaction.Engine, log *slog.Logger) error {
	session := engine.For(access.Trusted(operator), interaction.Origin{})
	for _, path := range s.Packages {
		p, err := readPackage(path)
		if err != nil {
			return fmt.Errorf("read the package %s: %w", path, err)
		}
		done, err := session.Install(ctx, p)
		if err != nil {
			return fmt.Errorf("install the package %s: %w", path, err)
		}
		for _, i := range done.Problems {
			log.Warn("something in a package is wrong", "package", path, "problem", i.Text, "element", i.Expression)
		}
		log.Info("package installed", "name", p.Name, "version", p.Version, "new", done.Created, "changed", done.Updated, "there", done.Unchanged, "problems", len(done.Problems))
	}
	return nil
}

// readPackage reads a .tgz file or a folder.
func readPackage(path string) (*definition.Package, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return definition.ReadFolder(os.DirFS(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return definition.ReadPackage(filepath.Base(path), f)
}

// sweepEvery is how often code systems are looked for that nobody asks any more.
const sweepEvery = time.Hour

// sweep removes code systems from the tables that are of no use any more, until ctx
// ends. It returns nil.
func sweep(ctx context.Context, terms *terminology.Service, log *slog.Logger) error {
	for {
		if err := terms.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Error("code systems that nobody asks cannot be removed yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(sweepEvery):
		}
	}
}

// conversation returns the rules of conversations. Triage rules that nobody has approved run in
// a demonstration only.
func conversation(s *settings) *interaction.Conversation {
	return &interaction.Conversation{Demo: s.Demo, Limits: consultation.DefaultLimits()}
}
