package definition

import "testing"

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	// Each is older than the next.
	order := []string{
		"", "draft", "zeta",
		"2018", "2018-08", "2018-08-12", "2019", "2019-01",
		"0.9", "1.0-alpha", "1.0-alpha.1", "1.0-alpha.2", "1.0-alpha.10", "1.0-beta", "1.0", "1.0.0", "1.0.1", "v1.2", "1.9", "1.10", "2.0.0-ballot", "2.0.0",
		"4.0.1", "20180812", "99999999999999999999999999", "100000000000000000000000000",
	}
	for i, a := range order {
		for j, b := range order {
			if got := sign(compareVersions(a, b)); got != sign(i-j) {
				t.Errorf("%q to %q is %d", a, b, got)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestIsPart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		part, version string
		want          bool
	}{
		{"4", "4.0.1", true}, {"4.0", "4.0.1", true}, {"4.0.1", "4.0.1-ballot", true},
		{"4.0.1", "4.0.1", false}, {"4", "40.1", false}, {"4.0.1", "4.0", false}, {"4.", "4.0", false},
	}
	for _, tt := range tests {
		if got := isPart(tt.part, tt.version); got != tt.want {
			t.Errorf("%q of %q is %v", tt.part, tt.version, got)
		}
	}
}

// FuzzCompareVersions wants an order of any three versions.
func FuzzCompareVersions(f *testing.F) {
	f.Add("1.0", "1.0.0", "v1")
	f.Add("2018-08-12", "4.0.1", "x-y+z")
	f.Add("1.0-alpha.1", "1.0-alpha", "1.0-00")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if sign(compareVersions(a, b)) != -sign(compareVersions(b, a)) {
			t.Errorf("%q and %q are both before or both behind", a, b)
		}
		if (compareVersions(a, b) == 0) != (a == b) {
			t.Errorf("%q and %q are the same", a, b)
		}
		if compareVersions(a, b) < 0 && compareVersions(b, c) < 0 && compareVersions(a, c) >= 0 {
			t.Errorf("%q, %q, %q go round", a, b, c)
		}
	})
}
