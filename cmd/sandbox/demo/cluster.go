// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

const (
	// workload is the StatefulSet's name, and its pods' label.
	workload = "db"

	pollEvery = 250 * time.Millisecond
	// patience is how long a step may take that usually takes ten seconds.
	patience = 2 * time.Minute
)

// cluster is what the story does to the sandbox.
type cluster struct {
	client client.Client
	screen *console.Console
	failed <-chan struct{}
}

// statefulSet has one claim a pod. Its pods are all made at once, and change only when they are deleted.
func statefulSet(namespace, scheduler string, replicas int32) *appsv1.StatefulSet {
	labels := map[string]string{"app": workload}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: workload},
		Spec: appsv1.StatefulSetSpec{
			Replicas:            ptr.To(replicas),
			Selector:            &metav1.LabelSelector{MatchLabels: labels},
			PodManagementPolicy: appsv1.ParallelPodManagement,
			UpdateStrategy:      appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SchedulerName:                 scheduler,
					TerminationGracePeriodSeconds: ptr.To(int64(0)),
					Containers: []corev1.Container{{
						Name:         workload,
						Image:        workload,
						Resources:    corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
						VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
					}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					StorageClassName: ptr.To(sandbox.StorageClass),
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
					},
				},
			}},
		},
	}
}

// deploy makes a namespace with the StatefulSet.
func (c *cluster) deploy(ctx context.Context, set *appsv1.StatefulSet) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: set.Namespace}}
	if err := c.client.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating namespace %s: %w", set.Namespace, err)
	}
	if err := c.client.Create(ctx, set); err != nil {
		return fmt.Errorf("creating StatefulSet %s: %w", client.ObjectKeyFromObject(set), err)
	}
	return nil
}

// pods are those of the StatefulSet.
func (c *cluster) pods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app": workload}); err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", namespace, err)
	}
	return pods.Items, nil
}

// recreate deletes the StatefulSet's pods and waits until new ones run in their place.
func (c *cluster) recreate(ctx context.Context, namespace, what string) error {
	old, err := c.pods(ctx, namespace)
	if err != nil {
		return err
	}
	gone := sets.New[types.UID]()
	for i := range old {
		gone.Insert(old[i].UID)
	}
	if err := c.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.MatchingLabels{"app": workload}); err != nil {
		return fmt.Errorf("deleting the pods of %s: %w", namespace, err)
	}
	return c.waitForRunning(ctx, namespace, len(old), gone, what)
}

// waitForRunning waits until that many pods run, not counting those that are to be gone.
func (c *cluster) waitForRunning(ctx context.Context, namespace string, want int, gone sets.Set[types.UID], what string) error {
	running := 0
	err := c.poll(ctx, func(ctx context.Context) (bool, error) {
		pods, err := c.pods(ctx, namespace)
		if err != nil {
			return false, err
		}
		running = 0
		for i := range pods {
			if pods[i].Status.Phase == corev1.PodRunning && pods[i].Spec.NodeName != "" && !gone.Has(pods[i].UID) {
				running++
			}
		}
		c.screen.Progress("%s: %d of %d pods running", what, running, want)
		return running == want, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %d of %d pods running: %w", what, running, want, err)
	}
	return nil
}

// poll asks again until condition holds. It gives up where a program of the sandbox has ended.
func (c *cluster) poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.failed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, condition)
}

// tally counts the StatefulSet's pods by where they are, seen from their data.
func (c *cluster) tally(ctx context.Context, namespace string) (Tally, error) {
	var tally Tally
	nodes, err := c.topologies(ctx)
	if err != nil {
		return tally, err
	}
	replicas, err := c.replicas(ctx, namespace)
	if err != nil {
		return tally, err
	}
	pods, err := c.pods(ctx, namespace)
	if err != nil {
		return tally, err
	}
	for i := range pods {
		tally[placeOf(pods[i].Spec.NodeName, replicas[claimName(&pods[i])], nodes)]++
	}
	return tally, nil
}

func claimName(pod *corev1.Pod) string {
	for i := range pod.Spec.Volumes {
		if claim := pod.Spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			return claim.ClaimName
		}
	}
	return ""
}

func (c *cluster) topologies(ctx context.Context) (map[string]topology, error) {
	var nodes corev1.NodeList
	if err := c.client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	found := make(map[string]topology, len(nodes.Items))
	for i := range nodes.Items {
		found[nodes.Items[i].Name] = topologyOf(&nodes.Items[i])
	}
	return found, nil
}

// replicas are the nodes with an in-sync replica, by claim. A claim that is not bound, or whose volume has no topology, is
// an error: nothing could be said of its pod.
func (c *cluster) replicas(ctx context.Context, namespace string) (map[string][]string, error) {
	handles, err := c.volumeHandles(ctx)
	if err != nil {
		return nil, err
	}
	inSync, err := c.inSync(ctx)
	if err != nil {
		return nil, err
	}
	var claims corev1.PersistentVolumeClaimList
	if err := c.client.List(ctx, &claims, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the claims of %s: %w", namespace, err)
	}
	found := make(map[string][]string, len(claims.Items))
	for i := range claims.Items {
		claim := &claims.Items[i]
		nodes := inSync[handles[claim.Spec.VolumeName]]
		if len(nodes) == 0 {
			return nil, fmt.Errorf("claim %s has no volume with an in-sync replica", client.ObjectKeyFromObject(claim))
		}
		found[claim.Name] = nodes
	}
	return found, nil
}

// volumeHandles are simstorage's, by the name of the PersistentVolume.
func (c *cluster) volumeHandles(ctx context.Context) (map[string]string, error) {
	var volumes corev1.PersistentVolumeList
	if err := c.client.List(ctx, &volumes); err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	found := make(map[string]string, len(volumes.Items))
	for i := range volumes.Items {
		if source := volumes.Items[i].Spec.CSI; source != nil && source.Driver == sandbox.Provisioner {
			found[volumes.Items[i].Name] = source.VolumeHandle
		}
	}
	return found, nil
}

// inSync are the nodes with an in-sync replica, by volume handle.
func (c *cluster) inSync(ctx context.Context) (map[string][]string, error) {
	var topologies storagev1alpha1.VolumeTopologyList
	if err := c.client.List(ctx, &topologies); err != nil {
		return nil, fmt.Errorf("listing volume topologies: %w", err)
	}
	found := make(map[string][]string, len(topologies.Items))
	for i := range topologies.Items {
		item := &topologies.Items[i]
		for _, replica := range item.Status.Replicas {
			if item.Spec.Provisioner == sandbox.Provisioner && replica.State == storagev1alpha1.ReplicaInSync {
				found[item.Spec.VolumeHandle] = append(found[item.Spec.VolumeHandle], replica.NodeName)
			}
		}
	}
	return found, nil
}
