package conformance_test

import (
	"go/ast"
	syntax "go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A source is one file of the program, without its tests.
type source struct {
	pkg  string // folder
	path string
	file *ast.File
}

// sources returns what the server is made of.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "fhirbench" || d.Name() == "gen" || d.Name() == "pgtest" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := syntax.ParseFile(token.NewFileSet(), path, nil, syntax.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel("..", filepath.Dir(path))
		all = append(all, source{filepath.ToSlash(pkg), path, file})
		return err
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

// texts calls f with every string literal of s.
func (s source) texts(f func(string)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				f(text)
			}
		}
		return true
	})
}

func (s source) imports(path string) bool {
	return slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == strconv.Quote(path) })
}

// TestB4OneQueryBuilder: what resources are found by is put together in one place.
// No other package has statements about their tables, or opens a database at all
// unless it keeps tables of its own.
func TestB4OneQueryBuilder(t *testing.T) {
	t.Parallel()
	statement := regexp.MustCompile(`(?i)\b(from|join|into|update)\s+(only\s+)?(res|ver|rng|access_grant|access_event|audit)(_\w+)?\b(\s|$|\()`)
	builders := []string{"fhir/store", "fhir/searchsql", "migrations", "migrations/dump"}
	keepers := append([]string{"auth/login", "auth/oauth", "fhir/bulk", "fhir/dispatch", "fhir/subscription", "fhir/terminology", "fhir/timer", "migrations/pgserver", "cmd/openconsult"}, builders...)
	seen := 0
	for _, s := range sources(t) {
		s.texts(func(text string) {
			switch found := statement.FindString(text); {
			case found == "" || !strings.Contains(strings.ToUpper(text), "SELECT") && !strings.Contains(strings.ToUpper(text), "WHERE") && !strings.Contains(strings.ToUpper(text), "VALUES"):
			case slices.Contains(builders, s.pkg):
				seen++
			default:
				t.Errorf("%s has a statement of its own about resources: %q", s.path, text)
			}
		})
		for _, path := range []string{"database/sql", "github.com/lib/pq"} {
			if s.imports(path) && !slices.Contains(keepers, s.pkg) {
				t.Errorf("%s imports %s", s.path, path)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d statements were looked at", seen)
	}
}

// TestD8NoPatterns: Postgres is never given a pattern to match, so that none of a
// client can be slow there, or mean more than its letters.
func TestD8NoPatterns(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`\b(I?LIKE|SIMILAR TO|(?i:regexp_\w+|to_tsquery))\b|[\w)"\]]\s!?~\*?\s(['$(]|\w+\()`)
	for _, s := range sources(t) {
		if s.pkg != "fhir/store" && s.pkg != "fhir/searchsql" && s.pkg != "auth/oauth" && s.pkg != "auth/login" {
			continue
		}
		s.texts(func(text string) {
			if pattern.MatchString(text) {
				t.Errorf("%s has %q", s.path, text)
			}
		})
	}
}

// calls reports whether s speaks to servers that whoever runs the command has named,
// and to no others.
func (s source) calls() bool {
	return slices.Contains([]string{"fhir/attachment", "fhir/dispatch", "fhir/terminology"}, s.pkg) || slices.ContainsFunc([]string{"load", "pipeline", "checks", "demo"}, func(command string) bool { return strings.Contains(s.path, "cmd/openconsult/"+command) })
}

// TestD21NoFetches: only one place makes clients of HTTP, which are guarded. No
// profile, value set or page of a client is ever fetched.
func TestD21NoFetches(t *testing.T) {
	t.Parallel()
	guarded := 0
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			e, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, _ := e.X.(*ast.Ident)
			if from == nil || from.Name != "http" && from.Name != "net" {
				return true
			}
			calls := slices.Contains([]string{"Get", "Post", "PostForm", "Head", "DefaultClient", "DefaultTransport", "Transport", "Dial", "DialTimeout", "Dialer"}, e.Sel.Name)
			switch {
			case !calls:
			case s.pkg == "auth/bearer":
				guarded++
			case s.pkg == "fhir/store" || s.pkg == "migrations/pgserver": // to the database
			case s.calls():
			default:
				t.Errorf("%s uses %s.%s: ask auth/bearer for a client", s.path, from.Name, e.Sel.Name)
			}
			return true
		})
		ast.Inspect(s.file, func(n ast.Node) bool {
			c, ok := n.(*ast.CompositeLit)
			if e, isSelector := typeNamed(c, ok); isSelector && e == "http.Client" && s.pkg != "auth/bearer" && !s.calls() {
				t.Errorf("%s makes an http.Client: ask auth/bearer for one", s.path)
			}
			return true
		})
	}
	if guarded == 0 {
		t.Error("nothing was looked at")
	}
}

// typeNamed returns the type of a composite literal, "package.Type".
func typeNamed(c *ast.CompositeLit, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	e, ok := c.Type.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	from, ok := e.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	return from.Name + "." + e.Sel.Name, true
}
