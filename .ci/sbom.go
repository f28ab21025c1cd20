//go:build ignore

// Command sbom prints what a Go binary is made of, as the binary itself says: a CycloneDX 1.5 document with every module, its version and
// its checksum. The same binary gives the same document.
//
//	go run .ci/sbom.go BINARY VERSION
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"path"
	"runtime/debug"
	"strings"
)

// The parts of https://cyclonedx.org/docs/1.5/json/ that are filled.
type (
	document struct {
		Schema       string       `json:"$schema"`
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component  component  `json:"component"`
		Properties []property `json:"properties,omitempty"`
	}
	component struct {
		Ref      string    `json:"bom-ref"`
		Type     string    `json:"type"`
		Name     string    `json:"name"`
		Version  string    `json:"version"`
		PURL     string    `json:"purl"`
		Hashes   []hash    `json:"hashes,omitempty"`
		Licenses []license `json:"licenses,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	license struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref  string   `json:"ref"`
		Uses []string `json:"dependsOn"`
	}
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: go run .ci/sbom.go BINARY VERSION")
	}
	d, err := describe(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(d); err != nil {
		log.Fatal(err)
	}
}

// describe reads the binary at file, whose own version is given.
func describe(file, version string) (*document, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read what %s is made of: %w", file, err)
	}
	sum := sha256.Sum256(content)
	own := module(&debug.Module{Path: info.Main.Path, Version: version})
	own.Type, own.Name = "application", path.Base(info.Path)
	own.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	var apache license
	apache.License.ID = "Apache-2.0"
	own.Licenses = []license{apache}
	d := &document{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Serial:   serial(sum),
		Metadata: metadata{Component: own, Properties: settings(info)},
	}
	uses := dependency{Ref: own.Ref, Uses: []string{}}
	for _, m := range append(info.Deps, &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}) {
		c := module(m)
		d.Components = append(d.Components, c)
		d.Dependencies = append(d.Dependencies, dependency{Ref: c.Ref, Uses: []string{}})
		uses.Uses = append(uses.Uses, c.Ref)
	}
	d.Dependencies = append([]dependency{uses}, d.Dependencies...)
	return d, nil
}

// serial makes a UUID of a checksum.
func serial(sum [sha256.Size]byte) string {
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80 // version 5, made from a hash, as RFC 9562 has it
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// module describes what was built: where a module was replaced, that which stands in its place.
func module(m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	segments := strings.Split(m.Path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	purl := "pkg:golang/" + strings.Join(segments, "/") + "@" + url.PathEscape(m.Version)
	c := component{Ref: purl, Type: "library", Name: m.Path, Version: m.Version, PURL: purl}
	// A checksum of go.sum is the SHA-256 of a list of the files' own.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
	}
	return c
}

// settings says how the binary was built.
func settings(info *debug.BuildInfo) []property {
	all := []property{{"go:version", info.GoVersion}}
	for _, s := range info.Settings {
		if s.Key == "-ldflags" {
			continue
		}
		all = append(all, property{"go:build:" + s.Key, s.Value})
	}
	return all
}
