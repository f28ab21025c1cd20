package main

import "fmt"

// changed says what became of a figure since another report. It moved when the change is more than the noise, and no round of
// one report came near those of the other.
func (f figure) changed(before *figureReport, noise float64) string {
	old, known := before.find(f)
	if !known || old.Value == 0 || f.Value == 0 {
		return ""
	}
	ratio := f.Value / old.Value
	text := fmt.Sprintf("× %.2f", ratio)
	if ratio <= 1+noise && ratio >= 1/(1+noise) || f.meets(old) {
		return text
	}
	if (ratio > 1) == (f.Unit == unitRate) {
		return text + " **better**"
	}
	return text + " **worse**"
}

// meets reports whether the rounds of two figures overlap. Those without rounds do not.
func (f figure) meets(old figure) bool {
	if f.High == 0 || old.High == 0 {
		return false
	}
	return f.Low <= old.High && old.Low <= f.High
}
