// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tokenPrefix tells a token of ours from anything else.
const tokenPrefix = "after:"

type pageRequest interface {
	GetMaxEntries() int32
	GetStartingToken() string
}

// page cuts the wanted page out of items that are sorted by id. A token holds the id of the last item of the page before,
// so that items that come and go between two pages move no others.
func page[T any](items []T, id func(T) string, r pageRequest) (wanted []T, next string, err error) {
	if r.GetMaxEntries() < 0 {
		return nil, "", status.Errorf(codes.InvalidArgument, "max_entries: invalid value %d: must not be negative", r.GetMaxEntries())
	}
	if token := r.GetStartingToken(); token != "" {
		last, ok := strings.CutPrefix(token, tokenPrefix)
		if !ok {
			return nil, "", status.Errorf(codes.Aborted, "starting_token: invalid value %q: must be a next_token of an earlier answer", token)
		}
		for len(items) > 0 && id(items[0]) <= last {
			items = items[1:]
		}
	}
	size := int(r.GetMaxEntries())
	if size == 0 || size >= len(items) {
		return items, "", nil
	}
	return items[:size], tokenPrefix + id(items[size-1]), nil
}
