package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A rule is an alert.
type rule struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	if err := yaml.Unmarshal(readMonitoring(t, "alerts.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

func readMonitoring(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dashboardExpressions returns the expressions of the dashboard.
func dashboardExpressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(readMonitoring(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// What the exposition of a metric consists of.
var (
	selector = regexp.MustCompile(`([a-z_:][a-z0-9_:]*)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouping = regexp.MustCompile(`\b(?:by|without) \([^)]*\)`)
	duration = regexp.MustCompile(`\[[^]]*\]`)
	word     = regexp.MustCompile(`"[^"]*"`)
)

// exposed returns the labels of each metric that a server exposes, under every name that it has in
// expressions.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	families, err := watchServer(t).admin.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{"up": nil} // Prometheus makes it
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		all[f.GetName()] = labels
		if f.Metric[0].Histogram == nil {
			continue
		}
		all[f.GetName()+"_bucket"], all[f.GetName()+"_sum"], all[f.GetName()+"_count"] = append(labels, "le"), labels, labels
	}
	return all
}

// metricsIn returns the metrics in an expression with the labels that it asks for.
func metricsIn(expr string) map[string][]string {
	all := map[string][]string{}
	expr = duration.ReplaceAllString(grouping.ReplaceAllString(expr, ""), "")
	for _, at := range selector.FindAllStringSubmatchIndex(expr, -1) {
		name := expr[at[2]:at[3]]
		isFunction := strings.HasPrefix(strings.TrimLeft(expr[at[1]:], " "), "(")
		if isFunction || slices.Contains([]string{"and", "or", "unless"}, name) || strings.Contains("0123456789.", expr[max(0, at[0]-1):max(0, at[0]-1)+1]) && at[0] > 0 {
			continue
		}
		all[name] = append(all[name], "") // asked for, also without labels
		if at[4] < 0 {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(expr[at[4]:at[5]], -1) {
			all[name] = append(all[name], m[1])
		}
	}
	return all
}

// TestMonitoring holds the alerts and the dashboard against what a server exposes: there is nothing in
// them that does not exist, and nothing of ours that nobody would see.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	metrics := exposed(t)
	expressions := dashboardExpressions(t)
	shown := map[string]bool{}
	for _, e := range expressions {
		for name := range metricsIn(e) {
			shown[name] = true
		}
	}
	for _, r := range readRules(t) {
		expressions = append(expressions, r.Expr)
	}
	for _, e := range expressions {
		for name, labels := range metricsIn(e) {
			has, known := metrics[name]
			if !known {
				t.Errorf("no server exposes %s, which is in %s", name, e)
				continue
			}
			for _, l := range labels {
				if l != "" && l != "job" && l != "instance" && !slices.Contains(has, l) {
					t.Errorf("%s has no label %s: %s", name, l, e)
				}
			}
		}
	}
	readme := string(readMonitoring(t, "README.md"))
	for name := range metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !strings.HasPrefix(name, "openconsult_") {
			continue
		}
		if name == base && !shown[name] && !shown[name+"_count"] {
			t.Errorf("%s is not on the dashboard", name)
		}
		if !strings.Contains(readme, "`"+base) {
			t.Errorf("%s is not in monitoring/README.md", base)
		}
	}
}

// TestMetricsIn is about what TestMonitoring reads expressions with.
func TestMetricsIn(t *testing.T) {
	t.Parallel()
	got := metricsIn(`max by (status) (rate(a_total{x="1",y=~"2|b"}[5m])) > 0.2 * (b - time()) / 86400 and c{} or absent(up{job="j"})`)
	want := map[string][]string{"a_total": {"", "x", "y"}, "b": {""}, "c": {""}, "up": {"", "job"}}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name, labels := range want {
		if !slices.Equal(got[name], labels) {
			t.Errorf("%s: %v, want %v", name, got[name], labels)
		}
	}
}

// TestRunbooks has each alert say what it means and what to do, and what it has people look for in the
// log is something that the server says.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	said := sourceText(t)
	seen := map[string]bool{}
	for _, r := range readRules(t) {
		if seen[r.Alert] || !strings.HasPrefix(r.Alert, "OpenConsult") {
			t.Errorf("%q is there twice, or is not called OpenConsult…", r.Alert)
		}
		seen[r.Alert] = true
		if r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
			t.Errorf("%s does not say what it means and what to do", r.Alert)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		for _, phrase := range word.FindAllString(r.Annotations["runbook"], -1) {
			if !strings.Contains(said, phrase[:len(phrase)-1]) {
				t.Errorf("%s: nothing logs %s", r.Alert, phrase)
			}
		}
	}
}

// sourceText returns the program's own text.
func sourceText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{"../../api", "../../fhir", "../../auth", "."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
				return err
			}
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
