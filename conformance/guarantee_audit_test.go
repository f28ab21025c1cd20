package conformance_test

import (
	"database/sql"
	"testing"
)

// accounts are questions about versions and the lines of audit about them, which must have
// the answer 0.
var accounts = map[string]string{
	"versions without a line":             `SELECT count(*) FROM ver v WHERE NOT EXISTS (SELECT FROM audit a WHERE a.rid = v.rid AND a.ver = v.ver AND a.outcome = 0 AND a.interaction IN ('create', 'update'))`,
	"versions with several lines":         `SELECT count(*) FROM (SELECT FROM audit WHERE outcome = 0 AND interaction IN ('create', 'update') AND ver > 0 GROUP BY rid, ver HAVING count(*) > 1) q`,
	"lines of versions that are not":      `SELECT count(*) FROM audit a WHERE a.outcome = 0 AND a.interaction IN ('create', 'update') AND NOT EXISTS (SELECT FROM ver v WHERE v.rid = a.rid AND v.ver = a.ver)`,
	"lines that say neither who nor when": `SELECT count(*) FROM audit WHERE request = '' OR at IS NULL`,
}

// TestGuaranteeAuditKill9 kills the server, its database and both while clients write: each
// version that is there has exactly one line of audit, and no line is about a version that is
// not there.
func TestGuaranteeAuditKill9(t *testing.T) {
	t.Parallel()
	program, dir := build(t), dataDir(t)
	p := startProgram(t, program, "--auth=none", "--audit=on", "--addr=127.0.0.1:0", "--data-dir="+dir)
	l := newLedger(t, p)
	end := l.begin()
	defer end()
	for _, c := range crashes[:3] {
		before, _ := l.acknowledged()
		if !await(t, "writes before a kill", func() bool { n, _ := l.acknowledged(); return n >= before+150 }) {
			break
		}
		old := databaseProcesses(dir)
		if c.server {
			p.kill()
		}
		c.what(t, dir)
		if c.spared >= 0 && !await(t, "the end of the database", func() bool { return len(common(old, databaseProcesses(dir))) <= c.spared }) {
			break
		}
		if c.server {
			p = startProgram(t, program, "--auth=none", "--audit=on", "--addr=127.0.0.1:0", "--data-dir="+dir)
			l.program.Store(p)
		}
	}
	before, _ := l.acknowledged()
	await(t, "writes after the kills", func() bool { n, _ := l.acknowledged(); return n >= before+50 })
	end()
	db, err := sql.Open("postgres", privateDSN(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for what, query := range accounts {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	var versions int
	if err := db.QueryRow(`SELECT count(*) FROM ver`).Scan(&versions); err != nil || versions < l.count(stored) || versions < 400 {
		t.Errorf("there are %d versions for %d acknowledged writes, %v", versions, l.count(stored), err)
	}
	t.Logf("%d versions, %d acknowledged, %d in doubt", versions, l.count(stored), l.count(doubtful))
}
