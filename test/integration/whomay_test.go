// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
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
	shares            = may("snapshot.roost.dev", "applicationsnapshots", "share")
	// everything is what the owner of a namespace has.
	everything = may("*", "*", "*")
)

const (
	withoutHooks = `spec: {hooks: null}`
	hooksOnTop   = `spec: {template: {spec: {hooks: {commands: [{name: flush, freeze: [sync]}]}}}}`
	intoNew      = `spec: {inPlace: null, newClaims: {suffix: -copy}}`
	toStaging    = `spec: {hooks: null, allowedNamespaces: [staging]}`
	toStagingToo = `spec: {template: {spec: {allowedNamespaces: [staging]}}}`
	ofSchedule   = `{metadata: {labels: {snapshot.roost.dev/schedule-uid: x}}, spec: {hooks: null}}`
	ofRestore    = `{metadata: {labels: {snapshot.roost.dev/restore-uid: x}}, spec: {hooks: null}}`
	ofTeam       = `{metadata: {labels: {team: db}}, spec: {hooks: null}}`
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
		Entry("for another namespace, without sharing", applicationSnapshot, toStaging, "may not share applicationsnapshots", execs),
		Entry("for all namespaces, without sharing", applicationSnapshot, `spec: {hooks: null, allowedNamespaces: ["*"]}`, "may not share applicationsnapshots", execs),
		Entry("for another namespace in a schedule, without sharing", snapshotSchedule, toStagingToo, "may not share applicationsnapshots", execs),
		Entry("as made by a schedule, with all rights in the namespace", applicationSnapshot, ofSchedule, "may not control applicationsnapshots", everything),
		Entry("as made by a restore, with all rights in the namespace", applicationSnapshot, ofRestore, "may not control applicationsnapshots", everything),
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
		Entry("for another namespace, with sharing", applicationSnapshot, toStaging, shares),
		Entry("for another namespace in a schedule, with sharing", snapshotSchedule, toStagingToo, shares),
		Entry("with another label", applicationSnapshot, ofTeam),
	)

	It("is decided by policies that fit the kinds they are about", func(ctx SpecContext) {
		Eventually(func(g Gomega) {
			policies := &admissionregistrationv1.ValidatingAdmissionPolicyList{}
			g.Expect(s.client.List(ctx, policies)).To(Succeed())
			g.Expect(policies.Items).NotTo(BeEmpty())
			for _, policy := range policies.Items {
				g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation), policy.Name)
				g.Expect(policy.Status.TypeChecking.ExpressionWarnings).To(BeEmpty(), policy.Name)
			}
		}).WithContext(ctx).Should(Succeed())
	})

	It("keeps a user from putting a hook into another's schedule, and lets him label it", func(ctx SpecContext) {
		schedule := s.existing(ctx, snapshotSchedule, noChange)
		user := s.userWith(ctx, writes)
		Eventually(s.changing(ctx, user, schedule, hooksOnTop, client.DryRunAll)).WithContext(ctx).
			Should(MatchError(ContainSubstring("may not create pods/exec")))
		Eventually(s.changing(ctx, s.client, schedule, hooksOnTop)).WithContext(ctx).Should(Succeed())
		Eventually(s.changing(ctx, user, schedule, `metadata: {labels: {team: db}}`)).WithContext(ctx).Should(Succeed())
	})

	It("keeps a user from sharing another's snapshot more widely, and lets him share it less", func(ctx SpecContext) {
		snapshot := s.existing(ctx, applicationSnapshot, `spec: {allowedNamespaces: [staging, test]}`) // with hooks
		user := s.userWith(ctx, writes)
		for _, wider := range []string{`[staging, test, mine]`, `[mine]`, `["*"]`} {
			Eventually(s.changing(ctx, user, snapshot, `spec: {allowedNamespaces: `+wider+`}`, client.DryRunAll)).WithContext(ctx).
				Should(MatchError(ContainSubstring("may not share applicationsnapshots")))
		}
		for _, narrower := range []string{`[test]`, `null`} {
			Eventually(s.changing(ctx, user, snapshot, `spec: {allowedNamespaces: `+narrower+`}`)).WithContext(ctx).Should(Succeed())
		}
		everybodys := s.existing(ctx, applicationSnapshot, `{metadata: {name: public}, spec: {allowedNamespaces: ["*"]}}`)
		Eventually(s.changing(ctx, user, everybodys, `spec: {allowedNamespaces: [mine]}`)).WithContext(ctx).Should(Succeed())
	})

	It("keeps a user from having a schedule share other claims, and lets him change all else of it", func(ctx SpecContext) {
		schedule := s.existing(ctx, snapshotSchedule, `spec: {template: {spec: {allowedNamespaces: [staging, test]}}}`)
		user := s.userWith(ctx, writes)
		for _, change := range []string{`allowedNamespaces: ["*"]`, `selector: {matchLabels: {app: payroll}}`, `selector: null, claimNames: [payroll]`, `storageClassNames: [fast]`} {
			Eventually(s.changing(ctx, user, schedule, `spec: {template: {spec: {`+change+`}}}`, client.DryRunAll)).WithContext(ctx).
				Should(MatchError(ContainSubstring("may not share applicationsnapshots")))
		}
		for _, change := range []string{`suspend: true`, `template: {spec: {allowedNamespaces: [test]}}`} {
			Eventually(s.changing(ctx, user, schedule, `spec: {`+change+`}`)).WithContext(ctx).Should(Succeed())
		}
	})

	It("keeps a user from what says who made a snapshot, and lets him label it otherwise", func(ctx SpecContext) {
		snapshot := s.existing(ctx, applicationSnapshot, ofSchedule)
		user := s.userWith(ctx, everything)
		for _, change := range []string{`{snapshot.roost.dev/schedule-uid: other}`, `{snapshot.roost.dev/schedule-uid: null}`, `{snapshot.roost.dev/restore-uid: x}`, `null`} {
			Eventually(s.changing(ctx, user, snapshot, `metadata: {labels: `+change+`}`, client.DryRunAll)).WithContext(ctx).
				Should(MatchError(ContainSubstring("may not control applicationsnapshots")))
		}
		for _, change := range []string{`labels: {team: db}`, `labels: {team: null}`, `annotations: {snapshot.roost.dev/pinned: "true"}`, `finalizers: [example.com/x]`, `finalizers: null`} {
			Eventually(s.changing(ctx, user, snapshot, `metadata: {`+change+`}`)).WithContext(ctx).Should(Succeed())
		}
		Expect(user.Delete(ctx, snapshot)).To(Succeed())
	})

	DescribeTable("takes a status from the controller manager, and from no user with all rights in the namespace",
		func(ctx SpecContext, manifest, change, forged, resource string) {
			object := s.existing(ctx, manifest, change)
			user := s.userWith(ctx, everything)
			Eventually(func(g Gomega) {
				g.Expect(s.client.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
				g.Expect(object.Object).To(HaveKeyWithValue("status", HaveKey("conditions")))
			}).WithContext(ctx).Should(Succeed())
			patch := client.RawPatch(types.MergePatchType, []byte(forged))
			Eventually(func() error { return user.Status().Patch(ctx, object.DeepCopy(), patch, client.DryRunAll) }).WithContext(ctx).
				Should(MatchError(ContainSubstring("may not control " + resource)))
			// An administrator may mend one.
			Expect(s.client.Status().Patch(ctx, object.DeepCopy(), patch, client.DryRunAll)).To(Succeed())
		},
		Entry("of a snapshot", applicationSnapshot, withoutHooks, `{"status":{"freeze":{"runID":"x","state":"Frozen","startTime":"2026-01-01T00:00:00.000000Z",
			"deadline":"2026-01-01T00:00:00.000000Z","pods":[{"hook":"x","name":"victim","uid":"x","container":"c","thaw":["sh"],"state":"Frozen"}]}}}`, "applicationsnapshots"),
		Entry("of a schedule", snapshotSchedule, noChange, `{"status":{"lastRunNow":"x"}}`, "snapshotschedules"),
		Entry("of a restore", snapshotRestore, intoNew, `{"status":{"sourceUID":"x"}}`, "snapshotrestores"),
	)
})

// existing is an object that an administrator made.
func (s *space) existing(ctx context.Context, manifest, change string) *unstructured.Unstructured {
	GinkgoHelper()
	object := changed(manifest, change)
	s.create(ctx, object)
	return object
}

// changing changes an object as it is then: the controller manager writes its status meanwhile.
func (s *space) changing(ctx context.Context, by client.Client, object *unstructured.Unstructured, change string, options ...client.UpdateOption) func() error {
	return func() error {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		merge(object.Object, contentOf(change))
		return by.Update(ctx, object, options...)
	}
}

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
