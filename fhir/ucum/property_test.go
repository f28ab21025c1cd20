package ucum_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/openconsult/openconsult/fhir/ucum"
)

// units are codes of every kind.
func units() []string {
	return []string{
		"mg", "kg", "[lb_av]", "mmol/L", "mL/min", "mm[Hg]", "/min", "10*9/L", "%", "[in_us]", "deg", "[mu_0]", "wk", "a_t",
		"[iU]/mL", "[pH]", "[car_Au]", "U/L", "kat", "[Btu_39]", "[den]", "cal/[foz_us]", "KiBy/s", "u/AU2", "[hp'_X]",
		"Cel", "mCel", "[degF]", "[degRe]", "[degR]", "Cel/h", "dB", "Np", "B[SPL]", "bit_s", "%[slope]", "[p'diop]",
	}
}

// TestOrder holds that more is more: in each unit, values in order have canonical
// values in order, however little they differ.
func TestOrder(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, code := range units() {
		for range 300 {
			a := randomDecimal(rnd)
			b := randomDecimal(rnd)
			if rnd.IntN(2) == 0 {
				near := apd.New(1, a.Exponent-int32(rnd.IntN(4)))
				c := apd.BaseContext.WithPrecision(200)
				if _, err := c.Add(b, a, near); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := canonical(t, a, code).Cmp(canonical(t, b, code)), a.Cmp(b); got != want {
				t.Errorf("%s and %s %s compare as %d, their canonical values as %d", a, b, code, want, got)
			}
		}
	}
}

// randomDecimal returns one of up to 18 digits, and so small that every scale has
// it.
func randomDecimal(rnd *rand.Rand) *apd.Decimal {
	digits := 1 + rnd.IntN(18)
	d := apd.New(rnd.Int64N(pow10(digits)), 0)
	d.Exponent = int32(3 - digits - rnd.IntN(3))
	d.Negative = rnd.IntN(3) == 0 && !d.IsZero()
	return d
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func canonical(t testing.TB, d *apd.Decimal, code string) *apd.Decimal {
	t.Helper()
	v, _, err := ucum.Canonical(d, code)
	if err != nil {
		t.Fatalf("Canonical(%s, %q): %v", d, code, err)
	}
	return v
}

// TestInverse holds that a unit times another and divided by it is the unit.
func TestInverse(t *testing.T) {
	t.Parallel()
	for _, a := range multiplicative() {
		for _, b := range multiplicative() {
			value := decimal(t, "12.75")
			want, unit, err := ucum.Canonical(value, "("+a+")")
			if err != nil {
				t.Fatal(err)
			}
			for _, code := range []string{"(" + a + ").(" + b + ")/(" + b + ")", "(" + a + ")/(" + b + ").(" + b + ")", "(" + a + ")/((" + b + ")/(" + b + "))"} {
				got, same, err := ucum.Canonical(value, code)
				if err != nil || got.Cmp(want) != 0 || same != unit {
					t.Errorf("%s = %s %s, %v; want %s %s", code, got, same, err, want, unit)
				}
			}
		}
	}
}

func multiplicative() []string {
	return []string{"mg", "[lb_av]", "mmol/L", "mL/min", "mm[Hg]", "10*9", "%", "[in_us]", "deg", "[iU]", "[pH]", "[car_Au]", "K", "7"}
}

// TestExact holds factors that do not end against ratios: 1/n of a metre, in
// each precision.
func TestExact(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		d, n := randomDecimal(rnd), 1+rnd.Int64N(pow10(1+rnd.IntN(17)))
		got := canonical(t, d, fmt.Sprintf("m/%d", n))
		exact := new(big.Rat).Quo(rational(t, d), new(big.Rat).SetInt64(n))
		off := new(big.Rat).Sub(rational(t, got), exact)
		// Half a unit in the 100th digit at most.
		bound := new(big.Rat).Mul(exact, new(big.Rat).SetFrac(big.NewInt(5), new(big.Int).Exp(big.NewInt(10), big.NewInt(100), nil)))
		if off.Abs(off).Cmp(bound.Abs(bound)) > 0 {
			t.Errorf("%s m/%d = %s, off by %s", d, n, got, off.FloatString(120))
		}
		if got.NumDigits() > 100 {
			t.Errorf("%s m/%d has %d digits", d, n, got.NumDigits())
		}
	}
}

func rational(t testing.TB, d *apd.Decimal) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(d.Text('e'))
	if !ok {
		t.Fatalf("%s is no number", d)
	}
	return r
}

// TestEvery holds that each code of the corpus has a canonical unit whose
// canonical unit is itself, with which it can be compared.
func TestEvery(t *testing.T) {
	t.Parallel()
	n := 0
	for code := range corpus(t) {
		if ucum.Valid(code) {
			n++
			fixpoint(t, code)
		}
	}
	if n < 1000 {
		t.Errorf("%d codes are valid, want more than 1000", n)
	}
}

// fixpoint checks the canonical form of a valid code.
func fixpoint(t testing.TB, code string) {
	t.Helper()
	v, unit, err := ucum.Canonical(apd.New(1, 0), code)
	if err != nil {
		// One of a great logarithmic unit, as the terabel, is beyond what it can have.
		v, unit, err = ucum.Canonical(apd.New(0, 0), code)
	}
	if err != nil {
		t.Fatalf("Canonical(0, %q): %v", code, err)
	}
	if !ucum.Comparable(code, unit) {
		t.Fatalf("%q cannot be compared with its canonical unit %q", code, unit)
	}
	if v.Exponent < -1000 || v.Exponent > 1000 {
		return
	}
	again, same, err := ucum.Canonical(v, unit)
	if err != nil || same != unit || again.Cmp(v) != 0 {
		t.Fatalf("Canonical(1, %q) = %s %q, whose canonical form is %s %q, %v", code, v, unit, again, same, err)
	}
}
