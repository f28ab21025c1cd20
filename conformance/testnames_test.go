package conformance_test

import (
	"go/ast"
	syntax "go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tests are the functions of test files, by "package.Name".
type tests map[string]*tested

// A tested is one function, or all methods of a name.
type tested struct {
	source string   // with the comment before it
	texts  []string // the string literals in it: names of parts of a test among them
	calls  []string // the names in it, of functions and methods among them
	isTest bool
}

// testsOf reads the tests of all packages below root.
func testsOf(t *testing.T, root string) tests {
	t.Helper()
	all := tests{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return all.read(filepath.ToSlash(dir), path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (all tests) read(pkg, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := syntax.ParseFile(files, path, text, syntax.ParseComments|syntax.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		begin := f.Pos()
		if f.Doc != nil {
			begin = f.Doc.Pos()
		}
		one := all[pkg+"."+f.Name.Name]
		if one == nil {
			one = &tested{}
			all[pkg+"."+f.Name.Name] = one
		}
		one.source += string(text[files.Position(begin).Offset:files.Position(f.End()).Offset])
		one.isTest = one.isTest || f.Recv == nil && regexp.MustCompile(`^(Test|Fuzz)[A-Z]`).MatchString(f.Name.Name)
		one.look(f)
	}
	return nil
}

// look notes the texts and names in a function.
func (one *tested) look(f *ast.FuncDecl) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				one.texts = append(one.texts, s)
			}
		case *ast.Ident:
			one.calls = append(one.calls, n.Name)
		}
		return true
	})
}

// has reports whether a test has a part: whether the name of the part is in it, or
// in a function that it calls.
func (all tests) has(function, part string) bool {
	one, pkg := all[function], function[:strings.Index(function, ".")+1]
	if slices.Contains(one.texts, part) {
		return true
	}
	return slices.ContainsFunc(one.calls, func(name string) bool {
		called := all[pkg+name]
		return called != nil && !called.isTest && slices.Contains(called.texts, part)
	})
}

// split returns the function of a test as in tests, and the name of its part.
func split(name string) (function, part string) {
	pkg, rest, _ := strings.Cut(name, ".")
	test, part, _ := strings.Cut(rest, "/")
	return pkg + "." + test, part
}

// check makes sure that the tests that prove r are there.
func (all tests) check(t *testing.T, r row) {
	t.Helper()
	for _, name := range r.proof.tests {
		function, part := split(name)
		one := all[function]
		ok := one != nil && one.isTest
		if function == "conformance.TestScripts" && part != "" {
			_, err := os.Stat("testdata/" + part + ".txtar")
			ok, part = ok && err == nil, ""
		}
		if !ok || part != "" && !all.has(function, part) {
			t.Errorf("%s: there is no test %s", r.id, name)
		}
	}
}

// name reports whether a test that proves r has the id of r in its name, in the
// comment before it, or within.
func (all tests) name(r row) bool {
	says := regexp.MustCompile(`\b` + r.id + `\b|\b(Test|Fuzz)` + r.id + `[A-Z]`)
	return slices.ContainsFunc(r.proof.tests, func(name string) bool {
		function, _ := split(name)
		return all[function] != nil && says.MatchString(all[function].source)
	})
}
