// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// longestOwner is how much of it a journal has room for.
const longestOwner = 512

// deliverers have a label or annotation on what they keep as it is in a repository, with their name for it.
var deliverers = []struct{ key, name string }{
	{"argocd.argoproj.io/tracking-id", "Argo CD application"},
	{"argocd.argoproj.io/instance", "Argo CD application"},
	{"kustomize.toolkit.fluxcd.io/name", "Flux Kustomization"},
	{"helm.toolkit.fluxcd.io/name", "Flux HelmRelease"},
	{"meta.helm.sh/release-name", "Helm release"},
}

// autoscaler is a HorizontalPodAutoscaler and what it scales.
type autoscaler struct {
	target autoscalingv2.CrossVersionObjectReference
	text   string
}

// ownerOf says who may scale the workload besides: an operator, a delivery from a repository, an autoscaler. Empty is nobody.
func (f *finder) ownerOf(ctx context.Context, r reference, object client.Object) (string, error) {
	var owners []string
	if above := metav1.GetControllerOf(object); above != nil {
		owners = append(owners, fmt.Sprintf("%s %s may scale it back", above.Kind, above.Name))
	}
	owners = append(owners, delivererOf(object)...)
	scalers, err := f.autoscalers(ctx)
	if err != nil {
		return "", err
	}
	for _, scaler := range scalers {
		target := reference{apiVersion: scaler.target.APIVersion, kind: scaler.target.Kind, name: scaler.target.Name}
		if target.kind == r.kind && target.name == r.name && target.group() == r.group() {
			owners = append(owners, scaler.text)
		}
	}
	text := strings.Join(owners, "; ")
	if len(text) > longestOwner {
		text = text[:longestOwner]
	}
	return text, nil
}

// delivererOf names the first tool that marked the object.
func delivererOf(object client.Object) []string {
	for _, deliverer := range deliverers {
		name, ok := object.GetAnnotations()[deliverer.key]
		if !ok {
			name, ok = object.GetLabels()[deliverer.key]
		}
		if ok {
			// Argo CD's tracking id goes on with the object after a colon.
			name, _, _ = strings.Cut(name, ":")
			return []string{fmt.Sprintf("%s %s may scale it back", deliverer.name, name)}
		}
	}
	return nil
}

// autoscalers lists them once. One does nothing while its target has 0 replicas, unless it may itself scale to 0; KEDA,
// which makes one, scales from 0 by itself.
func (f *finder) autoscalers(ctx context.Context) ([]autoscaler, error) {
	if f.listed {
		return f.scalers, nil
	}
	list := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := f.client.List(ctx, list, client.InNamespace(f.namespace)); err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("listing HorizontalPodAutoscalers of %s: %w", f.namespace, err)
	}
	for i := range list.Items {
		scaler := &list.Items[i]
		text := fmt.Sprintf("HorizontalPodAutoscaler %s does nothing at 0 replicas", scaler.Name)
		above := metav1.GetControllerOf(scaler)
		switch {
		case above != nil:
			text = fmt.Sprintf("%s %s may scale it back", above.Kind, above.Name)
		case scaler.Spec.MinReplicas != nil && *scaler.Spec.MinReplicas == 0:
			text = fmt.Sprintf("HorizontalPodAutoscaler %s may scale it back: its minReplicas is 0", scaler.Name)
		}
		f.scalers = append(f.scalers, autoscaler{target: scaler.Spec.ScaleTargetRef, text: text})
	}
	f.listed = true
	return f.scalers, nil
}
