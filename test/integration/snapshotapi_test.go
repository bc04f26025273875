// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What users write: one valid object of each kind.
const (
	applicationSnapshot = `
apiVersion: snapshot.roost.dev/v1alpha1
kind: ApplicationSnapshot
metadata: {name: db}
spec:
  claimNames: [data-db-0]
  hooks:
    commands:
    - {name: flush, freeze: [sync]}
`
	bySelector = `
apiVersion: snapshot.roost.dev/v1alpha1
kind: ApplicationSnapshot
metadata: {name: db-group}
spec:
  selector: {}
  storageClassNames: [fast]
  mode: Group
`
	snapshotSchedule = `
apiVersion: snapshot.roost.dev/v1alpha1
kind: SnapshotSchedule
metadata: {name: nightly}
spec:
  schedule: 30 2 * * *
  timeZone: Europe/Berlin
  template:
    spec:
      selector: {matchLabels: {app: db}}
  retention: {daily: 7}
`
	snapshotRestore = `
apiVersion: snapshot.roost.dev/v1alpha1
kind: SnapshotRestore
metadata: {name: back}
spec:
  source: {name: db}
  inPlace: {}
`
)

var _ = Describe("The API server", func() {
	var s *space
	BeforeEach(func(ctx SpecContext) { s = newSpace(ctx, shared) })

	It("takes snapshots, schedules and restores, and fills in their defaults", func(ctx SpecContext) {
		snapshot := objectOf(applicationSnapshot)
		s.create(ctx, snapshot)
		Expect(at(snapshot, "spec", "mode")).To(Equal("Sequential"))
		Expect(at(snapshot, "spec", "hooks", "maxFreeze")).To(Equal("30s"))
		Expect(at(snapshot, "spec", "cutDeadline")).To(Equal("5m"))
		hooks, _, err := unstructured.NestedSlice(snapshot.Object, "spec", "hooks", "commands")
		Expect(err).NotTo(HaveOccurred())
		Expect(hooks).To(ConsistOf(And(
			HaveKeyWithValue("timeout", "10s"), HaveKeyWithValue("onError", "Fail"),
			HaveKeyWithValue("pods", "All"), HaveKeyWithValue("timer", "Required"),
		)))

		schedule := objectOf(snapshotSchedule)
		s.create(ctx, schedule)
		Expect(at(schedule, "spec", "retention", "minReady")).To(BeEquivalentTo(1))
		Expect(at(schedule, "spec", "deletionPolicy")).To(Equal("Retain"))

		restore := objectOf(snapshotRestore)
		s.create(ctx, restore)
		Expect(at(restore, "spec", "inPlace", "safetySnapshot")).To(Equal("Required"))
		Expect(at(restore, "spec", "inPlace", "rollbackWindow")).To(Equal("168h"))
	})

	DescribeTable("refuses, and says what is allowed",
		func(ctx SpecContext, manifest, change, message string) {
			object := changed(manifest, change)
			object.SetNamespace(s.namespace)
			err := s.client.Create(ctx, object)
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring(message)))
		},
		Entry("no claims", applicationSnapshot, `spec: {claimNames: null}`, "exactly one of claimNames and selector must be set"),
		Entry("claims by name and by label", applicationSnapshot, `spec: {selector: {}}`, "exactly one of claimNames and selector must be set"),
		Entry("a class without a selector", applicationSnapshot, `spec: {storageClassNames: [fast]}`, "storageClassNames goes with selector"),
		Entry("a group class without a group", applicationSnapshot, `spec: {volumeGroupSnapshotClassName: g}`,
			"volumeGroupSnapshotClassName goes with mode Group"),
		Entry("an unknown mode", applicationSnapshot, `spec: {mode: Atomic}`, `supported values: "Group", "Sequential", "BestEffort"`),
		Entry("a freeze of six minutes", applicationSnapshot, `spec: {hooks: {maxFreeze: 6m}}`, "must be between 1s and 5m"),
		Entry("a hook that freezes nothing", applicationSnapshot, `spec: {hooks: {commands: [{name: a, freeze: []}]}}`, "spec.hooks.commands[0].freeze"),
		Entry("a name of a hook with blanks", applicationSnapshot, `spec: {hooks: {commands: [{name: a b, freeze: [sync]}]}}`, "spec.hooks.commands[0].name"),
		Entry("a deadline of no time", applicationSnapshot, `spec: {cutDeadline: 0s}`, "must be between 1s and 24h"),
		Entry("a time zone in the expression", snapshotSchedule, `spec: {schedule: "TZ=0 0 3 * * *"}`, "the time zone goes into timeZone"),
		Entry("the manager's own time zone", snapshotSchedule, `spec: {timeZone: Local}`, "must be an IANA time zone"),
		Entry("a jitter of two days", snapshotSchedule, `spec: {jitter: 48h}`, "must be between 0s and 24h"),
		Entry("a retention that says nothing", snapshotSchedule, `spec: {retention: {daily: null}}`, "set at least one of last, hourly"),
		Entry("a retention that keeps none", snapshotSchedule, `spec: {retention: {minReady: 0}}`, "spec.retention.minReady"),
		Entry("a template without claims", snapshotSchedule, `spec: {template: {spec: {selector: null}}}`,
			"exactly one of claimNames and selector must be set"),
		Entry("a restore to nowhere", snapshotRestore, `spec: {inPlace: null}`, "exactly one of newClaims and inPlace must be set"),
		Entry("a restore to two places", snapshotRestore, `spec: {newClaims: {suffix: -copy}}`, "exactly one of newClaims and inPlace must be set"),
		Entry("new claims without names", snapshotRestore, `spec: {inPlace: null, newClaims: {}}`, "set claims, suffix or replaceName"),
		Entry("two rules for names", snapshotRestore,
			`spec: {inPlace: null, newClaims: {suffix: -copy, replaceName: {statefulSet: db, with: db2}}}`, "suffix and replaceName exclude each other"),
		Entry("in place from another namespace", snapshotRestore, `spec: {source: {namespace: other}}`, "inPlace restores a snapshot of its own namespace"),
		Entry("a rollback of new claims", snapshotRestore, `spec: {inPlace: null, newClaims: {suffix: -copy}, rollback: true}`,
			"rollback and confirm go with inPlace"),
		Entry("rollback and confirm", snapshotRestore, `spec: {rollback: true, confirm: true}`, "rollback and confirm exclude each other"),
	)

	DescribeTable("keeps what was asked for as it was",
		func(ctx SpecContext, manifest, change, message string) {
			Eventually(s.changing(ctx, s.client, s.existing(ctx, manifest, noChange), change)).WithContext(ctx).
				Should(And(MatchError(apierrors.IsInvalid, "IsInvalid"), MatchError(ContainSubstring(message))))
		},
		Entry("claims", applicationSnapshot, `spec: {claimNames: [other]}`, "claimNames cannot change"),
		Entry("hooks", applicationSnapshot, `spec: {hooks: {commands: [{name: flush, freeze: [reboot]}]}}`, "hooks cannot change"),
		Entry("the end of hooks", applicationSnapshot, `spec: {hooks: null}`, "hooks cannot change"),
		Entry("the mode", applicationSnapshot, `spec: {mode: BestEffort}`, "mode cannot change"),
		Entry("the classes of what is selected", bySelector, `spec: {storageClassNames: [slow]}`, "storageClassNames cannot change"),
		Entry("no class any more", bySelector, `spec: {storageClassNames: null}`, "storageClassNames cannot change"),
		Entry("the snapshot class", applicationSnapshot, `spec: {volumeSnapshotClassName: other}`, "volumeSnapshotClassName cannot change"),
		Entry("the class of groups", bySelector, `spec: {volumeGroupSnapshotClassName: other}`, "volumeGroupSnapshotClassName cannot change"),
		Entry("how long the cut may take", applicationSnapshot, `spec: {cutDeadline: 6m}`, "cutDeadline cannot change"),
		Entry("how long an upload may take", applicationSnapshot, `spec: {readyDeadline: 25h}`, "readyDeadline cannot change"),
		Entry("the pods of a hook", applicationSnapshot, flushWith(`podSelector: {}`), "hooks cannot change"),
		Entry("the container of a hook", applicationSnapshot, flushWith(`container: sidecar`), "hooks cannot change"),
		Entry("how long a hook may take", applicationSnapshot, flushWith(`timeout: 11s`), "hooks cannot change"),
		Entry("what an error of a hook means", applicationSnapshot, flushWith(`onError: Continue`), "hooks cannot change"),
		Entry("in how many pods a hook runs", applicationSnapshot, flushWith(`pods: One`), "hooks cannot change"),
		Entry("whether a pod thaws by itself", applicationSnapshot, flushWith(`timer: None`), "hooks cannot change"),
		Entry("the source of a restore", snapshotRestore, `spec: {source: {name: other}}`, "source cannot change"),
		Entry("what it restores into", snapshotRestore, `spec: {inPlace: {claimNames: [data-db-0]}}`, "inPlace cannot change"),
	)

	It("lets others be allowed a snapshot later, and a rollback be asked for once", func(ctx SpecContext) {
		snapshot := s.existing(ctx, applicationSnapshot, noChange)
		Eventually(s.changing(ctx, s.client, snapshot, `spec: {allowedNamespaces: [staging]}`)).WithContext(ctx).Should(Succeed())

		restore := s.existing(ctx, snapshotRestore, noChange)
		Eventually(s.changing(ctx, s.client, restore, `spec: {rollback: true}`)).WithContext(ctx).Should(Succeed())
		Eventually(s.changing(ctx, s.client, restore, `spec: {rollback: null}`)).WithContext(ctx).
			Should(MatchError(ContainSubstring("rollback cannot be taken back")))
	})
})

// flushWith changes a field of the hook of applicationSnapshot.
func flushWith(field string) string {
	return `spec: {hooks: {commands: [{name: flush, freeze: [sync], ` + field + `}]}}`
}

func objectOf(manifest string) *unstructured.Unstructured {
	GinkgoHelper()
	return &unstructured.Unstructured{Object: contentOf(manifest)}
}

func changed(manifest, change string) *unstructured.Unstructured {
	GinkgoHelper()
	object := objectOf(manifest)
	merge(object.Object, contentOf(change))
	return object
}

func contentOf(document string) map[string]any {
	GinkgoHelper()
	content := map[string]any{}
	Expect(yaml.Unmarshal([]byte(document), &content)).To(Succeed())
	return content
}

// merge writes a change over an object, as a JSON merge patch does.
func merge(into, change map[string]any) {
	for key, value := range change {
		below, ok := into[key].(map[string]any)
		switch changes, isMap := value.(map[string]any); {
		case value == nil:
			delete(into, key)
		case ok && isMap:
			merge(below, changes)
		default:
			into[key] = value
		}
	}
}

func at(object *unstructured.Unstructured, fields ...string) any {
	GinkgoHelper()
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, fields...)
	Expect(err).NotTo(HaveOccurred())
	Expect(found).To(BeTrue(), "%v", fields)
	return value
}

// A Go client writes 72h as 72h0m0s, and leaves out an empty word.
var _ = Describe("Durations and words in another spelling", func() {
	DescribeTable("are no change", func(ctx SpecContext, manifest, change string) {
		s := newSpace(ctx, shared)
		Eventually(s.changing(ctx, s.client, s.existing(ctx, manifest, noChange), change)).WithContext(ctx).Should(Succeed())
	},
		Entry("of a restore in place", snapshotRestore, `spec: {inPlace: {rollbackWindow: 168h0m0s}}`),
		Entry("of hooks", applicationSnapshot, `spec: {hooks: {maxFreeze: 0m30s}}`),
		Entry("of one hook", applicationSnapshot, flushWith(`timeout: 0m10s`)),
		Entry("of a cut", applicationSnapshot, `spec: {cutDeadline: 5m0s}`),
		Entry("of an upload", applicationSnapshot, `spec: {readyDeadline: 24h0m0s}`),
		Entry("of a container that is not named", applicationSnapshot, flushWith(`container: ""`)),
		Entry("of a class that is not named", applicationSnapshot, `spec: {volumeSnapshotClassName: ""}`),
	)
})
