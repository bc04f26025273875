// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"roost.dev/roost/internal/sandbox/podexec"
)

const (
	loopback = "127.0.0.1"

	// podsName is the program whose process group all commands in pods are in. It does nothing but live.
	podsName   = "pods"
	podsScript = `while :; do sleep 86400; done`
)

func (d directory) kubeletCertificate() podexec.Certificate {
	return podexec.Certificate{CertFile: d.path("kubelet.crt"), KeyFile: d.path("kubelet.key")}
}

// trustKubelets makes a certificate for the kubelets and has the API server know them, and itself to them, by it.
func trustKubelets(dir directory, apiServer *envtest.APIServer) error {
	certificate := dir.kubeletCertificate()
	if err := certificate.Generate(clock.RealClock{}.Now()); err != nil {
		return err
	}
	apiServer.Configure().
		Set("kubelet-certificate-authority", certificate.CertFile).
		Set("kubelet-client-certificate", certificate.CertFile).
		Set("kubelet-client-key", certificate.KeyFile).
		// Nobody resolves the nodes' names.
		Set("kubelet-preferred-address-types", string(corev1.NodeInternalIP))
	return nil
}

// startExecs runs what the API server asks of a kubelet for `kubectl exec`. kwok could, but it serves whoever reaches its port.
func (s *Sandbox) startExecs() error {
	pods, err := s.add(programSpec{name: podsName, path: "/bin/sh", args: []string{
		"-c", podsScript, "roost-sandbox-pods", s.dir.path("pods"),
	}})
	if err != nil {
		return err
	}
	pods.reportDeath(s.fail)
	s.execs, err = podexec.Listen(podexec.Options{
		Certificate: s.dir.kubeletCertificate(), Find: s.findContainer, Group: pods.cmd.Process.Pid,
	})
	if err != nil {
		return err
	}
	go func() {
		if err := s.execs.Serve(); err != nil {
			s.fail(err)
		}
	}()
	return nil
}

// setKubeletEndpoint tells the API server where a node's kubelet serves. It is the same for all nodes.
func setKubeletEndpoint(node *corev1.Node, port int) {
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: loopback},
		{Type: corev1.NodeHostName, Address: node.Name},
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port) //nolint:gosec // a port fits
}

// findContainer says where the commands of a container that runs on a living kubelet's node run: in a directory of the pod,
// where each of its claims is a directory named as the pod's volume.
func (s *Sandbox) findContainer(ctx context.Context, container podexec.Container) (podexec.Place, error) {
	pod := &corev1.Pod{}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: container.Namespace, Name: container.Pod}, pod); err != nil {
		return podexec.Place{}, fmt.Errorf("reading pod %s: %w", container.Pod, err)
	}
	if err := s.checkRuns(ctx, pod, container.Name); err != nil {
		return podexec.Place{}, err
	}
	dir := s.dir.path("pods", string(pod.UID))
	if err := s.linkVolumes(ctx, pod, dir); err != nil {
		return podexec.Place{}, err
	}
	return podexec.Place{Dir: dir, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "HOSTNAME=" + pod.Name, EnvData + "=" + s.DataDir(),
	}}, nil
}

func (s *Sandbox) checkRuns(ctx context.Context, pod *corev1.Pod, container string) error {
	named := func(c corev1.Container) bool { return c.Name == container }
	if !slices.ContainsFunc(pod.Spec.Containers, named) {
		return fmt.Errorf("pod %s has no container %q", pod.Name, container)
	}
	if pod.Status.Phase != corev1.PodRunning {
		return fmt.Errorf("pod %s is %s, must be Running", pod.Name, pod.Status.Phase)
	}
	node := &corev1.Node{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: pod.Spec.NodeName}, node); err != nil {
		return fmt.Errorf("reading the node of pod %s: %w", pod.Name, err)
	}
	if node.Labels[LabelKubelet] != kubeletAlive {
		return errors.New("the kubelet of node " + node.Name + " is dead")
	}
	return nil
}
