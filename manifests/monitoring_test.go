// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
	"roost.dev/roost/snapshot"
	"roost.dev/roost/storagehealth"
)

var (
	monitoringFolder   = filepath.Join("components", "monitoring")
	prometheusRuleKind = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}
)

// prometheusRule has the fields of the Prometheus operator's kind that are used here.
type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name  string      `json:"name"`
			Rules []alertRule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type alertRule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// DeepCopyObject is for the scheme. No test changes a rule.
func (r *prometheusRule) DeepCopyObject() runtime.Object { return r }

func alerts(t *testing.T) []alertRule {
	t.Helper()
	var found []alertRule
	for _, group := range one[*prometheusRule](t, decodeFile(t, monitoringFolder, "prometheusrule.yaml")).Spec.Groups {
		found = append(found, group.Rules...)
	}
	return found
}

// expressions are all that the alerts and the dashboard ask Prometheus, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, rule := range alerts(t) {
		found["alert "+rule.Alert] = rule.Expr
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	if err := json.Unmarshal(readFile(t, monitoringFolder, "storage-health-dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			found["panel "+panel.Title+" "+target.RefID] = target.Expr
		}
	}
	for _, variable := range dashboard.Templating.List {
		found["variable "+variable.Name] = variable.Query
	}
	return found
}

// described are the metrics that our programs register, with the names of their labels.
func described(t *testing.T) map[string][]string {
	t.Helper()
	pattern := regexp.MustCompile(`fqName: "([a-z_]+)".*variableLabels: \{([a-z_,]*)\}`)
	found := map[string][]string{}
	for _, collector := range []prometheus.Collector{drivers.NewMetrics(), storagehealth.NewMetrics(), snapshot.NewMetrics(clock.RealClock{})} {
		descriptions := make(chan *prometheus.Desc, 100)
		collector.Describe(descriptions)
		close(descriptions)
		for description := range descriptions {
			match := pattern.FindStringSubmatch(description.String())
			if match == nil {
				t.Fatalf("no name in %s", description)
			}
			found[match[1]] = strings.Split(match[2], ",")
		}
	}
	return found
}

var (
	usedMetric   = regexp.MustCompile(`\b(roost_[a-z_]+)(?:\{([^}]*)\})?`)
	usedMatcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	histogramEnd = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// unknown says what an expression uses that no program registers.
func unknown(expression string, metrics map[string][]string) []string {
	var found []string
	for _, match := range usedMetric.FindAllStringSubmatch(expression, -1) {
		name := match[1]
		if base := histogramEnd.ReplaceAllString(name, ""); strings.HasSuffix(base, "_seconds") {
			name = base
		}
		labels, ok := metrics[name]
		if !ok {
			found = append(found, name)
			continue
		}
		for _, label := range usedMatcher.FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(labels, label[1]) {
				found = append(found, name+" by "+label[1])
			}
		}
	}
	return found
}

func TestEveryMetricThatIsAskedForExists(t *testing.T) {
	metrics := described(t)
	for place, expression := range expressions(t) {
		if !strings.Contains(expression, "roost_") && place != "variable datasource" {
			t.Errorf("%s asks for nothing of ours: %s", place, expression)
		}
		for _, name := range unknown(expression, metrics) {
			t.Errorf("%s asks for %s, which nobody registers", place, name)
		}
	}
}

func TestUnknownMetricsAreSeen(t *testing.T) {
	metrics := map[string][]string{"roost_moves_total": {"method"}, "roost_wait_seconds": {""}}
	tests := map[string]struct{ expression, want string }{
		"a name that does not exist":  {expression: "sum(rate(roost_moved_total[5m]))", want: "roost_moved_total"},
		"a label that does not exist": {expression: `roost_moves_total{methods="Evict"}`, want: "roost_moves_total by methods"},
		"a part of a counter":         {expression: "roost_moves_total_bucket", want: "roost_moves_total_bucket"},
		"a name and a label":          {expression: `sum(roost_moves_total{method=~"Evict|Delete"})`},
		"a part of a histogram":       {expression: "sum by (le) (rate(roost_wait_seconds_bucket[5m]))"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(unknown(tc.expression, metrics), " "); got != tc.want {
				t.Errorf("unknown = %q, want %q", got, tc.want)
			}
		})
	}
}

// headings are the links to the headings of a page, as they are made on the web.
func headings(t *testing.T, page ...string) []string {
	t.Helper()
	punctuation := regexp.MustCompile(`[^a-z0-9 -]`)
	var found []string
	for line := range strings.Lines(string(readFile(t, append([]string{".."}, page...)...))) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			words := punctuation.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			found = append(found, strings.Join(page, "/")+"#"+strings.ReplaceAll(words, " ", "-"))
		}
	}
	return found
}

// An alert at night has to say what happened, how bad it is, and where to read on.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	runbooks, seen := headings(t, "docs", "failover.md"), map[string]bool{}
	for _, page := range []string{"disaster-recovery.md", "hooks.md", "restore.md", "schedule.md", "take.md"} {
		runbooks = append(runbooks, headings(t, "docs", "snapshots", page)...)
	}
	for _, rule := range alerts(t) {
		if seen[rule.Alert] || !strings.HasPrefix(rule.Alert, "Roost") {
			t.Errorf("alert %q has a name that is taken or not ours", rule.Alert)
		}
		seen[rule.Alert] = true
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("alert %s has severity %q, want critical or warning", rule.Alert, severity)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("alert %s does not say what happened", rule.Alert)
		}
		if runbook := rule.Annotations["runbook"]; !slices.Contains(runbooks, runbook) {
			t.Errorf("alert %s has runbook %q, want one of %q", rule.Alert, runbook, runbooks)
		}
	}
	if len(seen) == 0 {
		t.Error("found no alert")
	}
}

func TestMonitoringBuilds(t *testing.T) {
	if got := len(build(t, monitoringFolder)); got != 2 {
		t.Errorf("%d objects, want the alerts and the dashboard", got)
	}
}
