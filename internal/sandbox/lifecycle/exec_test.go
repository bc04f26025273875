// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// exec runs a command in a container through the API server.
func (c cluster) exec(ctx context.Context, pod, container string, command ...string) (output string, err error) {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(c.Config)
	Expect(err).NotTo(HaveOccurred())
	request := clientset.CoreV1().RESTClient().Post().Namespace(metav1.NamespaceDefault).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, clientscheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", request.URL().String())
	Expect(err).NotTo(HaveOccurred())
	var out, errOut bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut})
	return out.String() + errOut.String(), err
}

var _ = Describe("A command in a simulated pod", func() {
	It("runs beside the pod's volumes, tells its exit code, and ends for its client when the client gives up", func(ctx SpecContext) {
		GinkgoT().Setenv("ROOST_SECRET", "of the user")
		dir := newDir()
		c := startCluster(ctx, withVolumes(dir))
		volume := c.claim(ctx, "db", nil)
		Expect(c.pod(ctx, Default, "db").Status.ContainerStatuses[0].ContainerID).To(HavePrefix("kwok://"))

		output, err := c.exec(ctx, "db", "c", "sh", "-c", "echo frozen > data/file; echo done; env; exit 7")
		Expect(err).To(BeAssignableToTypeOf(utilexec.CodeExitError{}))
		Expect(err).To(HaveField("Code", 7))
		Expect(output).To(ContainSubstring("done\n"))
		Expect(output).To(ContainSubstring("SIM_DATA=" + c.DataDir()))
		Expect(output).NotTo(ContainSubstring("ROOST_SECRET"))
		Expect(read(volume)).To(Equal("frozen\n"))
		output, err = c.exec(ctx, "db", "c", "cat", "data/file")
		Expect(err).NotTo(HaveOccurred())
		Expect(output).To(Equal("frozen\n"))

		By("giving up on one that hangs, and leaving another behind")
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = c.exec(short, "db", "c", "sleep", "3600")
		Expect(err).To(MatchError(context.DeadlineExceeded))
		_, err = c.exec(ctx, "db", "c", "sh", "-c", "sh -c 'while :; do sleep 1; done' "+dir+"/left-behind >/dev/null 2>&1 &")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return processesOf(dir) }, "10s").Should(ContainElement(HaveSuffix("/left-behind")))

		By("asking for what does not run")
		_, err = c.exec(ctx, "db", "other", "true")
		Expect(err).To(MatchError(ContainSubstring("other")))
		node := c.pod(ctx, Default, "db").Spec.NodeName
		Expect(c.KillKubelet(ctx, node)).To(Succeed())
		_, err = c.exec(ctx, "db", "c", "true")
		Expect(err).To(HaveOccurred())

		c.Stop()
		expectNothingLeft(dir)
	}, NodeTimeout(startTimeout))
})
