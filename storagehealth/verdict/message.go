// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"strings"
	"time"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// maxSaid bounds what is repeated of the storage system's own message, in bytes: a status has room for 2048 characters.
const maxSaid = 1024

// message tells a person what led to v, and when its state changes next if nothing else does.
func (s situation) message(v Verdict) string {
	switch v.Reason {
	case ReasonMaintenance:
		return s.maintenanceMessage()
	case ReasonStorageSilent:
		return silentMessage(v, s.obs.Report)
	case ReasonReturned:
		return sentences(said(s.obs.Report), "Good again since "+clockTime(s.run.since)+": takes pods again from "+
			clockTime(s.healthyFrom())+" if it stays good.")
	case ReasonOfflineAgain:
		return sentences(said(s.obs.Report), "Offline again since "+clockTime(s.run.since)+" before it had recovered: Unhealthy again from "+
			clockTime(s.unhealthyFrom())+" if it stays so.")
	default:
		if v.State == storagev1alpha1.HealthSuspect {
			return sentences(said(s.obs.Report), "Offline since "+clockTime(s.run.since)+": acted on from "+
				clockTime(s.unhealthyFrom())+" if it stays so.")
		}
		return said(s.obs.Report)
	}
}

func (s situation) maintenanceMessage() string {
	if s.obs.Maintenance {
		return "An operator set spec.maintenance: the node takes no new pods, and no pod is moved away."
	}
	return sentences(said(s.obs.Report), "The storage system has the node in maintenance: it takes no new pods, and no pod is moved away.")
}

func silentMessage(v Verdict, report drivers.NodeReport) string {
	silence := "The storage system does not say how it is on the node"
	if !report.ObservedAt.IsZero() {
		silence += "; it last did at " + clockTime(report.ObservedAt)
	}
	if v.State == storagev1alpha1.HealthHealthy {
		return silence + ". Nothing is concluded from that."
	}
	return silence + ". The node stays " + string(v.State) + ", and no pod is moved away, until it does."
}

// said is what the storage system said, cut to a length that a status has room for.
func said(report drivers.NodeReport) string {
	if len(report.Message) <= maxSaid {
		return report.Message
	}
	return strings.ToValidUTF8(report.Message[:maxSaid], "") + "…"
}

// sentences joins what the storage system said and what follows from it.
func sentences(said, follows string) string {
	switch {
	case said == "":
		return follows
	case strings.HasSuffix(said, "."):
		return said + " " + follows
	default:
		return said + ". " + follows
	}
}

// clockTime is t for a person. It is rounded down, like the time in a status.
func clockTime(t time.Time) string {
	return t.UTC().Format(time.RFC3339)
}
