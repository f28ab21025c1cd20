package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance is that of a color such as #1b2830.
// https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

// TestContrast holds what is read against 4.5 to 1, and the edges of fields
// against 3 to 1, in the light and in the dark.
func TestContrast(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(authStyle, -1)
	if len(blocks) != 2 {
		t.Fatalf("the style has %d sets of colors", len(blocks))
	}
	colors := map[string]string{"white": "#ffffff"}
	for i, name := range []string{"light", "dark"} {
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(blocks[i][1], -1) {
			colors[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "page", 4.5}, {"text", "sheet", 4.5}, {"text", "plain", 4.5}, {"text", "bad-sheet", 4.5}, {"text", "good-sheet", 4.5},
			{"muted", "page", 4.5}, {"muted", "sheet", 4.5}, {"link", "page", 4.5}, {"link", "sheet", 4.5}, {"bad", "page", 4.5}, {"bad", "sheet", 4.5}, {"bad", "bad-sheet", 4.5},
			{"white", "bar", 4.5}, {"white", "main", 4.5}, {"white", "main-over", 4.5}, {"on-focus", "focus", 4.5},
			{"edge", "sheet", 3}, {"edge", "page", 3},
		} {
			a, b := luminance(t, colors[pair.front]), luminance(t, colors[pair.back])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < pair.least {
				t.Errorf("%s: %s on %s is %.2f to 1", name, pair.front, pair.back, ratio)
			}
		}
	}
}
