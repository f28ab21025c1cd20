package api

import (
	"testing"
	"time"
)

func TestParsePeriod(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, from, to string }{
		{"2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{"2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"2023-12", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z"},
		{"2024-02-28", "2024-02-28T00:00:00Z", "2024-02-29T00:00:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"2000-02-29", "2000-02-29T00:00:00Z", "2000-03-01T00:00:00Z"},
		{"2024-05-06T07:08Z", "2024-05-06T07:08:00Z", "2024-05-06T07:09:00Z"},
		{"2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z", "2024-05-06T07:08:10Z"},
		{"2024-05-06T07:08:09.000Z", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09.001Z"},
		{"2024-05-06T07:08:09.123Z", "2024-05-06T07:08:09.123Z", "2024-05-06T07:08:09.124Z"},
		{"2024-05-06T07:08:09.1239Z", "2024-05-06T07:08:09.1239Z", "2024-05-06T07:08:09.124Z"},
		{"2024-05-06T07:08:09.5+01:30", "2024-05-06T05:38:09.5Z", "2024-05-06T05:38:09.501Z"},
		{"2024-05-06T07:08:09 01:00", "2024-05-06T06:08:09Z", "2024-05-06T06:08:10Z"},
		{"2024-05-06T07:08 01:00", "2024-05-06T06:08:00Z", "2024-05-06T06:09:00Z"},
		{"2024-05-06T07:08:09-05:00", "2024-05-06T12:08:09Z", "2024-05-06T12:08:10Z"},
		{"0001", "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"},
		{"9999", "9999-01-01T00:00:00Z", "10000-01-01T00:00:00Z"},
	} {
		p, err := parsePeriod("_at", tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if from, to := p.from.Format(time.RFC3339Nano), p.to.Format(time.RFC3339Nano); from != tt.from || to != tt.to {
			t.Errorf("%s is %s to %s, want %s to %s", tt.in, from, to, tt.from, tt.to)
		}
		if p.last().Before(p.from.Truncate(time.Millisecond)) || !p.last().Before(p.to) {
			t.Errorf("%s: its last millisecond %v is outside", tt.in, p.last())
		}
	}
}

func TestParsePeriodRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "0000", "0001-01-01T00:00:00+01:00", "24", "20240506", "2024-13", "2024-00", "2023-02-29", "1900-02-29", "2024-04-31", "2024-5-6",
		"2024-05-06T", "2024-05-06T07", "2024-05-06T07:08", "2024-05-06T07:08:09", "2024-05-06T7:08:09Z", "2024-05-06T24:00:00Z",
		"2024-05-06T07:60:00Z", "2024-05-06T07:08:61Z", "2024-05-06T07:08:09,5Z", "2024-05-06T07:08:09.Z", "2024-05-06T07:08:09+0100",
		"2024-05-06T07:08:09+99:00", "2024-05-06t07:08:09z", "2024-05-06 07:08:09Z", " 2024", "2024 ", "now", "10000", "2024-05-06T07:08:09Z\n",
	} {
		if p, err := parsePeriod("_at", in); err == nil {
			t.Errorf("%q is taken for %v", in, p)
		}
	}
}

func FuzzPeriod(f *testing.F) {
	for _, seed := range []string{"2024", "2024-02", "2024-02-29", "2024-05-06T07:08Z", "2024-05-06T07:08:09.123+01:00", "2024-05-06T07:08:09 01:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := parsePeriod("_at", in)
		if err != nil {
			return
		}
		if !p.from.Before(p.to) || p.to.Sub(p.from) > 366*24*time.Hour {
			t.Errorf("%q is %v to %v", in, p.from, p.to)
		}
		// Its first millisecond, written in full, lies within.
		again, err := parsePeriod("_at", p.from.Format("2006-01-02T15:04:05.000Z"))
		if err != nil || !again.from.Equal(p.from.Truncate(time.Millisecond)) || again.to.After(p.to) || again.to.Sub(again.from) != time.Millisecond {
			t.Errorf("%q is %v; the start of it is %v, %v", in, p, again, err)
		}
	})
}
