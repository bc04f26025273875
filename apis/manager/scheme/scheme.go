// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

const kind = "ControllerManagerConfiguration"

var (
	scheme  = newScheme()
	decoder = json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
)

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(managerv1alpha1.AddToScheme(s))
	return s
}

// Default is the configuration of an empty file.
func Default() *managerv1alpha1.ControllerManagerConfiguration {
	config := &managerv1alpha1.ControllerManagerConfiguration{}
	config.SetGroupVersionKind(managerv1alpha1.GroupVersion.WithKind(kind))
	scheme.Default(config)
	return config
}

// Decode gives the configuration that the file's text says, with defaults for what it leaves out.
func Decode(text []byte) (*managerv1alpha1.ControllerManagerConfiguration, error) {
	object, found, err := decoder.Decode(text, nil, nil)
	switch {
	case runtime.IsMissingKind(err), runtime.IsMissingVersion(err):
		return nil, errors.New("apiVersion or kind is missing, want " + wanted())
	case runtime.IsNotRegisteredError(err) && found != nil:
		return nil, fmt.Errorf("it is a %s of %q, want %s", found.Kind, found.GroupVersion(), wanted())
	case err != nil:
		return nil, err
	}
	config, ok := object.(*managerv1alpha1.ControllerManagerConfiguration)
	if !ok {
		return nil, fmt.Errorf("it is a %s, want %s", found.Kind, wanted())
	}
	scheme.Default(config)
	return config, nil
}

func wanted() string {
	return fmt.Sprintf("apiVersion: %s and kind: %s", managerv1alpha1.GroupVersion, kind)
}
