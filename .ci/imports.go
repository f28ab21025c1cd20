//go:build ignore

// Command imports holds what the packages of this module use against .ci/imports.txt, which explains the rules.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	list       = ".ci/imports.txt"
	module     = "github.com/openconsult/openconsult"
	everything = "..."
)

var selector = regexp.MustCompile(`\b[a-z]+\.[A-Z]\w+`)

// rule is one line of the list: the package subject may import names, or only names may use the fenced subjects.
type rule struct {
	subject string
	names   []string
}

// rules are the whole list, as it is read for tests or for everything else.
type rules struct {
	where          string
	layers, fences []rule
}

// unit is what `go list -json` says of a package.
type unit struct {
	Dir, ImportPath                             string
	GoFiles, Imports, TestImports, XTestImports []string
}

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile(list)
	if err != nil {
		log.Fatal(err)
	}
	code, tests := parse(string(text), ""), parse(string(text), " in its tests")
	complaints := order(code.layers)
	out, err := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...").Output()
	for d := json.NewDecoder(bytes.NewReader(out)); err == nil && d.More(); {
		var u unit
		err = d.Decode(&u)
		name := strings.TrimPrefix(u.ImportPath, module+"/")
		complaints = append(complaints, code.check(name, slices.Concat(u.Imports, selectors(u)))...)
		complaints = append(complaints, tests.check(name, slices.Concat(u.TestImports, u.XTestImports))...)
	}
	if err != nil {
		log.Fatalf("list the packages: %v", err)
	}
	if len(complaints) > 0 {
		log.Fatal(strings.Join(slices.Compact(complaints), "\n"))
	}
}

// parse reads the list. Tests may import what is named for them and every line above too.
func parse(text, where string) rules {
	all := rules{where: where}
	var above []string
	for line := range strings.Lines(text) {
		subject, rest, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		names, more, _ := strings.Cut(rest, "+test:")
		if where != "" {
			names += more
		}
		if fenced, ok := strings.CutPrefix(subject, "fence "); ok {
			all.fences = append(all.fences, rule{fenced, strings.Fields(names)})
			continue
		}
		above = append(above, subject)
		if where != "" {
			names += " " + strings.Join(above, " ")
		}
		all.layers = append(all.layers, rule{subject, strings.Fields(names)})
	}
	return all
}

// order complains about lines that name something not above them. It proves that there is no cycle.
func order(layers []rule) []string {
	above := []string{everything}
	var complaints []string
	for _, r := range layers {
		for _, name := range r.names {
			if !slices.Contains(above, name) {
				complaints = append(complaints, fmt.Sprintf("%s: the line of %s names %s, which has no line above it", list, r.subject, name))
			}
		}
		above = append(above, r.subject)
	}
	return complaints
}

// check says in sentences what the package name must not use.
func (r rules) check(name string, uses []string) []string {
	i := slices.IndexFunc(r.layers, func(l rule) bool { return l.subject == name })
	if i < 0 {
		return []string{fmt.Sprintf("%s has no line in %s: add one that names what it may import", name, list)}
	}
	var complaints []string
	for _, used := range uses {
		ours, ok := strings.CutPrefix(used, module+"/")
		if allowed := r.layers[i].names; ok && !matches(allowed, ours) {
			complaints = append(complaints, fmt.Sprintf("%s must not import %s%s: %s gives it only %s", name, ours, r.where, list, allowed))
		}
		within := func(thing string) bool { return strings.HasPrefix(used+"/", thing+"/") }
		for _, f := range r.fences {
			if slices.ContainsFunc(strings.Fields(f.subject), within) && !matches(f.names, name) {
				complaints = append(complaints, fmt.Sprintf("%s must not use %s%s: %s keeps it in %s", name, used, r.where, list, f.names))
			}
		}
	}
	return complaints
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return pattern == everything || ok && err == nil
	})
}

// selectors lists what the package names as x.Name, such as os.Getenv.
func selectors(u unit) []string {
	var found []string
	for _, file := range u.GoFiles {
		text, err := os.ReadFile(path.Join(u.Dir, file))
		if err != nil {
			log.Fatal(err)
		}
		found = append(found, selector.FindAllString(string(text), -1)...)
	}
	return found
}
