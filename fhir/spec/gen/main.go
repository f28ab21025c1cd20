// Command gen writes the digest of FHIR R4 that package spec embeds, and the
// archive of terminology and profiles that package definition embeds. It reads the
// official definitions and the descriptors of google/fhir/go, and refuses to
// write the digest when the two disagree about a type, an element or a code in a
// way that is not explained in explained.go. Its output depends on its input alone.
//
//	go generate ./fhir/spec
//	go run ./fhir/spec/gen -definitions DIR -out fhir/spec/data/r4.bin -core fhir/definition/data/core.bin
//
// It writes both where they belong unless -out or -core is given: then it writes
// what they ask for.
//
// DIR holds the definitions either as TYPE.ndjson.gz, one file for each resource
// type, or as the unpacked package hl7.fhir.r4.core 4.0.1.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("gen", flag.ExitOnError)
	dir := flags.String("definitions", "", "folder of the official definitions (default ../shared/r4 beside the repository)")
	out := flags.String("out", "", "file of the digest (default fhir/spec/data/r4.bin in the repository)")
	core := flags.String("core", "", "file of the archive (default fhir/definition/data/core.bin in the repository)")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	root, err := repository()
	if err != nil && (*dir == "" || *out == "" && *core == "") {
		return err
	}
	if *dir == "" {
		*dir = filepath.Join(root, "..", "shared", "r4")
	}
	if *out == "" && *core == "" {
		*out = filepath.Join(root, "fhir", "spec", "data", "r4.bin")
		*core = filepath.Join(root, "fhir", "definition", "data", "core.bin")
	}
	return errors.Join(write(*out, *dir, generate), write(*core, *dir, generateCore))
}

// write writes to the file named out what it makes from the definitions in dir. An
// empty name is not asked for.
func write(out, dir string, make func(string) ([]byte, error)) error {
	if out == "" {
		return nil
	}
	b, err := make(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, b, 0o644); err != nil {
		return fmt.Errorf("write what was generated: %w", err)
	}
	return nil
}

// generate makes the digest from the definitions in dir.
func generate(dir string) ([]byte, error) {
	src, err := readSource(dir)
	if err != nil {
		return nil, err
	}
	m, err := buildModel(src)
	if err != nil {
		return nil, err
	}
	if err := explain(compare(m)); err != nil {
		return nil, err
	}
	return encode(m)
}

// repository returns the folder of the go.mod above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run inside the repository or give -definitions and -out")
		}
		dir = parent
	}
}
