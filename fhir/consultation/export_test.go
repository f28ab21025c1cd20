package consultation

import "time"

// Holiday returns the name of the holiday that a date is; ok is false when it is none.
func (c *Calendar) Holiday(date time.Time) (name string, ok bool) {
	return c.on(civilDate(date.Date()))
}

// Soon returns the moment from which an answer is due soon, the zero time when Due is.
func (h *Hours) Soon(c Clock) (time.Time, error) {
	due, err := h.Due(c)
	if err != nil || due.IsZero() {
		return due, err
	}
	return h.soon(c, due)
}
