package definition

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestOutcomesAreDescribed reads the code of the conversation, and of what carries it out:
// every code that an outcome of theirs has is in the code system.
func TestOutcomesAreDescribed(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, c := range outcomes() {
		described[c.Code] = true
	}
	found := 0
	for _, dir := range []string{"../consultation", "../interaction", "../store", "../../auth", "../../api"} {
		for _, file := range sources(t, dir) {
			for code := range detailsOf(t, file) {
				found++
				if !described[code] {
					t.Errorf("%s: the code system of outcomes does not say what %s is", file, code)
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d codes were found in the sources", found)
	}
}

// sources returns the Go files of a directory that are no tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var detail = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)

// detailsOf returns the codes in a file: what Detail is set to, and what stands behind a
// code of FHIR in a call.
func detailsOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	take := func(e ast.Expr) {
		if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
			if s, err := strconv.Unquote(text.Value); err == nil && detail.MatchString(s) {
				all[s] = true
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Detail" {
				take(n.Value)
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if s, ok := to.(*ast.SelectorExpr); ok && s.Sel.Name == "Detail" && i < len(n.Rhs) {
					take(n.Rhs[i])
				}
			}
		case *ast.CallExpr:
			for i := range len(n.Args) - 1 {
				if s, ok := n.Args[i].(*ast.SelectorExpr); ok && isName(s.X, "fhir") {
					take(n.Args[i+1])
				}
			}
		}
		return true
	})
	return all
}

func isName(e ast.Expr, name string) bool {
	i, ok := e.(*ast.Ident)
	return ok && i.Name == name
}
