// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"roost.dev/roost/test/perf/results"
)

type options struct {
	results, functions, bin, command string
	save, page, picture              string
}

func main() {
	var o options
	flag.StringVar(&o.results, "results", "", "the results to report, a JSON file")
	flag.StringVar(&o.functions, "functions", "", "the output of Go's benchmarks, to add to the results")
	flag.StringVar(&o.bin, "bin", "", "the folder of the built programs, to add their sizes to the results")
	flag.StringVar(&o.command, "command", "", "what was called, to add to the results")
	flag.StringVar(&o.save, "save", "", "where to write the results with what was added")
	flag.StringVar(&o.page, "page", "", "the page to write the tables into, between its markers")
	flag.StringVar(&o.picture, "picture", "", "where to write the picture, an SVG file")
	flag.Parse()
	if err := o.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func (o *options) run(out io.Writer) error {
	file, err := results.Load(o.results)
	if err != nil {
		return err
	}
	if err := o.add(file); err != nil {
		return err
	}
	text := markdown(file)
	fmt.Fprint(out, text)
	var errs []error
	if o.save != "" {
		errs = append(errs, file.Save(o.save))
	}
	if o.page != "" {
		errs = append(errs, writePage(o.page, text))
	}
	if o.picture != "" {
		errs = append(errs, os.WriteFile(o.picture, []byte(picture(file)), 0o644))
	}
	return errors.Join(errs...)
}

// add has the file hold what was measured by others.
func (o *options) add(file *results.File) error {
	if o.command != "" {
		file.Command = o.command
	}
	if o.functions != "" {
		functions, err := readFunctions(o.functions)
		if err != nil {
			return err
		}
		file.Functions = functions
	}
	if o.bin == "" {
		return nil
	}
	file.Binaries = map[string]int64{}
	for name, path := range map[string]string{roostBinary: "kube-scheduler", stockBinary: filepath.Join("k8s", "kube-scheduler")} {
		info, err := os.Stat(filepath.Join(o.bin, path))
		if err != nil {
			return fmt.Errorf("measuring the programs' size: %w", err)
		}
		file.Binaries[name] = info.Size()
	}
	return nil
}
