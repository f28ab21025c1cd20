package pgserver

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// tuned are the settings for a machine that the cluster shares with the server and with others. Sizes are bytes; a size of 0 is not
// known. Durability is left at PostgreSQL's defaults: all on.
func tuned(memory, disk int64) map[string]string {
	if memory == 0 {
		memory = gib
	}
	if disk == 0 {
		disk = 20 * gib
	}
	return map[string]string{
		"listen_addresses":                    "",
		"max_connections":                     "64",
		"max_locks_per_transaction":           "512", // who sees what is locked key by key
		"shared_buffers":                      megabytes(clamp(memory/4, 64*mib, 2*gib)),
		"effective_cache_size":                megabytes(max(memory/2, 128*mib)),
		"maintenance_work_mem":                megabytes(clamp(memory/20, 32*mib, 512*mib)),
		"work_mem":                            megabytes(clamp(memory/256, 4*mib, 32*mib)),
		"max_wal_size":                        megabytes(clamp(disk/10, gib, 8*gib)),
		"checkpoint_timeout":                  "15min",
		"autovacuum_naptime":                  "5s", // statements that were planned while tables were empty are slow until they are analysed
		"random_page_cost":                    "1.1",
		"jit":                                 "off",
		"wal_level":                           "replica",
		"max_wal_senders":                     "4",
		"idle_in_transaction_session_timeout": "30s",
		"timezone":                            "UTC",
		"log_timezone":                        "UTC",
		"cluster_name":                        "openconsult",
		// Statements and details of errors can hold patient data.
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
		"log_line_prefix":         "%m [%p] ",
	}
}

func clamp(n, low, high int64) int64 { return min(max(n, low), high) }

func megabytes(n int64) string { return strconv.FormatInt(n/mib, 10) + "MB" }

// render writes settings as a configuration file. Later maps win, and an included file over all; empty for none.
func render(include string, layers ...map[string]string) string {
	all := map[string]string{}
	for _, layer := range layers {
		maps.Copy(all, layer)
	}
	var b strings.Builder
	b.WriteString("# Written at each start of the server. Put settings of your own into postgresql.local.conf.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = %s\n", name, quote(all[name]))
	}
	if include != "" {
		fmt.Fprintf(&b, "include = %s\n", quote(include))
	}
	return b.String()
}

// quote makes a string of a PostgreSQL configuration file and of a lib/pq connection string alike.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// memory is what this process may use: the machine's, or the limit of its control group. 0 if unknown.
func memory() int64 {
	total := memTotal()
	text, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || total != 0 && limit > total {
		return total
	}
	return limit
}

// memTotal reads the line "MemTotal:  24605424 kB".
func memTotal() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kilobytes int64
		if n, err := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kilobytes); n == 1 && err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

// diskFree is the space that an ordinary user may still fill below dir, in bytes. 0 if unknown.
func diskFree(dir string) int64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0
	}
	return int64(stat.Bavail) * int64(stat.Bsize)
}
