// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"

	"roost.dev/roost/apis/config"
	configv1 "roost.dev/roost/apis/config/v1"
)

var (
	// Scheme is kube-scheduler's own scheme, which knows the arguments of Roost's plugins too.
	Scheme = schedscheme.Scheme

	// Codecs reads and writes the kinds of Scheme, and refuses unknown and duplicate fields.
	Codecs = serializer.NewCodecFactory(Scheme, serializer.EnableStrict)
)

// The packages imported above registered themselves on kube-scheduler's scheme builders, but its public scheme was built
// before that, so the kinds are added to it once more.
func init() {
	AddToScheme(Scheme)
}

// AddToScheme registers the kinds of kube-scheduler's configuration and those of Roost's plugins.
func AddToScheme(scheme *runtime.Scheme) {
	utilruntime.Must(config.AddToScheme(scheme))
	utilruntime.Must(configv1.AddToScheme(scheme))
}
