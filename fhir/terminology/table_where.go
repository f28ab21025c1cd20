package terminology

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// The statements behind sets. Each reads a range of one index.
const (
	// A row without members is that of a system that is there.
	setRow   = `SELECT '', '', NULL::bytea FROM terminology_system WHERE system = $1 AND state = 'ready' UNION ALL `
	setsOf   = setRow + `SELECT key, value, members FROM terminology_set WHERE system = $1 AND kind = $2`
	setsAt   = setsOf + ` AND key = ANY ($3)`
	setsFrom = setsOf + ` AND key >= $3 AND key < $4`

	textRow   = `SELECT NULL::int, '' FROM terminology_system WHERE system = $1 AND state = 'ready' UNION ALL `
	codesOf   = textRow + `SELECT ordinal, code FROM terminology_concept WHERE system = $1`
	displays  = textRow + `SELECT ordinal, display FROM terminology_concept WHERE system = $1`
	meaningOf = textRow + `SELECT ordinal, definition FROM terminology_concept WHERE system = $1`
	detailsOf = textRow + `SELECT ordinal, detail FROM terminology_concept WHERE system = $1 AND detail <> ''`

	parentsOf = `SELECT NULL::int, NULL::bytea FROM terminology_system WHERE system = $1 AND state = 'ready' UNION ALL
		SELECT c.ordinal, s.members FROM terminology_set s JOIN terminology_concept c ON c.system = s.system AND c.code = s.key
		WHERE s.system = $1 AND s.kind = '` + childrenKind + `'`
)

// where returns the set of concepts that a filter holds for. Nobody changes it. The
// filter is one that the shape of t takes.
func (t *table) where(ctx context.Context, f filter) (bits, error) {
	return t.remember(t.key("filter", f.property, f.op, f.value), func() (bits, error) { return t.compute(ctx, f) })
}

// remember returns the set with a name, which is made if it is not in the memory.
func (t *table) remember(name string, make func() (bits, error)) (bits, error) {
	sets := t.service.tables.sets
	if known, ok := sets.get(name); ok {
		return known, nil
	}
	set, err := make()
	if err == nil {
		sets.put(name, set, 8*len(set)+len(name)+200)
	}
	return set, err
}

func (t *table) compute(ctx context.Context, f filter) (bits, error) {
	var set bits
	var err error
	switch f.op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		if set, err = t.relatives(ctx, f); err != nil {
			return nil, err
		}
		if f.op == "is-not-a" {
			set.negate(t.h.count)
		}
		if f.property == "concept" || f.property == "code" {
			return set, nil
		}
		return t.anyIn(ctx, f.property, set)
	case "=":
		return t.equal(ctx, f.property, []string{f.value})
	case "in":
		return t.equal(ctx, f.property, strings.Split(f.value, ","))
	case "not-in":
		set, err = t.equal(ctx, f.property, strings.Split(f.value, ","))
	case "exists":
		set, err = t.any(ctx, f.property, func(v string) bool { return v != "" })
	case "regex":
		pattern, err := compilePattern(f.value)
		if err != nil {
			return nil, err
		}
		return t.any(ctx, f.property, pattern.MatchString)
	}
	if err == nil && (f.op == "not-in" || f.op == "exists" && f.value == "false") {
		set.negate(t.h.count)
	}
	return set, err
}

// relatives returns what is below the value of f, or above it, and it itself unless
// that does not count.
func (t *table) relatives(ctx context.Context, f filter) (bits, error) {
	set := newBits(t.h.count)
	root, err := t.find(ctx, f.value)
	if root == nil || err != nil {
		return set, err
	}
	if f.op == "generalizes" {
		for _, a := range root.above {
			set.add(a)
		}
	} else if err := t.merge(ctx, set, setsAt, belowKind, pq.Array([]string{root.code})); err != nil {
		return nil, err
	}
	if f.op != "descendent-of" {
		set.add(root.ordinal)
	} else {
		set[root.ordinal>>6] &^= 1 << (root.ordinal & 63)
	}
	return set, nil
}

// merge adds the members of all sets of a kind that a statement finds.
func (t *table) merge(ctx context.Context, into bits, statement, kind string, args ...any) error {
	return t.each(ctx, statement, append([]any{kind}, args...), func(_ string, members []byte) error { return into.merge(members) })
}

// each calls visit with the value and the members of each set that a statement finds.
func (t *table) each(ctx context.Context, statement string, args []any, visit func(value string, members []byte) error) error {
	return t.rows(ctx, statement, args, func(rows *sql.Rows) (bool, error) {
		var key, value string
		var members sql.RawBytes
		if err := rows.Scan(&key, &value, &members); err != nil || members == nil {
			return members == nil && err == nil, err
		}
		if value == "" {
			value = key
		}
		return false, visit(value, members)
	})
}

// rows calls scan for each row that a statement finds. It says which one stands for
// the code system; without that one it is gone.
func (t *table) rows(ctx context.Context, statement string, args []any, scan func(*sql.Rows) (bool, error)) error {
	rows, err := t.query(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("read sets of concepts: %w", err)
	}
	defer rows.Close()
	there := false
	for rows.Next() {
		self, err := scan(rows)
		if err != nil {
			return fmt.Errorf("read sets of concepts: %w", err)
		}
		there = there || self
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read sets of concepts: %w", err)
	}
	if !there {
		return t.gone()
	}
	return nil
}

// equal returns the concepts of which a value of a property is one of those wanted.
func (t *table) equal(ctx context.Context, property string, wanted []string) (bits, error) {
	pass := t.shape.equal(wanted...)
	for i, w := range wanted {
		wanted[i] = strings.TrimSpace(w)
	}
	switch kind := kindOf(property); {
	case property == "concept" || property == "code" || property == "parent":
		return t.equalCodes(ctx, property, wanted)
	case kind != "" && t.h.caseSensitive:
		keys := make([]string, len(wanted))
		for i, w := range wanted {
			keys[i], _ = setKey(w)
		}
		set := newBits(t.h.count)
		return set, t.merge(ctx, set, setsAt, kind, pq.Array(keys))
	}
	return t.any(ctx, property, pass)
}

// equalCodes is equal for those whose value is the code of a concept.
func (t *table) equalCodes(ctx context.Context, property string, wanted []string) (bits, error) {
	set := newBits(t.h.count)
	statement, keys := byCode, make([]string, len(wanted))
	for i, w := range wanted {
		if keys[i] = storable(w); !t.h.caseSensitive {
			statement, keys[i] = byFolded, strings.ToLower(keys[i])
		}
	}
	found, err := t.places(ctx, statement, pq.Array(keys))
	if err != nil {
		return nil, err
	}
	codes := make([]string, len(found))
	for i, p := range found {
		codes[i] = p.code
		if property != "parent" {
			set.add(p.ordinal)
		}
	}
	if property != "parent" {
		return set, nil
	}
	return set, t.merge(ctx, set, setsAt, childrenKind, pq.Array(codes))
}

// kindOf returns the kind of the sets of a property; empty if it has none.
func kindOf(property string) string {
	switch property {
	case "concept", "code", "display", "definition", "designation", "parent", "child", "inactive", "notSelectable", "abstract":
		return ""
	}
	return propertyKind + storable(property)
}

// any returns the concepts of which a value of a property passes.
func (t *table) any(ctx context.Context, property string, pass func(string) bool) (bits, error) {
	set := newBits(t.h.count)
	switch property {
	case "concept", "code":
		return set, t.texts(ctx, codesOf, func(ordinal int32, text string) error { return set.addIf(ordinal, pass(text)) })
	case "display":
		return set, t.texts(ctx, displays, func(ordinal int32, text string) error { return set.addIf(ordinal, pass(text)) })
	case "definition":
		return set, t.texts(ctx, meaningOf, func(ordinal int32, text string) error { return set.addIf(ordinal, pass(text)) })
	case "designation":
		return set, t.texts(ctx, detailsOf, func(ordinal int32, text string) error { return set.addSpoken(ordinal, text, pass) })
	case "inactive":
		return t.truths(ctx, inactiveKind, pass)
	case "notSelectable", "abstract":
		return t.truths(ctx, abstractKind, pass)
	case "child":
		codes, err := t.any(ctx, "code", pass)
		if err != nil {
			return nil, err
		}
		return t.parentsOf(ctx, codes)
	}
	kind := kindOf(property)
	if property == "parent" {
		kind = childrenKind
	}
	return set, t.each(ctx, setsOf, []any{kind}, func(value string, members []byte) error {
		if pass(value) {
			return set.merge(members)
		}
		return nil
	})
}

func (b bits) addIf(ordinal int32, ok bool) error {
	if ordinal < 0 || int(ordinal) >= 64*len(b) {
		return errMembers
	}
	if ok {
		b.add(ordinal)
	}
	return nil
}

// addSpoken adds a concept if one of the designations in its detail passes.
func (b bits) addSpoken(ordinal int32, text string, pass func(string) bool) error {
	var c concept
	if err := new(detail).read(text, &c); err != nil {
		return err
	}
	for _, value := range spoken(&c) {
		if pass(value) {
			return b.addIf(ordinal, true)
		}
	}
	return nil
}

// anyIn returns the concepts of which a value of a property is the code of a concept
// in a set.
func (t *table) anyIn(ctx context.Context, property string, in bits) (bits, error) {
	if property == "child" {
		return t.parentsOf(ctx, in)
	}
	var values []string
	if _, err := t.any(ctx, property, func(v string) bool {
		values = append(values, v)
		return false
	}); err != nil {
		return nil, err
	}
	found, err := t.findAll(ctx, values)
	if err != nil {
		return nil, err
	}
	passing := map[string]bool{}
	for i, p := range found {
		passing[values[i]] = p != nil && in.has(p.ordinal)
	}
	return t.any(ctx, property, func(v string) bool { return passing[v] })
}

// parentsOf returns the concepts that have one of a set for a child.
func (t *table) parentsOf(ctx context.Context, of bits) (bits, error) {
	set := newBits(t.h.count)
	return set, t.rows(ctx, parentsOf, nil, func(rows *sql.Rows) (bool, error) {
		var ordinal sql.NullInt32
		var members sql.RawBytes
		if err := rows.Scan(&ordinal, &members); err != nil || !ordinal.Valid {
			return err == nil, err
		}
		children := newBits(t.h.count)
		if err := children.merge(members); err != nil {
			return false, err
		}
		children.and(of)
		return false, set.addIf(ordinal.Int32, children.count() > 0)
	})
}

// truths returns the concepts of which being in the set of a kind, as "true" or
// "false", passes.
func (t *table) truths(ctx context.Context, kind string, pass func(string) bool) (bits, error) {
	set, no := newBits(t.h.count), newBits(t.h.count)
	if err := t.merge(ctx, set, setsOf, kind); err != nil {
		return nil, err
	}
	no.or(set)
	no.negate(t.h.count)
	if !pass(truth(true)) {
		clear(set)
	}
	if pass(truth(false)) {
		set.or(no)
	}
	return set, nil
}

// texts calls visit for each concept and one of its texts.
func (t *table) texts(ctx context.Context, statement string, visit func(ordinal int32, text string) error) error {
	return t.rows(ctx, statement, nil, func(rows *sql.Rows) (bool, error) {
		var ordinal sql.NullInt32
		var text string
		if err := rows.Scan(&ordinal, &text); err != nil || !ordinal.Valid {
			return err == nil, err
		}
		return false, visit(ordinal.Int32, text)
	})
}
