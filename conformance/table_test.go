package conformance_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A matrix is what testdata/access.txt says, where its form is described.
type matrix struct {
	cast       []actor
	names      []string // of the cast
	world      []request
	situations map[string]*situation
	asks       []*attempt
}

// A situation is a resource, and what decides who sees it. {id} stands for a name
// that is used once.
type situation struct {
	about, target string // "Patient/ada", "Observation/{id}"
	made          []request
}

// An attempt is a request about resources in situations.
type attempt struct {
	title   string
	request request
	finds   string // in the entries of what is answered; empty: the target
	fresh   bool   // each cell has a resource of its own
	changes bool   // what is let through changes it
	twinned []bool // of each column: something in it is let through
	rows    []outcomes
}

// Outcomes are what each of the cast gets in one situation.
type outcomes struct {
	situation string
	twinned   bool // something in it is let through
	cells     []string
}

var (
	sectionLine = regexp.MustCompile(`^== (cast|world|situation ([a-z-]+): .+|ask ([^:]+?)((?: fresh| changes)*))$`)
	actorLine   = regexp.MustCompile(`^([a-z]+) +(.+)$`)
	madeLine    = regexp.MustCompile(`^(PUT|DELETE) (\S+)(?: (\{.*))?$`)
	askLine     = regexp.MustCompile(`^([A-Z]+) (\S+)(?: (.+))?$`)
	rowLine     = regexp.MustCompile(`^([a-z-]+\*?)((?: +(?:[1-5][0-9][0-9]|found|-))+)$`)
)

// readMatrix reads testdata/access.txt.
func readMatrix(t *testing.T) *matrix {
	t.Helper()
	data, err := os.ReadFile("testdata/access.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := &matrix{situations: map[string]*situation{}}
	section := func(string) error { return nil } // what is above the first section is for people
	for n, line := range strings.Split(string(data), "\n") {
		if s := sectionLine.FindStringSubmatch(line); s != nil {
			section = m.section(s)
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := section(line); err != nil {
			t.Fatalf("access.txt:%d: %v", n+1, err)
		}
	}
	return m
}

// section begins a section and returns what reads its lines.
func (m *matrix) section(s []string) func(line string) error {
	switch {
	case s[1] == "cast":
		return m.actor
	case s[1] == "world":
		return func(line string) error { return made(line, &m.world) }
	case s[2] != "":
		one := &situation{}
		m.situations[s[2]] = one
		return one.line
	}
	a := &attempt{title: s[3], fresh: strings.Contains(s[4], "fresh"), changes: strings.Contains(s[4], "changes")}
	m.asks = append(m.asks, a)
	return func(line string) error { return a.line(m, line) }
}

func (m *matrix) actor(line string) error {
	s := actorLine.FindStringSubmatch(line)
	if s == nil {
		return fmt.Errorf("%q is no name and who it is", line)
	}
	who, err := parseActor(s[2])
	m.names, m.cast = append(m.names, s[1]), append(m.cast, who)
	return err
}

// made reads a request that makes something, whose type and id its path says.
func made(line string, into *[]request) error {
	s := madeLine.FindStringSubmatch(line)
	if s == nil {
		return fmt.Errorf("%q makes nothing", line)
	}
	r := request{method: s[1], path: "/fhir/" + s[2]}
	if s[3] != "" {
		typ, id, _ := strings.Cut(s[2], "/")
		r.body = strings.TrimSuffix(`{"resourceType":"`+typ+`","id":"`+id+`",`+s[3][1:], ",}")
		if s[3] == "{}" {
			r.body += "}"
		}
	}
	*into = append(*into, r)
	return nil
}

func (s *situation) line(line string) error {
	switch word, rest, _ := strings.Cut(line, " "); word {
	case "about":
		s.about = rest
	case "target":
		s.target = rest
	default:
		return made(line, &s.made)
	}
	return nil
}

// line reads a line of a: the request, what it finds, the names of the columns, or
// a row.
func (a *attempt) line(m *matrix, line string) error {
	switch {
	case a.request.method == "":
		s := askLine.FindStringSubmatch(line)
		if s == nil {
			return fmt.Errorf("%q is no request", line)
		}
		a.request = request{method: s[1], path: "/fhir/" + s[2], body: s[3]}
		return nil
	case strings.HasPrefix(line, "with "):
		name, value, _ := strings.Cut(line[len("with "):], ": ")
		a.request.headers = append(a.request.headers, [2]string{name, value})
		return nil
	case strings.HasPrefix(line, "finds "):
		a.finds = line[len("finds "):]
		return nil
	case a.twinned == nil:
		return a.columns(m, strings.Fields(line))
	}
	s := rowLine.FindStringSubmatch(line)
	if s == nil {
		return fmt.Errorf("%q is no row", line)
	}
	name, lonely := strings.CutSuffix(s[1], "*")
	r := outcomes{name, !lonely, strings.Fields(s[2])}
	if m.situations[name] == nil || len(r.cells) != len(m.cast) {
		return fmt.Errorf("%q is no situation, or has not %d cells", name, len(m.cast))
	}
	a.rows = append(a.rows, r)
	return nil
}

func (a *attempt) columns(m *matrix, names []string) error {
	for i, name := range names {
		name, lonely := strings.CutSuffix(name, "*")
		if i >= len(m.names) || name != m.names[i] {
			return fmt.Errorf("the columns are not %v", m.names)
		}
		a.twinned = append(a.twinned, !lonely)
	}
	return nil
}

// lets reports whether a cell says that somebody is let through.
func lets(cell string) bool {
	return slices.Contains([]string{"200", "201", "204", "304", "410", "found"}, cell)
}

// TestAccessTwins makes sure that the table says of each refusal what would have
// been let through in its place: somebody else, and something else.
func TestAccessTwins(t *testing.T) {
	t.Parallel()
	m := readMatrix(t)
	used := map[string]bool{}
	for _, a := range m.asks {
		for i, name := range m.names {
			if has := slices.ContainsFunc(a.rows, func(r outcomes) bool { return lets(r.cells[i]) }); has != a.twinned[i] {
				t.Errorf("%s, column %s: let through somewhere is %v", a.title, name, has)
			}
		}
		for _, r := range a.rows {
			used[r.situation] = true
			if has := slices.ContainsFunc(r.cells, lets); has != r.twinned {
				t.Errorf("%s, row %s: let through by somebody is %v", a.title, r.situation, has)
			}
		}
	}
	for name := range m.situations {
		if !used[name] {
			t.Errorf("nothing is asked about the situation %s", name)
		}
	}
}
