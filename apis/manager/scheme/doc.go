// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scheme decodes the controller manager's configuration file.
//
// It takes YAML or JSON and gives the configuration with its defaults. A field that does not exist, or stands twice, is an
// error. It reads no file, and does not check values; package validation does.
package scheme
