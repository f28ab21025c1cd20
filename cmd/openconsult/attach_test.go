package main

import (
	"strings"
	"testing"
)

func TestScannerSetting(t *testing.T) {
	t.Parallel()
	for value, wrong := range map[string]bool{"": false, "tcp:localhost:3310": false, "unix:/run/clamd.ctl": false, "localhost:3310": true, "tcp:3310": true, "unix:clamd": true} {
		s, err := completed(t, nil, []string{"OPENCONSULT_CLAMAV=" + value}, "")
		if err != nil || s.ClamAV != value {
			t.Fatalf("%q: %v, %v", value, s.ClamAV, err)
		}
		err = s.check()
		if is := err != nil && strings.Contains(err.Error(), "--clamav"); is != wrong {
			t.Errorf("%q: %v", value, err)
		}
		scanner, err := s.scanner()
		if (err != nil) != wrong || (scanner != nil) != (value != "" && !wrong) {
			t.Errorf("%q: scanner %v, %v", value, scanner, err)
		}
	}
}
