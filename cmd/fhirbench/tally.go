package main

import "time"

// timing is when one request was due, sent and answered.
type timing struct {
	due, began, ended time.Time
	late              bool
}

// tally is what was measured. Only answered requests with 2xx count in the latencies: a quick refusal would make them
// look better, and a failure is reported as such. It is used by one goroutine.
type tally struct {
	// latency has one histogram for each interaction that was used, from due to answered.
	latency [kinds]*histogram
	// delay is from due to sent: the part of the latency that was spent before the target knew of the request.
	delay    *histogram
	late     uint64
	sent     int64
	received int64
	requests uint64
	statuses map[int]uint64
	errors   map[string]uint64
	// samples has the text of one unexpected answer for each status, and of one error for each class.
	samples map[string]string
}

func newTally() *tally {
	return &tally{
		delay:    new(histogram),
		statuses: map[int]uint64{},
		errors:   map[string]uint64{},
		samples:  map[string]string{},
	}
}

func (t *tally) begin(o op, took timing) {
	t.requests++
	t.sent += int64(len(o.body))
	t.delay.add(took.began.Sub(took.due))
	if took.late {
		t.late++
	}
}

func (t *tally) count(o op, took timing, a answer) {
	t.begin(o, took)
	t.received += a.bytes
	t.statuses[a.status]++
	if !a.ok() {
		t.sample(statusLabel(a.status), o, a.text)
		return
	}
	if t.latency[o.kind] == nil {
		t.latency[o.kind] = new(histogram)
	}
	t.latency[o.kind].add(took.ended.Sub(took.due))
}

func (t *tally) fail(o op, took timing, err error) {
	t.begin(o, took)
	class := errorClass(err)
	t.errors[class]++
	t.sample(class, o, err.Error())
}

func (t *tally) sample(label string, o op, text string) {
	if _, known := t.samples[label]; !known {
		t.samples[label] = o.kind.String() + " " + o.typeName + ": " + excerpt(text)
	}
}

func (t *tally) merge(other *tally) {
	for k, h := range other.latency {
		if h == nil {
			continue
		}
		if t.latency[k] == nil {
			t.latency[k] = new(histogram)
		}
		t.latency[k].merge(h)
	}
	t.delay.merge(other.delay)
	t.late += other.late
	t.sent += other.sent
	t.received += other.received
	t.requests += other.requests
	for status, n := range other.statuses {
		t.statuses[status] += n
	}
	for class, n := range other.errors {
		t.errors[class] += n
	}
	for label, text := range other.samples {
		t.samples[label] = text
	}
}

// all is the latency over all interactions.
func (t *tally) all() *histogram {
	all := new(histogram)
	for _, h := range t.latency {
		if h != nil {
			all.merge(h)
		}
	}
	return all
}
