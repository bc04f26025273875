// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/sandbox"
)

// space is a namespace of a sandbox.
type space struct {
	box       *sandbox.Sandbox
	client    client.WithWatch
	namespace string
}

// newSpace makes a namespace that goes with the spec. Its pods are gone when that has happened; the rest follows.
func newSpace(ctx context.Context, box *sandbox.Sandbox) *space {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(box.Client.Create(ctx, namespace)).To(Succeed())
	s := &space{box: box, client: box.Client, namespace: namespace.Name}
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(box.Client.Delete(ctx, namespace))).To(Succeed())
		// A namespace that is being deleted takes no new pods, so that no controller brings these back.
		s.deletePods(ctx)
	}, NodeTimeout(patience))
	return s
}

// create creates an object in the namespace.
func (s *space) create(ctx context.Context, object client.Object) {
	GinkgoHelper()
	object.SetNamespace(s.namespace)
	Expect(s.client.Create(ctx, object)).To(Succeed())
}

// createForSpec creates an object that is not in the namespace, and that goes with the spec.
func (s *space) createForSpec(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(s.client.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(s.client.Delete(ctx, object))).To(Succeed())
	}, NodeTimeout(patience))
}

func (s *space) deletePods(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(s.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.namespace), now())).To(Succeed())
		g.Expect(s.pods(ctx)).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}

// now deletes without waiting for a kubelet.
func now() *client.DeleteAllOfOptions {
	return &client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}}
}

// linesWith are the lines that contain the text, in any case of letters.
func linesWith(content, text string) []string {
	var found []string
	for line := range strings.Lines(content) {
		if strings.Contains(strings.ToLower(line), strings.ToLower(text)) {
			found = append(found, line)
		}
	}
	return found
}
