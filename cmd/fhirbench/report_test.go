package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func sampleReport() report {
	c := config{workload: workloads[4], typeName: "Task", clients: 2, rate: 2, seed: 7, duration: 5 * time.Second}
	t, start := newTally(), time.Unix(0, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	o := op{kind: create, typeName: "Task", body: []byte("1234")}
	t.count(o, timing{due: at(0), began: at(1), ended: at(4)}, answer{status: 201, bytes: 10})
	t.count(op{kind: read, typeName: "Task"}, timing{due: at(500), began: at(502), ended: at(508), late: true},
		answer{status: 200, bytes: 5})
	t.count(o, timing{due: at(1000), began: at(1000), ended: at(1002)}, answer{status: 422, bytes: 1, text: "no\n  such  code"})
	t.fail(o, timing{due: at(1500), began: at(1500), ended: at(1900)}, errors.New("out of luck"))
	merged := newTally()
	merged.merge(t)
	return newReport(c, merged, 2*time.Second)
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := sampleReport().print(&out, true); err != nil {
		t.Fatal(err)
	}
	want := `{"workload":"mixed","type":"Task","clients":2,"rate":2,"seed":7,"seconds":2,"requests":4,"succeeded":2,` +
		`"per_second":1,"latency_ms":{"p50":4.014,"p95":8,"p99":8,"max":8},"operations":{` +
		`"create":{"succeeded":1,"latency_ms":{"p50":4,"p95":4,"p99":4,"max":4}},` +
		`"read":{"succeeded":1,"latency_ms":{"p50":8,"p95":8,"p99":8,"max":8}}},` +
		`"late_starts":1,"not_started":6,"start_delay_ms":{"p50":0,"p95":2,"p99":2,"max":2},"bytes_sent":12,"bytes_received":16,` +
		`"statuses":{"200":1,"201":1,"422":1},"errors":{"other":1},"interrupted":false}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestReportTable(t *testing.T) {
	t.Parallel()
	var out, complaints bytes.Buffer
	r := sampleReport()
	if err := r.print(&out, false); err != nil {
		t.Fatal(err)
	}
	r.complain(&complaints)
	for _, want := range []string{
		"mixed Task, 2 clients, open loop, 2 requests/s due, seed 7", "4 requests in 2.000 s: 1.0 successes/s", "12 B sent, 16 B received",
		"late starts: 1 of 4", "6 due were never begun", "statuses: 200 × 1, 201 × 1, 422 × 1", "errors: other × 1",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
	want := "fhirbench: 422: create Task: no such code\nfhirbench: other: create Task: out of luck\n"
	if got := complaints.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		report report
		want   int
	}{
		"all succeeded": {report{Requests: 2, Succeeded: 2}, 0},
		"one did not":   {report{Requests: 2, Succeeded: 1}, 1},
		"interrupted":   {report{Requests: 2, Succeeded: 2, Interrupted: true}, 130},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.report.exitStatus(); got != test.want {
				t.Errorf("exit status %d, want %d", got, test.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 30_120_000: "30.12 MB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
