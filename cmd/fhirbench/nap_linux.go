package main

import (
	"syscall"
	"time"
)

// nap sleeps in the kernel, which wakes within about 0.06 ms; the runtime's timers wait in whole milliseconds.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(d.Nanoseconds())
	if syscall.Nanosleep(&t, nil) != nil {
		time.Sleep(d)
	}
}
