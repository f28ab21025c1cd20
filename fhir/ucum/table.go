package ucum

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/apd/v3"
)

// An atom is a unit that UCUM gives a symbol.
type atom struct {
	factor ratio // of base units, or of the proper unit of its scale
	dim    dimension
	rule   rule
	metric bool // takes prefixes
}

// A table is the units of UCUM. It does not change once it is built.
type table struct {
	atoms map[string]*atom
	own   []string // units that are dimensions of their own, in order of their codes

	pending map[string][]string // while it is built: what definitions says of those not yet read
}

// atoms returns the table, which the first call builds.
var atoms = sync.OnceValue(build)

// build reads definitions. They refer to each other in any order.
func build() *table {
	lines := strings.Split(strings.TrimSpace(definitions), "\n")
	t := &table{atoms: make(map[string]*atom, len(lines)), pending: make(map[string][]string, len(lines))}
	for _, line := range lines {
		fields := strings.Fields(line)
		t.pending[fields[0]] = fields[1:]
		if fields[2] == "own" {
			t.own = append(t.own, fields[0])
		}
	}
	slices.Sort(t.own)
	for _, line := range lines {
		code, _ := cutWord(line)
		t.find(code)
	}
	t.pending = nil
	return t
}

// find returns the unit of a symbol without a prefix, or nil.
func (t *table) find(symbol string) *atom {
	if a := t.atoms[symbol]; a != nil || t.pending[symbol] == nil {
		return a
	}
	fields := t.pending[symbol]
	delete(t.pending, symbol)
	a, err := t.define(symbol, fields[1:])
	if err != nil {
		panic(fmt.Sprintf("ucum: definition of %s: %v", symbol, err))
	}
	a.metric = fields[0] == "metric"
	t.atoms[symbol] = a
	return a
}

// define returns the unit of a definition: rule, or value, unit and perhaps rule.
func (t *table) define(symbol string, fields []string) (*atom, error) {
	switch fields[0] {
	case "base":
		a, rest := &atom{}, bases
		for i := range a.dim.base {
			var code string
			if code, rest = cutWord(rest); code == symbol {
				a.dim.base[i] = 1
			}
		}
		return a, nil
	case "own":
		i, _ := slices.BinarySearch(t.own, symbol)
		return &atom{dim: dimension{own: [maxOwn]own{{uint8(i + 1), 1}}}}, nil
	}
	value, _, err := apd.NewFromString(fields[0])
	if err != nil {
		return nil, err
	}
	u, err := t.parse(fields[1])
	if err != nil {
		return nil, err
	}
	u.factor.multiply(ratioOf(value), 1)
	a := &atom{factor: u.factor, dim: u.dim}
	if len(fields) > 2 {
		a.rule = scaleOf(fields[2])
		if a.rule == ratioScale {
			return nil, fmt.Errorf("there is no rule %q", fields[2])
		}
	}
	return a, nil
}

// lookup returns the unit of a symbol and the factor of its prefix, nil where there
// is no such unit. A unit without a prefix goes before one with a prefix: "cd" is
// the candela and not a hundredth of a day.
func (t *table) lookup(symbol string) (*atom, ratio) {
	if a := t.find(symbol); a != nil {
		return a, ratio{}
	}
	if len(symbol) < 2 {
		return nil, ratio{}
	}
	if exp := decimalPrefix(symbol[0]); exp != 0 {
		if a := t.find(symbol[1:]); a != nil && a.metric {
			return a, ratio{exp: exp}
		}
	}
	factor, ok := longPrefix(symbol[:2])
	if !ok {
		return nil, ratio{}
	}
	if a := t.find(symbol[2:]); a != nil && a.metric {
		return a, factor
	}
	return nil, ratio{}
}
