//go:build ignore

// Command budgets holds the Go files of this repository against the sizes and habits that keep them readable. It reads every file but
// generated ones (*_gen.go); tests may be long and undocumented.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"log"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFile       = 500 // lines in a file
	maxFunction   = 60  // lines in a function that is not one switch or table
	maxParameters = 4   // parameters of a function, without those of uncounted and the values of a format
)

// uncounted are the types of parameters that say nothing about what a function does.
var uncounted = []string{"context.Context", "*testing.T", "*testing.B", "*testing.F", "testing.TB", "...any"}

// verbs finds the verbs of a format. Every one takes an argument but %%.
var verbs = regexp.MustCompile(`%[-+# 0-9.]*([a-zA-Z%])`)

// checker collects complaints.
type checker struct {
	fset       *token.FileSet
	complaints []string
}

func main() {
	log.SetFlags(0)
	dirs := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(d.Name(), ".") && path != "." && path != ".ci"
		switch {
		case d.IsDir() && (hidden || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_gen.go"):
			dirs[filepath.Dir(path)] = append(dirs[filepath.Dir(path)], path)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	c := checker{fset: token.NewFileSet()}
	for _, paths := range dirs {
		c.directory(paths)
	}
	slices.Sort(c.complaints)
	if len(c.complaints) > 0 {
		log.Fatal(strings.Join(c.complaints, "\n"))
	}
}

func (c *checker) complain(at token.Pos, format string, args ...any) {
	p := c.fset.Position(at)
	c.complaints = append(c.complaints, fmt.Sprintf("%s:%d: ", p.Filename, p.Line)+fmt.Sprintf(format, args...))
}

func (c *checker) directory(paths []string) {
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(c.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			log.Fatal(err)
		}
		c.file(file, strings.HasSuffix(path, "_test.go"))
		if !strings.HasSuffix(path, "_test.go") {
			files = append(files, file)
		}
	}
	c.variables(files)
}

func (c *checker) file(file *ast.File, test bool) {
	if lines := c.fset.File(file.Pos()).LineCount(); lines > maxFile && !test {
		c.complain(file.Package, "the file has %d lines: split it below %d", lines, maxFile)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			c.function(f, test)
		}
		if !test {
			c.documented(d)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && types.ExprString(call.Fun) == "fmt.Errorf" {
			c.wrapped(call)
		}
		return true
	})
}

func (c *checker) function(f *ast.FuncDecl, test bool) {
	name := f.Name.Name
	if name == "init" && f.Recv == nil {
		c.complain(f.Pos(), "init runs unseen: call what it does from where it is needed")
	}
	if lines := c.lines(f); lines > maxFunction && !test && !flat(f.Body) {
		c.complain(f.Pos(), "%s has %d lines: split it below %d", name, lines, maxFunction)
	}
	parameters := 0
	for _, p := range f.Type.Params.List {
		if !slices.Contains(uncounted, types.ExprString(p.Type)) {
			parameters += max(1, len(p.Names))
		}
	}
	if parameters > maxParameters {
		c.complain(f.Pos(), "%s has %d parameters: make some of them one value, %d at most", name, parameters, maxParameters)
	}
}

func (c *checker) lines(n ast.Node) int {
	return c.fset.Position(n.End()).Line - c.fset.Position(n.Pos()).Line + 1
}

// flat says whether a body is one switch or table, with at most a statement before it and one behind.
func flat(body *ast.BlockStmt) bool {
	return body != nil && len(body.List) <= 3 && slices.ContainsFunc(body.List, func(s ast.Stmt) bool {
		switch s := s.(type) {
		case *ast.SwitchStmt, *ast.TypeSwitchStmt:
			return true
		case *ast.ReturnStmt:
			return len(s.Results) == 1 && isTable(s.Results[0])
		case *ast.AssignStmt:
			return isTable(s.Rhs[0])
		}
		return false
	})
}

func isTable(e ast.Expr) bool {
	_, ok := ast.Unparen(e).(*ast.CompositeLit)
	return ok
}

// documented looks for the comment of every exported name. That of a group counts for the names in it.
func (c *checker) documented(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
			c.complain(d.Pos(), "%s has no doc comment", d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				c.commented(d.Doc, s.Doc, s.Comment, s.Name)
			case *ast.ValueSpec:
				c.commented(d.Doc, s.Doc, s.Comment, s.Names...)
			}
		}
	}
}

func (c *checker) commented(group, own, behind *ast.CommentGroup, names ...*ast.Ident) {
	for _, name := range names {
		if name.IsExported() && group == nil && own == nil && behind == nil {
			c.complain(name.Pos(), "%s has no doc comment", name)
		}
	}
}

func receiver(f *ast.FuncDecl) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*"), "[")
	return name
}

// wrapped complains about an error that is printed into another one instead of wrapped by %w.
func (c *checker) wrapped(call *ast.CallExpr) {
	format, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return
	}
	text, err := strconv.Unquote(format.Value)
	if err != nil {
		return
	}
	args := call.Args[1:]
	for _, verb := range verbs.FindAllStringSubmatch(strings.ReplaceAll(text, "%%", ""), -1) {
		if len(args) == 0 {
			return
		}
		name := strings.TrimSuffix(types.ExprString(args[0]), ".Error()")
		if (name == "err" || strings.HasSuffix(name, "Err")) && verb[1] != "w" && verb[1] != "T" {
			c.complain(call.Pos(), "%s is printed by %s: wrap it by %%w", name, verb[0])
		}
		args = args[1:]
	}
}

// variables complains about package variables that are changed. Imports are not followed: what a name of this package stands for is
// known without them.
func (c *checker) variables(files []*ast.File) {
	if len(files) == 0 {
		return
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Error: func(error) {}}
	// The error speaks of imports, and of what the compiler says better.
	pkg, _ := config.Check(files[0].Name.Name, c.fset, files, &info)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range changed(n) {
				id := root(e)
				switch o := info.Uses[id].(type) {
				case *types.PkgName:
					c.complain(n.Pos(), "a variable of package %s is changed", o.Name())
				case *types.Var:
					if o.Parent() == pkg.Scope() {
						c.complain(n.Pos(), "the package variable %s is changed: keep what changes in a value that is passed on", o.Name())
					}
				}
			}
			return true
		})
	}
}

// changed lists what a statement or a call of a built-in function assigns to or empties.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		return n.Lhs
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		return []ast.Expr{n.Key, n.Value}
	case *ast.CallExpr:
		if name := types.ExprString(n.Fun); name == "delete" || name == "clear" {
			return n.Args[:1]
		}
	}
	return nil
}

// root is the v of v, v.f, v[i] and *v, or nil.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	case *ast.ParenExpr:
		return root(e.X)
	}
	return nil
}
