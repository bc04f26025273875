// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	writes = rbacv1.PolicyRule{
		APIGroups: []string{"snapshot.roost.dev"},
		Resources: []string{"applicationsnapshots", "snapshotschedules", "snapshotrestores"},
		Verbs:     []string{"get", "create", "update"},
	}
	execs             = may("", "pods/exec", "create")
	deletesClaims     = may("", "persistentvolumeclaims", "delete")
	scalesDeployments = may("apps", "deployments/scale", "update")
	scalesSets        = may("apps", "statefulsets/scale", "update")
)

const (
	withoutHooks = `spec: {hooks: null}`
	hooksOnTop   = `spec: {template: {spec: {hooks: {commands: [{name: flush, freeze: [sync]}]}}}}`
	intoNew      = `spec: {inPlace: null, newClaims: {suffix: -copy}}`
	noChange     = `{}`
)

var _ = Describe("Who may write a snapshot, a schedule or a restore", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	DescribeTable("is refused what the user could not do by hand",
		func(ctx SpecContext, manifest, change, message string, rights ...rbacv1.PolicyRule) {
			user := s.userWith(ctx, append(rights, writes)...)
			// The API server reads a new role, and a policy, a moment after it is written.
			Eventually(func(g Gomega) {
				err := user.Create(ctx, s.named(changed(manifest, change)), client.DryRunAll)
				g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
				g.Expect(err).To(MatchError(And(ContainSubstring(message), ContainSubstring(s.namespace))))
			}).WithContext(ctx).Should(Succeed())
		},
		Entry("a hook, without exec", applicationSnapshot, noChange, "may not create pods/exec", deletesClaims),
		Entry("a hook in a schedule, without exec", snapshotSchedule, hooksOnTop, "may not create pods/exec", deletesClaims),
		Entry("in place, without deleting claims", snapshotRestore, noChange, "may not delete persistentvolumeclaims", execs, scalesDeployments, scalesSets),
		Entry("in place, without scaling Deployments", snapshotRestore, noChange, "may not update deployments/scale", deletesClaims, scalesSets),
		Entry("in place, without scaling StatefulSets", snapshotRestore, noChange, "may not update statefulsets/scale", deletesClaims, scalesDeployments),
	)

	DescribeTable("is let do what the user could do by hand",
		func(ctx SpecContext, manifest, change string, rights ...rbacv1.PolicyRule) {
			user := s.userWith(ctx, append(rights, writes)...)
			Eventually(func() error {
				return user.Create(ctx, s.named(changed(manifest, change)))
			}).WithContext(ctx).Should(Succeed())
		},
		Entry("a hook, with exec", applicationSnapshot, noChange, execs),
		Entry("no hook, without exec", applicationSnapshot, withoutHooks),
		Entry("a hook in a schedule, with exec", snapshotSchedule, hooksOnTop, execs),
		Entry("no hook in a schedule, without exec", snapshotSchedule, noChange),
		Entry("in place, with all rights", snapshotRestore, noChange, deletesClaims, scalesDeployments, scalesSets),
		Entry("into new claims, without rights", snapshotRestore, intoNew),
	)

	It("keeps a user from putting a hook into another's schedule, and lets him label it", func(ctx SpecContext) {
		schedule := objectOf(snapshotSchedule)
		s.create(ctx, schedule)
		user := s.userWith(ctx, writes)
		// The controller manager writes its status meanwhile.
		change := func(by client.Client, change func(), options ...client.UpdateOption) error {
			if err := s.client.Get(ctx, client.ObjectKeyFromObject(schedule), schedule); err != nil {
				return err
			}
			change()
			return by.Update(ctx, schedule, options...)
		}
		hook := func() { merge(schedule.Object, contentOf(hooksOnTop)) }
		Eventually(func() error { return change(user, hook, client.DryRunAll) }).WithContext(ctx).
			Should(MatchError(ContainSubstring("may not create pods/exec")))
		Eventually(func() error { return change(s.client, hook) }).WithContext(ctx).Should(Succeed())
		label := func() { schedule.SetLabels(map[string]string{"team": "db"}) }
		Eventually(func() error { return change(user, label) }).WithContext(ctx).Should(Succeed())
	})
})

func may(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
}

func (s *space) named(object client.Object) client.Object {
	object.SetNamespace(s.namespace)
	return object
}

// userWith is a client of a user who has these rights in the namespace, and no others.
func (s *space) userWith(ctx context.Context, rights ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	name := "user-of-" + s.namespace
	s.create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rights})
	s.create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	config := rest.CopyConfig(s.box.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name}
	user, err := client.New(config, client.Options{Scheme: s.client.Scheme(), Mapper: s.client.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return user
}
