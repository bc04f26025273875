// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"fmt"
	"time"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// rule keeps the newest point of each of the newest periods that have one.
type rule struct {
	number int32
	// period of a point, told apart from all others.
	period func(at time.Time) string
}

func rulesOf(policy *snapshotv1alpha1.Retention) []rule {
	return []rule{
		// A night with two hours from 2 to 3 has two hours.
		{policy.Hourly, func(at time.Time) string { return at.Format("2006-01-02T15-0700") }},
		{policy.Daily, func(at time.Time) string { return at.Format("2006-01-02") }},
		{policy.Weekly, func(at time.Time) string {
			year, week := at.ISOWeek()
			return fmt.Sprintf("%d-W%02d", year, week)
		}},
		{policy.Monthly, func(at time.Time) string { return at.Format("2006-01") }},
	}
}

// wantedOf says which of the points, the newest first, a number keeps. Where no number is set, all are.
func wantedOf(policy *snapshotv1alpha1.Retention, zone *time.Location, ready []dated) []bool {
	wanted, numbered := make([]bool, len(ready)), policy.Last > 0
	for i := range ready {
		wanted[i] = i < int(policy.Last)
	}
	for _, rule := range rulesOf(policy) {
		if rule.number <= 0 {
			continue
		}
		numbered = true
		before, kept := "", int32(0)
		for i := range ready {
			period := rule.period(ready[i].at.In(zone))
			if period == before {
				continue
			}
			if kept++; kept > rule.number {
				break
			}
			wanted[i], before = true, period
		}
	}
	if !numbered {
		for i := range wanted {
			wanted[i] = true
		}
	}
	return wanted
}
