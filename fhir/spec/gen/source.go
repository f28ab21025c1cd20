package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// source is what the official definitions say, as far as the digest needs it.
type source struct {
	structures   []structure
	valueSets    map[string]*valueSet
	codeSystems  map[string]*codeSystem
	parameters   []searchParameter
	compartments []compartment
}

type structure struct {
	URL            string
	Name           string
	Type           string
	Kind           string
	Abstract       bool
	Derivation     string
	BaseDefinition string
	FHIRVersion    string
	Snapshot       struct{ Element []elementDefinition }
}

type elementDefinition struct {
	Path             string
	Representation   []string
	Min              int
	Max              string
	Base             struct{ Path string }
	ContentReference string
	Type             []elementType
	Constraint       []constraint
	IsModifier       bool
	IsSummary        bool
	Binding          *struct{ Strength, ValueSet string }
}

type elementType struct {
	Code          string
	Profile       []string
	TargetProfile []string
	Extension     []struct{ URL, ValueURL string }
}

type constraint struct{ Key, Severity, Human, Expression, Source string }

type valueSet struct {
	URL     string
	Version string
	Compose struct{ Include, Exclude []conceptSet }
}

type conceptSet struct {
	System   string
	Concept  []struct{ Code string }
	Filter   []struct{ Property, Op, Value string }
	ValueSet []string
}

type codeSystem struct {
	URL           string
	Version       string
	CaseSensitive bool
	Content       string
	Concept       []concept
}

type concept struct {
	Code    string
	Display string
	Concept []concept
}

type searchParameter struct {
	URL        string
	Code       string
	Type       string
	Base       []string
	Expression string
	Target     []string
	Component  []struct{ Definition, Expression string }
}

type compartment struct {
	URL      string
	Code     string
	Resource []struct {
		Code  string
		Param []string
	}
}

func readSource(dir string) (*source, error) {
	dir = packageFolder(dir)
	src := &source{}
	var valueSets []*valueSet
	var codeSystems []*codeSystem
	err := errors.Join(
		readAll(dir, "StructureDefinition", &src.structures),
		readAll(dir, "ValueSet", &valueSets),
		readAll(dir, "CodeSystem", &codeSystems),
		readAll(dir, "SearchParameter", &src.parameters),
		readAll(dir, "CompartmentDefinition", &src.compartments),
	)
	src.valueSets = byURL(valueSets, func(v *valueSet) string { return v.URL })
	src.codeSystems = byURL(codeSystems, func(c *codeSystem) string { return c.URL })
	return src, err
}

// packageFolder returns the folder in dir that holds the definitions when dir is an
// unpacked package, and dir otherwise.
func packageFolder(dir string) string {
	if sub := filepath.Join(dir, "package"); isFolder(sub) {
		return sub
	}
	return dir
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func byURL[T any](all []T, url func(T) string) map[string]T {
	m := make(map[string]T, len(all))
	for _, x := range all {
		m[url(x)] = x
	}
	return m
}

// readAll appends to out every resource of the given type in dir.
func readAll[T any](dir, resourceType string, out *[]T) error {
	files, err := filepath.Glob(filepath.Join(dir, resourceType+"-*.json"))
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	archive := filepath.Join(dir, resourceType+".ndjson.gz")
	if _, err := os.Stat(archive); err == nil {
		files = []string{archive}
	}
	if len(files) == 0 {
		return fmt.Errorf("read definitions: no %s in %s: %w", resourceType, dir, fs.ErrNotExist)
	}
	for _, name := range files {
		if err := readFile(name, out); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return nil
}

func readFile[T any](name string, out *[]T) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := io.Reader(f)
	if filepath.Ext(name) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	for dec := json.NewDecoder(r); ; {
		var x T
		err := dec.Decode(&x)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		*out = append(*out, x)
	}
}
