// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// kubelet is a server on a real port for the pod default/db with the container c.
type kubelet struct {
	*Server
	certificate Certificate
	dir         string
}

func certificate(t *testing.T) Certificate {
	t.Helper()
	dir := t.TempDir()
	c := Certificate{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	if err := c.Generate(time.Now()); err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T) *kubelet {
	t.Helper()
	k := &kubelet{certificate: certificate(t), dir: t.TempDir()}
	server, err := Listen(Options{
		Certificate: k.certificate,
		Group:       syscall.Getpgrp(),
		Find: func(_ context.Context, c Container) (Place, error) {
			if c != (Container{Namespace: "default", Pod: "db", Name: "c"}) {
				return Place{}, fmt.Errorf("there is no %v", c)
			}
			return Place{Dir: k.dir, Env: []string{"PATH=" + os.Getenv("PATH"), "SIM_DATA=/data"}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Server = server
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return k
}

// request is what a client asks. Its query says which streams there are.
type request struct {
	certificate             Certificate
	container, query, input string
	words                   []string
}

// exec runs a command as the API server would.
func (k *kubelet) exec(t *testing.T, r request) (string, error) {
	t.Helper()
	target := &url.URL{Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", k.Port()), Path: "/exec/default/db/" + r.container}
	target.RawQuery = r.query + "&" + url.Values{"command": r.words}.Encode()
	config := &rest.Config{TLSClientConfig: rest.TLSClientConfig{
		CAFile: k.certificate.CertFile, CertFile: r.certificate.CertFile, KeyFile: r.certificate.KeyFile,
	}}
	executor, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, target)
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	streams := remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut}
	if r.input != "" {
		streams.Stdin = strings.NewReader(r.input)
	}
	err = executor.StreamWithContext(t.Context(), streams)
	return out.String() + errOut.String(), err
}

func TestCommandRuns(t *testing.T) {
	t.Setenv("ROOST_SECRET", "of the user")
	k := start(t)
	for name, tc := range map[string]struct {
		query, input string
		words        []string
		want         string
		code         int
	}{
		"its output is returned":            {"output=1&error=1", "", []string{"echo", "hello world"}, "hello world\n", 0},
		"it runs where the container is":    {"output=1&error=1", "", []string{"pwd"}, k.dir + "\n", 0},
		"it sees the place's environment":   {"output=1&error=1", "", []string{"sh", "-c", "echo $SIM_DATA $ROOST_SECRET"}, "/data\n", 0},
		"its exit code is returned":         {"output=1&error=1", "", []string{"sh", "-c", "echo why >&2; exit 3"}, "why\n", 3},
		"a signal has the code of a shell":  {"output=1&error=1", "", []string{"sh", "-c", "kill -KILL $$"}, "", 137},
		"its input is what the client says": {"output=1&error=1&input=1", "typed", []string{"cat"}, "typed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := k.exec(t, request{k.certificate, "c", tc.query, tc.input, tc.words})
			if got != tc.want {
				t.Errorf("output = %q, want %q", got, tc.want)
			}
			exit, code := utilexec.CodeExitError{}, 0
			if errors.As(err, &exit) {
				code = exit.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tc.code {
				t.Errorf("exit code = %d, want %d", code, tc.code)
			}
		})
	}
}

func TestNothingOfWhatACommandSaysIsLost(t *testing.T) {
	k := start(t)
	for range 50 {
		got, err := k.exec(t, request{k.certificate, "c", "output=1&error=1", "", []string{"sh", "-c", "echo hello; exit 3"}})
		if got != "hello\n" || err == nil {
			t.Fatalf("got %q, %v, want hello and an exit code", got, err)
		}
	}
}

func TestCommandThatCannotRun(t *testing.T) {
	k := start(t)
	for name, tc := range map[string]struct {
		container, query string
		words            []string
		want             string
	}{
		"a container that is not there": {"other", "output=1&error=1", []string{"true"}, "there is no"},
		"no command":                    {"c", "output=1&error=1", nil, "no command"},
		"a terminal":                    {"c", "output=1&tty=1", []string{"sh"}, "no terminal"},
		"no stream":                     {"c", "", []string{"true"}, "at least 1"},
		"a program that is not there":   {"c", "output=1&error=1", []string{"no-such-program"}, "no-such-program"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.exec(t, request{k.certificate, tc.container, tc.query, "", tc.words})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one that says %q", err, tc.want)
			}
		})
	}
}

func TestStrangerIsNotServed(t *testing.T) {
	k := start(t)
	for name, c := range map[string]Certificate{"without a certificate": {}, "with one of its own": certificate(t)} {
		output, err := k.exec(t, request{c, "c", "output=1&error=1", "", []string{"echo", "hello"}})
		if err == nil || output != "" {
			t.Errorf("a stranger %s got %q, %v", name, output, err)
		}
	}
	// What a page in a browser can do.
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/exec/default/db/c?command=true&output=1", k.Port()))
	if err != nil {
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a request without TLS is answered with %s", response.Status)
	}
}
