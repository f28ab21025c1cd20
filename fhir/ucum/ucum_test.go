package ucum_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/openconsult/openconsult/fhir/ucum"
)

func decimal(t testing.TB, s string) *apd.Decimal {
	t.Helper()
	d, _, err := apd.NewFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, code, want, unit string }{
		// Metric units are shifts of the point.
		{"5.4", "mg", "0.0054", "g"},
		{"0.0054", "g", "0.0054", "g"},
		{"1", "kg", "1000", "g"},
		{"1", "dag", "10", "g"},
		{"1", "L", "0.001", "m3"},
		{"1", "l", "0.001", "m3"},
		{"1", "dL", "0.0001", "m3"},
		{"95", "mg/dL", "950", "g.m-3"},
		{"13.2", "g/dL", "132000", "g.m-3"},
		{"1.2345678901234567890123456789012345678901234567890123456789", "mg", "0.0012345678901234567890123456789012345678901234567890123456789", "g"},
		{"3", "N", "3000", "g.m.s-2"},
		{"1", "J", "1000", "g.m2.s-2"},
		{"1", "Pa", "1000", "g.m-1.s-2"},
		{"1", "V", "1000", "C-1.g.m2.s-2"},
		{"1", "S", "0.001", "C2.g-1.m-2.s"},
		{"9.80665", "m/s2", "9.80665", "m.s-2"},
		{"1", "KiBy", "8192", "1"},

		// Clinical units.
		{"120", "mm[Hg]", "15998640", "g.m-1.s-2"},
		{"1", "m[Hg]", "133322000", "g.m-1.s-2"},
		{"10", "cm[H2O]", "980665", "g.m-1.s-2"},
		{"5.5", "mmol/L", "3312177418000000000000000", "m-3"},
		{"5.5", "meq/L", "3312177418000000000000000", "m-3"},
		{"1", "mol", "602214076000000000000000", "1"},
		{"60", "/min", "1", "s-1"},
		{"72", "{beats}/min", "1.2", "s-1"},
		{"98", "%", "0.98", "1"},
		{"7", "{score}", "7", "1"},
		{"1", "10*-3", "0.001", "1"},
		{"4.5", "10*12/L", "4500000000000000", "m-3"},
		{"4.5", "10^12/L", "4500000000000000", "m-3"},
		{"4.5", "10*+12/L", "4500000000000000", "m-3"},
		{"250", "10*3/uL", "250000000000000", "m-3"},
		{"24", "kg/m2", "24000", "g.m-2"},
		{"90", "mL/min/{1.73_m2}", "0.0000015", "m3.s-1"},
		{"173", "mL/min/(173.10*-2.m2)", "0.000001666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666667", "m.s-1"},
		{"2", "[MET]", "0.0000000001166666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666667", "g-1.m3.s-1"},
		{"6", "[Ch]", "0.002", "m"},
		{"20", "[drp]", "0.000001", "m3"},
		{"1", "[diop]", "1", "m-1"},
		{"1", "wk", "604800", "s"},
		{"1", "mo", "2629800", "s"},
		{"1", "a", "31557600", "s"},
		{"60", "U", "602214076000000000", "s-1"},
		{"1", "[car_Au]", "0.04166666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666667", "1"},

		// Customary units.
		{"1", "[in_i]", "0.0254", "m"},
		{"1", "[ft_i]", "0.3048", "m"},
		{"1", "[mi_i]", "1609.344", "m"},
		{"3937", "[ft_us]", "1200", "m"},
		{"1", "[lb_av]", "453.59237", "g"},
		{"1", "[oz_av]", "28.349523125", "g"},
		{"1", "[stone_av]", "6350.29318", "g"},
		{"1", "[gal_us]", "0.003785411784", "m3"},
		{"1", "[foz_us]", "0.0000295735295625", "m3"},
		{"3", "[tsp_us]", "0.00001478676478125", "m3"},
		{"1", "[pt_br]", "0.00056826125", "m3"},
		{"1", "[lbf_av]", "4448.2216152605", "g.m.s-2"},
		{"1", "kcal", "4184000", "g.m2.s-2"},
		{"1", "[Cal]", "4184000", "g.m2.s-2"},
		{"1", "eV", "0.0000000000000001602176634", "g.m2.s-2"},
		{"1", "[ly]", "9460730472580800", "m"},
		{"1", "mCi", "37000000", "s-1"},
		{"1", "rem", "", ""},
		{"1", "REM", "0.01", "m2.s-2"},
		{"1", "deg", "0.01745329251994329576923690768488612713442871888541725456097191440166666666666666666666666666666666667", "rad"},
		{"1", "sr", "1", "rad2"},

		// Temperatures have an offset alone, and none in products.
		{"0", "Cel", "273.15", "K"},
		{"37", "Cel", "310.15", "K"},
		{"-300", "Cel", "-26.85", "K"},
		{"37000", "mCel", "310.15", "K"},
		{"37", "Cel{core}", "310.15", "K"},
		{"37", "(Cel)", "310.15", "K"},
		{"3.7", "10.Cel", "310.15", "K"},
		{"98.6", "[degF]", "310.15", "K"},
		{"-40", "[degF]", "233.15", "K"},
		{"212", "[degF]", "373.15", "K"},
		{"9", "[degR]", "5", "K"},
		{"80", "[degRe]", "373.15", "K"},
		{"36", "Cel/h", "0.01", "K.s-1"},
		{"36", "/h.Cel", "0.01", "K.s-1"},
		{"9", "J/[degF]", "16200", "K-1.g.m2.s-2"},
		{"2", "Cel2", "2", "K2"},

		// Logarithms and slopes.
		{"0", "B", "1", "1"},
		{"30", "dB", "1000", "1"},
		{"-30", "dB", "0.001", "1"},
		{"3", "dB", "1.9952623149688796013524553967395355579862743154053", "1"},
		{"1", "Np", "2.7182818284590452353602874713526624977572470937", "1"},
		{"60", "dB[SPL]", "20", "g.m-1.s-2"},
		{"2", "B[V]", "10000", "C-1.g.m2.s-2"},
		{"4", "B[10.nV]", "0.001", "C-1.g.m2.s-2"},
		{"3", "B[kW]", "1000000000", "g.m2.s-3"},
		{"10", "bit_s", "1024", "1"},
		{"0", "%[slope]", "0", "rad"},
		{"100", "%[slope]", "0.78539816339744830961566084581987572104929234984378", "rad"},
		{"-100", "[p'diop]", "-0.78539816339744830961566084581987572104929234984378", "rad"},
		{"1", "[p'diop]", "0.0099996666866652382063401162092795485613693525443766", "rad"},
		{"200", "[p'diop]", "1.1071487177940905030170654601785370400700476454014", "rad"},

		// These are dimensions of their own.
		{"5", "[iU]", "5", "[iU]"},
		{"5", "[IU]", "5", "[iU]"},
		{"5", "m[IU]/L", "5", "[iU].m-3"},
		{"7.4", "[pH]", "7.4", "[pH]"},
		{"2", "[arb'U]-1.[CFU]", "2", "[CFU].[arb'U]-1"},
		{"2", "[IU]/[iU]", "2", "1"},
		{"2", "[IU]/g/[iU].g.[CFU]", "2", "[CFU]"},

		// Terms go from left to right.
		{"1", "s/m.mg", "0.001", "g.m-1.s"},
		{"1", "s/(m.mg)", "1000", "g-1.m-1.s"},
		{"1", "m/(s/(g/rad))", "1", "g.m.rad-1.s-1"},
		{"1", "/m/s", "1", "m-1.s-1"},
		{"1", "/(m/s)", "1", "m-1.s"},
		{"1", "m0", "1", "1"},
		{"1", "m+2", "1", "m2"},
		{"1", "mm-2", "1000000", "m-2"},
		{"6.30", "4.s/m", "25.2", "m-1.s"},
		{"1", "4.[pi].10*-7.s", "0.00000125663706143591729538505735331180115367886775975004232838997783692", "s"},
		{"0", "mg", "0", "g"},
		{"-0.0", "mg", "0", "g"},
		{"1e300", "Ym", "1e324", "m"},
	} {
		v, unit, err := ucum.Canonical(decimal(t, c.value), c.code)
		if c.unit == "" {
			if err == nil {
				t.Errorf("Canonical(%s, %q) = %s %q, want an error", c.value, c.code, v, unit)
			}
			continue
		}
		if err != nil {
			t.Errorf("Canonical(%s, %q): %v", c.value, c.code, err)
			continue
		}
		if v.Cmp(decimal(t, c.want)) != 0 || unit != c.unit {
			t.Errorf("Canonical(%s, %q) = %s %q, want %s %q", c.value, c.code, v.Text('f'), unit, c.want, c.unit)
		}
		if s := v.Text('f'); strings.Contains(s, ".") && strings.HasSuffix(s, "0") || s == "-0" {
			t.Errorf("Canonical(%s, %q) = %s, with zeros that say nothing", c.value, c.code, s)
		}
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"Y": "1e24", "Z": "1e21", "E": "1e18", "P": "1e15", "T": "1e12", "G": "1e9", "M": "1e6", "k": "1e3", "h": "1e2", "da": "1e1",
		"d": "1e-1", "c": "1e-2", "m": "1e-3", "u": "1e-6", "n": "1e-9", "p": "1e-12", "f": "1e-15", "a": "1e-18", "z": "1e-21", "y": "1e-24",
		"Ki": "1024", "Mi": "1048576", "Gi": "1073741824", "Ti": "1099511627776",
	} {
		v, unit, err := ucum.Canonical(decimal(t, "1"), prefix+"bit")
		if err != nil || unit != "1" || v.Cmp(decimal(t, want)) != 0 {
			t.Errorf("Canonical(1, %q) = %s %q, %v; want %s", prefix+"bit", v, unit, err, want)
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("(", 16) + "m" + strings.Repeat(")", 16)
	for code, want := range map[string]bool{
		"1": true, "m": true, "/m": true, "10*-3/ul": true, "{a}.rad2{b}": true, "1{c}": true, "{e}": true,
		"dB[10.nV]": true, "umol/2.h": true, "g/(8.h){shift}": true, "/100{WBCs}": true, "m2{hb}": true,
		"[m/s2/Hz^(1/2)]": true, "cal_[15]": true, "[Amb'a'1'U]": true, "mL/{hb}.m2": true, "pt": true,
		"10.uN.s/(cm5.m2)": true, "ng/10*6{RBCs}": true, "''": true, "pH": true, "{}": true, "Cel": true,
		deep: true, "m999": false, "m99": true, "10*999": true, strings.Repeat("m/m.", 63) + "m": true, strings.Repeat("m.", 99) + "m": false,

		"": false, " ": false, "m ": false, " m": false, "m/": false, "m.": false, ".m": false, "//m": false, "m//s": false,
		"10+3/ul": false, "rad2{錠}": false, "{a}rad2{b}": false, "{|}1": false, "iU": false, "molv": false, "[BETH'U]": false,
		"[iIU]/mL": false, "g/12h": false, "mmol/kg[H20]": false, "ug(8.h)": false, "(m": false, "m)": false, "()": false,
		"m{": false, "m}": false, "m{a}{b}": false, "m{a b}": false, "m{a{b}}": false, "m{a\tb}": false, "[iU": false, "iU]": false,
		"k%": false, "kmin": false, "k[in_i]": false, "k": false, "kk": false, "kkg": false, "da": false, "Ki": false, "d%": false,
		"m-": false, "m+": false, "m--2": false, "m1000": false, "m-1000": false, "(m)2": false, "2m": false, "0": false, "m/0": false, "00": false,
		"MG": true, "Mmol": true, "mm[HG]": false, "kG": true, "KG": false, "µg": false, "°C": false, "m\x00": false, "mcg": false,
		"B.m": false, "dB/m": false, "m/dB": false, "B2": false, "[degF]/B": false, "%[slope].s": false, "10.dB": true,
		"(" + deep + ")": false, "{" + strings.Repeat("x", 300) + "}": false, "[pi]99.[pi]99": false,
		"[iU].[CFU].[PFU].[EU]": true, "[iU].[CFU].[PFU].[EU].[FFU]": false, "m99.m": false, "10*999.10*999": false,
	} {
		if got := ucum.Valid(code); got != want {
			t.Errorf("Valid(%q) = %t, want %t", code, got, want)
		}
	}
}

func TestComparable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"mg", "[lb_av]", true},
		{"Cel", "[degF]", true},
		{"Cel", "K", true},
		{"mmol/L", "meq/dL", true},
		{"mol", "1", true},
		{"mm[Hg]", "kPa", true},
		{"N.m", "J", true},
		{"[IU]", "[iU]", true},
		{"k[IU]/L", "m[iU]/mL", true},
		{"{a}", "{b}", true},
		{"B[V]", "mV", true},
		{"[iU].[CFU]", "[CFU].[iU]", true},
		{"mg", "mL", false},
		{"mg/dL", "mmol/L", false},
		{"[IU]", "1", false},
		{"[IU]", "U", false},
		{"[CFU]", "[PFU]", false},
		{"[pH]", "mol/L", false},
		{"mcg", "mcg", false},
		{"mg", "", false},
		{"", "mg", false},
	} {
		if got := ucum.Comparable(c.a, c.b); got != c.want {
			t.Errorf("Comparable(%q, %q) = %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

func TestCanonicalErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, code, want string }{
		{"1", "mcg", `unit "mcg": Use a UCUM unit; upper and lower case differ.`},
		{"1", "", `unit "": Give a unit code of 1 to 256 characters; the code of no unit is 1.`},
		{"NaN", "mg", `unit "mg": Give a value that is a number and not larger or smaller than any measurement.`},
		{"Infinity", "mg", `unit "mg": Give a value that is a number and not larger or smaller than any measurement.`},
		{"1e1001", "mg", `unit "mg": Give a value that is a number and not larger or smaller than any measurement.`},
		{"1e-1001", "mg", `unit "mg": Give a value that is a number and not larger or smaller than any measurement.`},
		{strings.Repeat("9", 1300), "mg", `unit "mg": Give a value that is a number and not larger or smaller than any measurement.`},
		{"5001", "B", `unit "B": Give a value that a logarithmic unit can have.`},
		{"-5001", "B", `unit "B": Give a value that a logarithmic unit can have.`},
		{"1e999", "Np", `unit "Np": Give a value that a logarithmic unit can have.`},
		{"1e999", "%[slope]", ""},
		{"1e-999", "%[slope]", ""},
		{"1e999", "Cel", ""},
		{"1e-999", "[degF]", ""},
		{"1e-999", "dB", ""},
		{strings.Repeat("9", 1200) + "e-1000", "min", ""},
	} {
		_, _, err := ucum.Canonical(decimal(t, c.value), c.code)
		if got := text(err); got != c.want {
			t.Errorf("Canonical(%.20s, %q): %q, want %q", c.value, c.code, got, c.want)
		}
	}
	if _, _, err := ucum.Canonical(nil, "mg"); err == nil {
		t.Error("Canonical(nil) has no error")
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
