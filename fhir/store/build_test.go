package store

import "sync"

// race runs n workers at once and waits for them.
func race(n int, work func(n int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}
