// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	utilexec "k8s.io/client-go/util/exec"
)

var pod0 = types.NamespacedName{Namespace: namespace, Name: "db-0"}

// apiServer answers an exec by a WebSocket: standard output, standard error, and how it ended.
func apiServer(t *testing.T, output, stderr, status string) (Executor, *http.Request) {
	t.Helper()
	asked := new(http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		*asked = *request
		upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
		conn, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for len(output) > 0 {
			n := min(len(output), 4096)
			_ = conn.WriteMessage(websocket.BinaryMessage, append([]byte{1}, output[:n]...))
			output = output[n:]
		}
		_ = conn.WriteMessage(websocket.BinaryMessage, append([]byte{2}, stderr...))
		if status == "" {
			// It hangs until the client goes away.
			_, _, _ = conn.ReadMessage()
			return
		}
		_ = conn.WriteMessage(websocket.BinaryMessage, append([]byte{3}, status...))
		_ = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		_, _, _ = conn.ReadMessage()
	}))
	t.Cleanup(server.Close)
	executor, err := NewExecutor(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return executor, asked
}

func TestExecThroughTheAPIServer(t *testing.T) {
	executor, asked := apiServer(t, "locked\n", "a warning\n", `{"status":"Success"}`)
	output, err := executor.Exec(t.Context(), pod0, "postgres", []string{"sh", "-c", "echo $1"})
	if err != nil || !strings.Contains(output, "locked") || !strings.Contains(output, "a warning") {
		t.Errorf("got %q (%v)", output, err)
	}
	if asked.Method != http.MethodGet || asked.URL.Path != "/api/v1/namespaces/shop/pods/db-0/exec" {
		t.Errorf("asked %s %s", asked.Method, asked.URL)
	}
	query := asked.URL.Query()
	if diff := cmp.Diff([]string{"sh", "-c", "echo $1"}, query["command"]); diff != "" || query.Get("container") != "postgres" {
		t.Errorf("asked %s\n%s", asked.URL, diff)
	}
}

func TestExecTellsTheExitCode(t *testing.T) {
	executor, _ := apiServer(t, "", "no such table", `{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}`)
	output, err := executor.Exec(t.Context(), pod0, "postgres", []string{"false"})
	var exit utilexec.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 3 || output != "no such table" || !strings.Contains(err.Error(), "exit code 3") {
		t.Errorf("got %q, %v", output, err)
	}
}

func TestExecKeepsTheEndOfTheOutput(t *testing.T) {
	executor, _ := apiServer(t, strings.Repeat("x", 5*keptOutput)+"the end", "", `{"status":"Success"}`)
	output, err := executor.Exec(t.Context(), pod0, "postgres", []string{"yes"})
	if err != nil || len(output) != keptOutput || !strings.HasSuffix(output, "the end") {
		t.Errorf("got %d bytes (%v)", len(output), err)
	}
}

func TestExecEndsWithItsContext(t *testing.T) {
	executor, _ := apiServer(t, "waiting", "", "")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("time is up")
	context.AfterFunc(t.Context(), func() { cancel(nil) })
	go cancel(why)
	if _, err := executor.Exec(ctx, pod0, "postgres", []string{"cat"}); err == nil {
		t.Error("no error")
	}
}

// Neither a WebSocket nor SPDY: the words are the API server's.
func TestExecPassesOnWhyItWasRefused(t *testing.T) {
	for name, words := range map[string]string{
		"denied":       `pods "db-0" is forbidden: User "roost" cannot create resource "pods/exec"`,
		"no container": `container not found ("postgres")`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
				response.Header().Set("Content-Type", "application/json")
				response.WriteHeader(http.StatusForbidden)
				_, _ = fmt.Fprintf(response, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":"Forbidden","code":403}`, words)
			}))
			defer server.Close()
			executor, err := NewExecutor(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := executor.Exec(t.Context(), pod0, "postgres", []string{"true"}); err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A server that takes the connection and says nothing.
func TestExecEndsWithItsContextWhileItConnects(t *testing.T) {
	reached, release := make(chan struct{}, 2), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	executor, err := NewExecutor(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := executor.Exec(ctx, pod0, "postgres", []string{"true"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
