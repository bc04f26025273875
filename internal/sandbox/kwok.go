// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// kwokOptions let kwok play more pods and nodes at a time than it does by default. It defaults nothing that a file leaves out.
const kwokOptions = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 16
  nodePlayStageParallelism: 16
  nodeLeaseParallelism: 4
  podsOnNodeSyncParallelism: 4
`

// kwokNodes is a metric without figures. With it kwok serves at /discovery/prometheus the list of the nodes that it
// simulates, which it tells nowhere else.
const kwokNodes = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Metric
metadata:
  name: nodes
spec:
  path: ` + kwokNodePath + `{nodeName}
  metrics: []
`

const kwokNodePath = "/metrics/nodes/"

// podDelete is kwok's stage of that name, but for pods that hang. kwok looks at a pod again whenever it changes, so that the
// annotation may come and go while the pod runs.
const podDelete = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: pod-delete
spec:
  resourceRef:
    apiGroup: v1
    kind: Pod
  selector:
    matchExpressions:
    - key: '.metadata.deletionTimestamp'
      operator: Exists
    - key: '.metadata.annotations["` + AnnotationHangs + `"]'
      operator: NotIn
      values: ["true"]
  next:
    delete: true
`

// startKwok starts the simulation of the kubelets. kwok does nothing without stages, and those are part of its module.
func (s *Sandbox) startKwok(ctx context.Context) error {
	config := s.dir.path("kwok.yaml")
	documents := []string{
		kwokOptions, nodefast.DefaultNodeInit, nodeheartbeat.DefaultNodeHeartbeatWithLease,
		withContainerIDs(podfast.DefaultPodReady), podfast.DefaultPodComplete, podDelete,
		kwokNodes,
	}
	if err := os.WriteFile(config, []byte(strings.Join(documents, "\n---\n")), 0o600); err != nil {
		return fmt.Errorf("writing kwok's configuration: %w", err)
	}
	var err error
	if s.kwokAddress, err = loopbackAddress(); err != nil {
		return err
	}
	_, kubeconfig, err := s.addUser(kwokUser, envtest.User{Name: kwokUser, Groups: []string{"system:masters"}})
	if err != nil {
		return err
	}
	if err := s.sparePods(ctx); err != nil {
		return err
	}
	return s.start(ctx, programSpec{name: "kwok", path: "k8s/kwok", args: []string{
		"--kubeconfig=" + kubeconfig,
		"--config=" + config,
		// Not by annotation: kwok never lets go of a node that loses an annotation. A selector of labels is the API server's
		// work, and a node that no longer matches is deleted for kwok.
		"--manage-nodes-with-label-selector=" + LabelKubelet + "=" + kubeletAlive,
		"--node-lease-duration-seconds=40",
		"--server-address=" + s.kwokAddress,
	}})
}

// withContainerIDs completes kwok's stage that starts a pod: it tells no container ids, which a kubelet always does. They tell
// a container from the one that it was before it was started anew.
func withContainerIDs(stage string) string {
	const before = "        name: {{ .name | Quote }}\n        ready: true\n"
	return strings.ReplaceAll(stage, before, "        containerID: kwok://{{ $.metadata.uid }}/{{ .name }}\n"+before)
}

// kwokUser is who kwok is to the API server.
const kwokUser = "kwok"

// sparePods keeps kwok from deleting a pod that nobody deleted: it deletes by name, and would take a pod's successor of the
// same name along. A kubelet deletes by UID.
func (s *Sandbox) sparePods(ctx context.Context) error {
	const name = "kwok-spares-pods"
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Delete},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				},
			}}},
			MatchConditions: []admissionv1.MatchCondition{{Name: "kwok", Expression: fmt.Sprintf("request.userInfo.username == %q", kwokUser)}},
			Validations: []admissionv1.Validation{{
				Expression: "has(oldObject.metadata.deletionTimestamp)", Message: "nobody deleted this pod, but one of its name",
			}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	for _, object := range []client.Object{policy, binding} {
		if err := s.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, name, err)
		}
	}
	return nil
}
