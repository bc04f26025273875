// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admin injects faults into simstorage and reads its state, over HTTP with JSON on the loopback interface.
//
// Its input is requests, its output the state of the cluster model and changes to it. Server is the one side and Client
// the other; tests, the sandbox and the demo use the Client.
//
//	GET    /volumes /snapshots                     each with the "directory" of its content
//	GET    /group-snapshots /nodes /violations /calls /faults
//	PUT    /nodes/{node}/state                     {"state": "Offline", "message": "power lost"}
//	PUT    /nodes/{node}/cut-off                   {"cutOff": true}
//	PUT    /volumes/{handle}/replicas/{node}       {"state": "Rebuilding"}
//	DELETE /volumes/{handle}/replicas/{node}
//	DELETE /volumes/{handle}/attachments/{node}    a forced detach
//	PUT    /volumes/{handle}/fences/{node}         {"fenced": true}
//	PUT    /fencing                                {"mode": "Manual"}
//	PUT    /faults/api                             {"down": false, "delay": "2s"}
//	PUT    /faults/publisher                       {"silent": true}
//	PUT    /faults/snapshots                       {"fail": false, "delay": "30s", "cutDelay": "5s", "skew": "1h", "noSize": true,
//	                                                "volumes": ["vol-0123456789ab"]}
//
// The content of volumes is not served: who plays a pod reads and writes the files of the directory (see package content).
// Unknown fields are refused, and an error is answered as {"error": "..."}. There is no authentication, so it never
// listens on an address that another machine can reach.
package admin
