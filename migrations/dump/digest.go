package main

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
)

const header = `-- The database after all migrations, for reading. The files in sql say why, and are what to change.
-- make schema writes this file.
`

var (
	// subject finds the table that a statement is about.
	subject = regexp.MustCompile(`^(?:CREATE TABLE|ALTER TABLE(?: ONLY)?|COMMENT ON TABLE|CREATE (?:UNIQUE )?INDEX \w+ ON(?: ONLY)?) (\w+)`)

	attachedTable = regexp.MustCompile(`^ALTER TABLE ONLY (\w+) ATTACH PARTITION (\w+) (.*)$`)
	attachedIndex = regexp.MustCompile(`^ALTER INDEX \w+ ATTACH PARTITION (\w+)$`)
	madeIndex     = regexp.MustCompile(`^CREATE (?:UNIQUE )?INDEX (\w+) |ADD CONSTRAINT (\w+) `)
	options       = regexp.MustCompile(`\nWITH \(.*\)$`)
	statistics    = regexp.MustCompile(`ALTER COLUMN \w+ SET STATISTICS`)
	noise         = regexp.MustCompile(`(?m)^(?:--.*|\\.*|SET .*;|SELECT pg_catalog\.set_config.*;|)\n`)
)

// names shortens what pg_dump spells out.
var names = strings.NewReplacer("public.", "", "pg_catalog.", "", "timestamp with time zone", "timestamptz")

// partition is a table that holds a part of another.
type partition struct{ parent, bound string }

// schema is a dump taken apart.
type schema struct {
	statements []string
	partitions map[string]partition
	attached   map[string]bool // indexes that belong to an index of the parent
}

// digest leaves of a pg_dump what a reader wants to know: statements by table, and one line for each partition.
func digest(dump string) string {
	s := read(dump)
	slices.SortStableFunc(s.statements, s.compare)
	var b strings.Builder
	b.WriteString(header)
	before := ""
	for _, statement := range s.statements {
		text, keep := s.shorten(statement)
		if !keep {
			continue
		}
		if whole := s.whole(statement); whole != before || b.Len() == len(header) {
			b.WriteString("\n")
			before = whole
		}
		b.WriteString(text + ";\n")
	}
	return b.String()
}

// compare orders statements by table, what is no table in front. A table's partitions follow it, and what is said about all of them
// follows those.
func (s schema) compare(a, b string) int {
	rank := func(statement string) int {
		_, part := s.partitions[tableOf(statement)]
		switch {
		case !strings.HasPrefix(statement, "CREATE TABLE"):
			return 2
		case part:
			return 1
		}
		return 0
	}
	return cmp.Or(strings.Compare(s.whole(a), s.whole(b)), rank(a)-rank(b), strings.Compare(tableOf(a), tableOf(b)))
}

// What is made when all tables are there sorts behind the name of every table.
const (
	links = "\x7e"
	last  = "\x7f"
)

// whole is the table that a statement is about, or the table of which that is a part. What names other tables comes last: foreign keys,
// and the bodies of functions and triggers.
func (s schema) whole(statement string) string {
	if strings.HasPrefix(statement, "CREATE FUNCTION") || strings.HasPrefix(statement, "CREATE TRIGGER") {
		return last
	}
	if strings.Contains(statement, " FOREIGN KEY ") {
		return links
	}
	table := tableOf(statement)
	if part, ok := s.partitions[table]; ok {
		return part.parent
	}
	return table
}

func read(dump string) schema {
	s := schema{partitions: map[string]partition{}, attached: map[string]bool{}}
	for statement := range statements(names.Replace(noise.ReplaceAllString(dump, ""))) {
		statement = strings.TrimSpace(statement)
		if !strings.HasPrefix(statement, "CREATE TABLE") && !strings.HasPrefix(statement, "CREATE FUNCTION") {
			statement = strings.Join(strings.Fields(statement), " ")
		}
		if m := attachedTable.FindStringSubmatch(statement); m != nil {
			s.partitions[m[2]] = partition{parent: m[1], bound: m[3]}
			continue
		}
		if m := attachedIndex.FindStringSubmatch(statement); m != nil {
			s.attached[m[1]] = true
			continue
		}
		if statement != "" {
			s.statements = append(s.statements, statement)
		}
	}
	return s
}

// statements takes a dump apart. A body between $$ belongs to its statement.
func statements(dump string) iter.Seq[string] {
	return func(yield func(string) bool) {
		statement := ""
		for part := range strings.SplitSeq(dump, ";\n") {
			if statement += part; strings.Count(statement, "$$")%2 != 0 {
				statement += ";\n"
				continue
			}
			if !yield(statement) {
				return
			}
			statement = ""
		}
	}
}

// shorten says nothing about what a partition has from its parent.
func (s schema) shorten(statement string) (string, bool) {
	part, isPart := s.partitions[tableOf(statement)]
	made := madeIndex.FindStringSubmatch(statement)
	switch {
	case made != nil && s.attached[made[1]+made[2]]:
		return "", false
	case isPart && statistics.MatchString(statement):
		return "", false
	case isPart && strings.HasPrefix(statement, "CREATE TABLE"):
		with := strings.ReplaceAll(options.FindString(statement), "\n", " ")
		return fmt.Sprintf("CREATE TABLE %s PARTITION OF %s %s%s", tableOf(statement), part.parent, part.bound, with), true
	}
	// ONLY says that partitions are dealt with elsewhere, which they no longer are.
	return strings.NewReplacer("ALTER TABLE ONLY ", "ALTER TABLE ", " ON ONLY ", " ON ").Replace(statement), true
}

func tableOf(statement string) string {
	if m := subject.FindStringSubmatch(statement); m != nil {
		return m[1]
	}
	return ""
}
