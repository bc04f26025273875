// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
)

// keptOutput is how much of a command's output is kept in memory, in bytes: more than a status may have, as cleaning it
// makes it shorter.
const keptOutput = 8 * 1024

// Executor runs a command in a container and gives the end of what it printed. It returns when the context ends, at the
// latest, and the command may then still run. Where the command ended by itself with an exit code, the error is a
// k8s.io/client-go/util/exec.ExitError.
type Executor interface {
	Exec(ctx context.Context, pod types.NamespacedName, container string, command []string) (output string, err error)
}

// NewExecutor gives an Executor that runs commands through the API server, as kubectl exec does: by WebSocket, and by SPDY
// where a proxy does not let that through. It needs the right to get and create pods/exec. Its errors are the API server's.
func NewExecutor(config *rest.Config) (Executor, error) {
	config = rest.CopyConfig(config)
	pods, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for pods/exec: %w", err)
	}
	return &remoteExecutor{config: config, pods: pods.RESTClient()}, nil
}

type remoteExecutor struct {
	config *rest.Config
	pods   rest.Interface
}

// Exec implements Executor.
func (e *remoteExecutor) Exec(ctx context.Context, pod types.NamespacedName, container string, command []string) (string, error) {
	stream, err := e.stream(e.pods.Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL())
	if err != nil {
		return "", fmt.Errorf("making a stream to pod %s: %w", pod, err)
	}
	var output tail
	ended := make(chan error, 1)
	go func() {
		ended <- stream.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &output, Stderr: &output})
	}()
	// A stream ends with its context, but connecting it may hang for longer.
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return output.String(), err
}

// stream is for one command: it keeps the connection that it made.
func (e *remoteExecutor) stream(to *url.URL) (remotecommand.Executor, error) {
	spdy, err := remotecommand.NewSPDYExecutor(e.config, "POST", to)
	if err != nil {
		return nil, err
	}
	websocket, err := remotecommand.NewWebSocketExecutor(e.config, "GET", to.String())
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	written := len(text)
	text = text[max(0, len(text)-keptOutput):]
	t.kept = append(t.kept[max(0, len(t.kept)+len(text)-keptOutput):], text...)
	return written, nil
}

// String gives what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
