// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

const (
	// minDuration is one second: a lease says its duration in whole seconds, and so does a grace period; less would be none.
	minDuration = time.Second
	// minPeriod is the shortest time between two rounds of the same work.
	minPeriod = 100 * time.Millisecond
	// electionJitter is how much longer than retryPeriod client-go may wait between tries; it refuses a renewDeadline that
	// is not longer.
	electionJitter = 1.2
	// serveNothing is the bind address that turns an endpoint off.
	serveNothing = "0"
)

// ValidateConfiguration returns everything that is wrong with config; an empty list is none. loops are the names that
// controllers may have.
func ValidateConfiguration(config *managerv1alpha1.ControllerManagerConfiguration, loops []string) field.ErrorList {
	errs := validateClientConnection(field.NewPath("clientConnection"), &config.ClientConnection)
	errs = append(errs, validateLeaderElection(field.NewPath("leaderElection"), &config.LeaderElection)...)
	errs = append(errs, validateEndpoints(config)...)
	errs = append(errs, validateControllers(field.NewPath("controllers"), config.Controllers, loops)...)
	errs = append(errs, validateStorageHealth(field.NewPath("storageHealth"), &config.StorageHealth)...)
	return append(errs, validateSnapshots(field.NewPath("snapshots"), &config.Snapshots)...)
}

func validateClientConnection(path *field.Path, connection *managerv1alpha1.ClientConnection) field.ErrorList {
	var errs field.ErrorList
	if connection.QPS < 1 {
		errs = append(errs, field.Invalid(path.Child("qps"), connection.QPS, "must be at least 1"))
	}
	return append(errs, validateRange(path.Child("burst"), connection.Burst, 1, math.MaxInt32)...)
}

func validateLeaderElection(path *field.Path, election *managerv1alpha1.LeaderElection) field.ErrorList {
	if !*election.LeaderElect {
		return nil
	}
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Label(election.ResourceNamespace) {
		errs = append(errs, field.Invalid(path.Child("resourceNamespace"), election.ResourceNamespace, msg))
	}
	for _, msg := range validation.IsDNS1123Subdomain(election.ResourceName) {
		errs = append(errs, field.Invalid(path.Child("resourceName"), election.ResourceName, msg))
	}
	errs = append(errs, validateDuration(path.Child("leaseDuration"), election.LeaseDuration, minDuration)...)
	errs = append(errs, validateDuration(path.Child("retryPeriod"), election.RetryPeriod, minPeriod)...)
	if election.LeaseDuration.Duration <= election.RenewDeadline.Duration {
		errs = append(errs, field.Invalid(path.Child("leaseDuration"), election.LeaseDuration.Duration.String(),
			fmt.Sprintf("must be longer than renewDeadline, which is %s", election.RenewDeadline.Duration)))
	}
	if election.RenewDeadline.Duration <= time.Duration(electionJitter*float64(election.RetryPeriod.Duration)) {
		errs = append(errs, field.Invalid(path.Child("renewDeadline"), election.RenewDeadline.Duration.String(),
			fmt.Sprintf("must be longer than %g times retryPeriod, which is %s", electionJitter, election.RetryPeriod.Duration)))
	}
	return errs
}

func validateEndpoints(config *managerv1alpha1.ControllerManagerConfiguration) field.ErrorList {
	var errs field.ErrorList
	taken := sets.New[string]()
	for _, endpoint := range []struct{ field, address string }{
		{"metrics", config.Metrics.BindAddress},
		{"health", config.Health.BindAddress},
		{"profiling", config.Profiling.BindAddress},
	} {
		path := field.NewPath(endpoint.field, "bindAddress")
		errs = append(errs, validateBindAddress(path, endpoint.address)...)
		if isFixed(endpoint.address) && taken.Has(endpoint.address) {
			errs = append(errs, field.Duplicate(path, endpoint.address))
		}
		taken.Insert(endpoint.address)
	}
	return errs
}

// isFixed says that no two can be served at the address: with port 0 the system chooses one.
func isFixed(address string) bool {
	return address != serveNothing && !strings.HasSuffix(address, ":0")
}

func validateBindAddress(path *field.Path, address string) field.ErrorList {
	if address == serveNothing {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return field.ErrorList{field.Invalid(path, address, `must be host:port, :port, or "0" for none`)}
	}
	if number, err := strconv.Atoi(port); err != nil || number < 0 || number > math.MaxUint16 {
		return field.ErrorList{field.Invalid(path, address, fmt.Sprintf("port must be 0 to %d", math.MaxUint16))}
	}
	return nil
}

func validateControllers(path *field.Path, controllers, loops []string) field.ErrorList {
	var errs field.ErrorList
	allowed := []string{"*"}
	for _, loop := range slices.Sorted(slices.Values(loops)) {
		allowed = append(allowed, loop, "-"+loop)
	}
	seen := sets.New[string]()
	for i, controller := range controllers {
		name := strings.TrimPrefix(controller, "-")
		switch {
		case !slices.Contains(allowed, controller):
			errs = append(errs, field.NotSupported(path.Index(i), controller, allowed))
		case seen.Has(name):
			errs = append(errs, field.Duplicate(path.Index(i), controller))
		}
		seen.Insert(name)
	}
	return errs
}

func validateDuration(path *field.Path, value metav1.Duration, least time.Duration) field.ErrorList {
	if value.Duration < least {
		return field.ErrorList{field.Invalid(path, value.Duration.String(), fmt.Sprintf("must be at least %s", least))}
	}
	return nil
}

func validateRange(path *field.Path, value, least, most int32) field.ErrorList {
	switch {
	case value >= least && value <= most:
		return nil
	case most == math.MaxInt32:
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be at least %d", least))}
	default:
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be %d to %d", least, most))}
	}
}

func validateOneOf[T ~string](path *field.Path, value T, supported ...T) field.ErrorList {
	if slices.Contains(supported, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, supported)}
}
