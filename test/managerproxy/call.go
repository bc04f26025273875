// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package managerproxy

import (
	"net/http"
	"strings"
	"time"
)

// Call is a request of a manager that the API server answered.
type Call struct {
	At           time.Time
	Method, Path string
	Status       int
}

// Writes says that the call changes what specs look at: no event, no Lease, no question about permissions. A command in a pod
// counts, though what it is asked by is a GET.
func (c Call) Writes() bool {
	if c.Execs() {
		return true
	}
	return c.Method != http.MethodGet && !strings.Contains(c.Path, "/events") && !strings.Contains(c.Path, "/leases") &&
		!strings.HasPrefix(c.Path, "/apis/auth")
}

// Execs says that the call runs a command in a pod. It is answered when the command begins.
func (c Call) Execs() bool { return strings.HasSuffix(c.Path, "/exec") }

// WritesStatus says that the call writes a status.
func (c Call) WritesStatus() bool { return c.Writes() && strings.HasSuffix(c.Path, "/status") }

// Succeeded says that the API server did what it was asked.
func (c Call) Succeeded() bool {
	return c.Status >= http.StatusOK && c.Status < http.StatusMultipleChoices || c.Status == http.StatusSwitchingProtocols
}
