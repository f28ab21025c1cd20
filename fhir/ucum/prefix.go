package ucum

import "math/big"

// decimalPrefix returns the power of ten of a prefix of one letter, or 0.
// https://ucum.org/ucum
func decimalPrefix(c byte) int {
	switch c {
	case 'Y':
		return 24
	case 'Z':
		return 21
	case 'E':
		return 18
	case 'P':
		return 15
	case 'T':
		return 12
	case 'G':
		return 9
	case 'M':
		return 6
	case 'k':
		return 3
	case 'h':
		return 2
	case 'd':
		return -1
	case 'c':
		return -2
	case 'm':
		return -3
	case 'u':
		return -6
	case 'n':
		return -9
	case 'p':
		return -12
	case 'f':
		return -15
	case 'a':
		return -18
	case 'z':
		return -21
	case 'y':
		return -24
	}
	return 0
}

// longPrefix returns the factor of a prefix of two letters.
func longPrefix(s string) (ratio, bool) {
	switch s {
	case "da":
		return ratio{exp: 1}, true
	case "Ki":
		return ratio{num: big.NewInt(1 << 10)}, true
	case "Mi":
		return ratio{num: big.NewInt(1 << 20)}, true
	case "Gi":
		return ratio{num: big.NewInt(1 << 30)}, true
	case "Ti":
		return ratio{num: big.NewInt(1 << 40)}, true
	}
	return ratio{}, false
}
