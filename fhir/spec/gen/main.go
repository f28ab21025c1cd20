// Command gen writes the digest of FHIR R4 that package spec embeds. It reads the
// official definitions and the descriptors of google/fhir/go, and refuses to
// write when the two disagree about a type, an element or a code in a way that
// is not explained in explained.go. Its output depends on its input alone.
//
//	go generate ./fhir/spec
//	go run ./fhir/spec/gen -definitions DIR -out fhir/spec/data/r4.bin
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
	out := flags.String("out", "", "file to write (default fhir/spec/data/r4.bin in the repository)")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	root, err := repository()
	if err != nil && (*dir == "" || *out == "") {
		return err
	}
	if *dir == "" {
		*dir = filepath.Join(root, "..", "shared", "r4")
	}
	if *out == "" {
		*out = filepath.Join(root, "fhir", "spec", "data", "r4.bin")
	}
	digest, err := generate(*dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*out, digest, 0o644); err != nil {
		return fmt.Errorf("write digest: %w", err)
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
