// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// refusal is how long the scheduler may take to refuse a configuration.
const refusal = 15 * time.Second

var _ = Describe("A configuration that is wrong", func() {
	DescribeTable("stops the scheduler at its start, with the field, the value and what is allowed",
		func(ctx SpecContext, args string, says ...string) {
			output := refuse(ctx, args)
			for _, text := range says {
				Expect(output).To(ContainSubstring(text))
			}
		},
		Entry("an unknown argument", "dataNodesFrist: true", `unknown field "dataNodesFrist"`),
		Entry("an unknown policy", "defaultPolicy: Sometimes",
			"defaultPolicy", `"Sometimes"`, `supported values: "Preferred", "Required", "Avoid", "Ignored"`),
		Entry("a negative weight of a tier", "topology: [{label: example.com/row, weight: -1}]",
			"topology[0].weight", "-1", "must be 0 to 99"),
		Entry("a label named twice", "topology: [{label: example.com/row, weight: 20}, {label: example.com/row, weight: 10}]",
			"topology[1].label", "Duplicate value", `"example.com/row"`),
	)
})

// refuse runs the scheduler with arguments of our plugin and returns what it printed. It must have ended by itself.
func refuse(ctx context.Context, args string) string {
	GinkgoHelper()
	config := filepath.Join(GinkgoT().TempDir(), "config.yaml")
	content := strings.Join([]string{
		"apiVersion: kubescheduler.config.k8s.io/v1",
		"kind: KubeSchedulerConfiguration",
		"clientConnection: {kubeconfig: " + shared.Kubeconfig + "}",
		"leaderElection: {leaderElect: false}",
		"profiles:",
		"- schedulerName: refused",
		"  plugins: {multiPoint: {enabled: [{name: VolumeLocality}]}}",
		"  pluginConfig: [{name: VolumeLocality, args: {" + args + "}}]",
	}, "\n")
	Expect(os.WriteFile(config, []byte(content), 0o600)).To(Succeed())
	ctx, cancel := context.WithTimeout(ctx, refusal)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(binDir(), "kube-scheduler"), "--config="+config, "--secure-port=0")
	output, err := command.CombinedOutput()
	Expect(ctx.Err()).NotTo(HaveOccurred(), "it runs:\n%s", output)
	var exit *exec.ExitError
	Expect(errors.As(err, &exit)).To(BeTrue(), "%v\n%s", err, output)
	Expect(exit.ExitCode()).To(BeNumerically(">", 0))
	// In the log the error is a quoted string.
	return strings.ReplaceAll(string(output), `\"`, `"`)
}
