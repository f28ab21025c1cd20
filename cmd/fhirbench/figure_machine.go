package main

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine is what the figures were measured on. What could not be found out is empty.
type machine struct {
	Cores      int    `json:"cores"`
	CPU        string `json:"cpu"`
	MemoryMiB  int64  `json:"memory_mib"`
	System     string `json:"system"`
	Go         string `json:"go"`
	PostgreSQL string `json:"postgresql,omitempty"`
	// LoadBefore is how many processes wanted to run in the minute before, beside the figures.
	LoadBefore float64 `json:"load_before"`
}

func thisMachine() machine {
	m := machine{
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		CPU: fieldOf("/proc/cpuinfo", "model name"), MemoryMiB: kibibytes(fieldOf("/proc/meminfo", "MemTotal")) >> 10,
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		// It stays 0 when it cannot be read.
		m.LoadBefore, _ = strconv.ParseFloat(first, 64)
	}
	return m
}

// fieldOf returns what stands after a name and a colon in a file of the system, or "".
func fieldOf(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kibibytes reads "1234 kB" as the system writes it; 0 when it is something else.
func kibibytes(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
