// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"roost.dev/roost/test/simstorage/cluster"
)

// asStatus gives an error of the model the code that the CSI specification has for it. A status stays as it is.
func asStatus(err error) error {
	var modelError *cluster.Error
	if !errors.As(err, &modelError) {
		return err
	}
	return status.Error(codeOf(modelError.Reason), err.Error())
}

func codeOf(reason cluster.Reason) codes.Code {
	switch reason {
	case cluster.Invalid:
		return codes.InvalidArgument
	case cluster.OutOfRange:
		return codes.OutOfRange
	case cluster.NotFound:
		return codes.NotFound
	case cluster.Exists:
		return codes.AlreadyExists
	case cluster.Exhausted:
		return codes.ResourceExhausted
	case cluster.Precondition:
		return codes.FailedPrecondition
	case cluster.Unavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// required says that a field is empty.
func required(field string) error {
	return status.Errorf(codes.InvalidArgument, "%s: must not be empty", field)
}

// notCopied says that the content of a volume or snapshot could not be made or removed.
func notCopied(err error) error {
	return status.Error(codes.Internal, err.Error())
}
